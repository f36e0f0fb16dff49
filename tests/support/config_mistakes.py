"""Configurations in short, and what is said against them: each line in its form."""

import re

from nanotape.config import ConfigError, loads

FORM = re.compile(r"x\.toml(:[0-9]+)?: .+: expected .+, found .+; .+")
CHANNEL = '[[channel]]\nname = "c"\nfeed = "f"\n'
LINE = '[[channel.line]]\ngroup = "239.0.0.1"\nport = 1\n'
ETH1 = '[source]\ninterface = "eth1"\n'


def lines(text: str) -> tuple[str, ...]:
    """What is said against `text`; nothing when it is accepted."""
    told: tuple[str, ...] = ()
    try:
        loads(text, "x.toml")
    except ConfigError as error:
        told = error.lines
    assert all(FORM.fullmatch(line) for line in told), told
    return told
