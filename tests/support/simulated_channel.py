"""What a rig's exchange sends, as a channel of a configuration: `itch`, MoldUDP64 on the lines of service_rig."""

from __future__ import annotations

from service_rig import LINES


def _line(name: str) -> str:
    group, _, port = LINES[name].rpartition(":")
    return f'[[channel.line]]\nname = "{name}"\ngroup = "{group}"\nport = {port}\n'


ONE_LINE = '[[channel]]\nname = "itch"\nfeed = "simulated"\nframing = "moldudp64"\n' + _line("A")
"""As TOML, with line A alone."""
BOTH_LINES = ONE_LINE + _line("B")
"""As TOML, with lines A and B."""
