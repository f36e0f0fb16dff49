"""What was found, as configuration: one `[[channel]]` with one line for each (VLAN, group, port), with comments.

Whatever was found, the text loads with `nanotape.config.loads`; what no line can name stands in comments. Two groups
that look like an A and a B line stay two channels: which belong together is for the venue's documents to say. A framing
stands there where it is guessed, and says how sure that is.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nanotape.capture.discovered import Discovered, DiscoveredFlow
from nanotape.capture.errors import DiscoverError
from nanotape.config import ConfigError, loads
from nanotape.config.checks import FLOWS_MAXIMUM

_SENDERS_NAMED = 8
_BYTES_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Naming:
    """How the configuration is to call and restrict things."""

    feed: str = "discovered"
    source_specific: bool = False
    """Write `source` where exactly one sender was seen."""
    joined: Sequence[str] = ()
    """What was joined while listening; the rest arrived unasked."""


@dataclass(frozen=True, slots=True)
class _Line:
    """All flows that one configured line would take."""

    vlan: int | None
    group: str
    port: int
    flows: tuple[DiscoveredFlow, ...]

    @property
    def packets(self) -> int:
        return sum(flow.packets for flow in self.flows)

    @property
    def name(self) -> str:
        """Unique, since each part is: an address's only `-` stand for its colons."""
        vlan = "" if self.vlan is None else f"vlan{self.vlan}-"
        return f"{vlan}{self.group.replace(':', '-')}-{self.port}"

    @property
    def impossible(self) -> str | None:
        """Why no line can name it; None: one can."""
        if not ipaddress.ip_address(self.group).is_multicast:
            return "unicast: a line's group is a multicast address"
        if self.port == 0:
            return "port 0: a line's port is 1 to 65535"
        if self.vlan is not None and not 1 <= self.vlan <= 4094:
            return "a line's VLAN is 1 to 4094"
        return None


def as_toml(found: Discovered, naming: Naming) -> str:
    """The configuration, by VLAN, group and port; it ends with a newline."""
    lines = _lines(found.flows)
    possible = [line for line in lines if line.impossible is None]
    kept = sorted(possible, key=lambda line: -line.packets)[:FLOWS_MAXIMUM]
    chosen = {id(line) for line in kept}
    parts = ["\n".join(_header(found, naming, len(possible)))]
    parts += ["\n".join(_channel(line, found, naming)) for line in possible if id(line) in chosen]
    parts += [f"# left out: {_told(line)}" for line in lines if id(line) not in chosen]
    return "\n\n".join(parts) + "\n"


def check_feed(feed: str) -> None:
    """Refuses a feed's name that no configuration takes.

    Raises:
        DiscoverError: says what a feed's name may be.
    """
    line = '[[channel.line]]\ngroup = "233.252.0.1"\nport = 1\ninterface = "lo"'
    try:
        loads(f'[[channel]]\nname = "checked"\nfeed = {_text(feed)}\n{line}')
    except ConfigError as error:
        raise DiscoverError(f"--feed: {str(error).rpartition('channel[0].feed: ')[2]}") from None


def _lines(flows: Sequence[DiscoveredFlow]) -> list[_Line]:
    grouped: dict[tuple[int | None, str, int], list[DiscoveredFlow]] = {}
    for flow in flows:
        grouped.setdefault((flow.vlan, flow.group, flow.port), []).append(flow)
    return sorted((_Line(*key, tuple(members)) for key, members in grouped.items()), key=_place)


def _place(line: _Line) -> tuple[int, int, bytes, int]:
    group = ipaddress.ip_address(line.group)
    return (-1 if line.vlan is None else line.vlan, group.version, group.packed, line.port)


def _header(found: Discovered, naming: Naming, lines: int) -> Iterator[str]:
    where = json.dumps(found.interface, ensure_ascii=False)
    counts = f"{found.flow_count:,} flows, {found.packets:,} packets"
    yield f"# nanotape discover on {where}, {found.seconds:.1f} s: {counts}."
    yield f"# Joined meanwhile: {', '.join(naming.joined) or 'nothing'}."
    if found.flows and not naming.joined:
        yield "# On a tap or a mirror port, where no join is heard, add:"
        yield '# [source]\n# join = "none"\n# promiscuous = true'
    yield from (f"# {line}" for line in caveats(found))
    if lines > FLOWS_MAXIMUM:
        yield f"# {lines:,} lines; a configuration takes {FLOWS_MAXIMUM:,}: the busiest. The others stand below."


def caveats(found: Discovered) -> list[str]:
    """What may be missing or too low, a line each; empty: nothing."""
    said = []
    if found.dropped is None:
        said.append("the kernel does not say how much it dropped: rates may be too low")
    elif found.dropped:
        said.append(
            f"{found.dropped:,} packets were dropped, since this was too slow: rates are too low, flows may be missing"
        )
    if found.not_kept:
        said.append(f"{found.not_kept:,} packets were of still other flows; narrow the search with --group or --port")
    if found.unparsed:
        said.append(f"{found.unparsed:,} packets to groups have headers that cannot be read")
    if found.fragments:
        said.append(f"{found.fragments:,} IP fragments name no port and are counted in no flow")
    if found.xdp_program:
        said.append("an XDP program is on the interface: what it takes, as a running capture does, is not seen here")
    return said


def _channel(line: _Line, found: Discovered, naming: Naming) -> Iterator[str]:
    yield "[[channel]]"
    yield f"name = {_text(line.name)}"
    yield f"feed = {_text(naming.feed)}"
    yield from _framing(line)
    yield from (f"# {comment}" for comment in _comments(line))
    yield "[[channel.line]]"
    yield f"interface = {_text(found.interface)}"
    yield f"group = {_text(line.group)}"
    yield f"port = {line.port}"
    if line.vlan is not None:
        yield f"vlan = {line.vlan}"
    senders = _senders(line)
    if naming.source_specific and len(senders) == 1 and _can_be_source(senders[0]):
        yield f"source = {_text(senders[0])}"
    else:
        yield f"# {_from(senders)}"


def _framing(line: _Line) -> Iterator[str]:
    """What all senders' packets look like; nothing where one is not clear, or they differ."""
    guesses = [flow.framing for flow in line.flows]
    known = [guess for guess in guesses if guess is not None]
    if not known or len(known) < len(guesses) or len({guess.framings for guess in known}) > 1:
        return
    guess = min(known, key=lambda each: each.bits)
    packets = sum(each.packets for each in known)
    if len(guess.framings) == 1:
        yield f"framing = {_text(guess.framings[0])} # guessed from {packets} packets: {guess.sure}"
    else:
        names = " or ".join(map(_text, guess.framings))
        yield f"# framing = {names}: guessed from {packets} packets, which do not tell them apart"


def _comments(line: _Line) -> Iterator[str]:
    rate = sum(flow.mean_pps for flow in line.flows)
    smallest, largest = min(flow.smallest for flow in line.flows), max(flow.largest for flow in line.flows)
    sizes = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
    yield f"{_rate(rate)} packets a second, frames of {sizes} bytes"
    inner = sorted({flow.inner_vlan for flow in line.flows if flow.inner_vlan is not None})
    if inner:
        yield f"inner VLAN {', '.join(map(str, inner))}"
    first = min(line.flows, key=lambda flow: flow.first_ns)
    if first.first_bytes:
        yield f"begins {first.first_bytes[: 2 * _BYTES_SHOWN]} {_printable(first.first_bytes)}"


def _rate(pps: float) -> str:
    return f"{pps:,.0f}" if pps >= 10 else f"{pps:.1f}"


def _printable(first_bytes: str) -> str:
    """The same bytes as text, dots for what is not ASCII."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in bytes.fromhex(first_bytes)[:_BYTES_SHOWN])


def _senders(line: _Line) -> list[str]:
    addresses = {ipaddress.ip_address(flow.source) for flow in line.flows}
    return [str(address) for address in sorted(addresses, key=lambda address: (address.version, address.packed))]


def _can_be_source(sender: str) -> bool:
    address = ipaddress.ip_address(sender)
    return not (address.is_multicast or address.is_unspecified or sender == "255.255.255.255")


def _from(senders: Sequence[str]) -> str:
    if len(senders) == 1:
        return f"from {senders[0]}"
    more = len(senders) - _SENDERS_NAMED
    named = ", ".join(senders[:_SENDERS_NAMED])
    return f"from {len(senders)} senders: {named}{f' and {more} more' if more > 0 else ''}"


def _told(line: _Line) -> str:
    vlan = "" if line.vlan is None else f" vlan {line.vlan}"
    group = f"[{line.group}]" if ":" in line.group else line.group
    reason = line.impossible or "beyond what a configuration takes"
    return f"{group}:{line.port}{vlan} {_from(_senders(line))}, {line.packets:,} packets ({reason})"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
