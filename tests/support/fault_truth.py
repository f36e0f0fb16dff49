"""What a recorder has to find in a simulated exchange: an entry for each fault that its log tells, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from nanotape.capture.exchange import ExchangePacket, ExchangeStream
from nanotape.capture.sent_log import SentLine, SentLog


class Told(NamedTuple):
    """An event, without what only the wire knows."""

    kind: str
    line: str
    session: str
    seq_first: int
    seq_last: int
    filled_by: str | None = None


def expected(sent: SentLog) -> Counter[Told]:
    """Of each line: its gaps, duplicates, late packets, restarts and the end."""
    stream = {packet.number: packet for packet in ExchangeStream(sent.parameters)}
    return Counter(told for line in sent.lines for told in _line(sent, line, stream))


def found(events: list[dict[str, Any]]) -> Counter[Told]:
    """The events that follow from sequences."""
    kinds = ("feed_gap", "reorder", "duplicate", "feed_reset", "session")
    return Counter(
        Told(each["kind"], each["line"], each["feed_key"], each["seq_first"], each["seq_last"], each["filled_by"])
        for each in events
        if each["kind"] in kinds
    )


def _line(sent: SentLog, line: SentLine, stream: dict[int, ExchangePacket]) -> Iterator[Told]:
    withheld = _withheld(line, stream)
    others = [(other.name, _withheld(other, stream)) for other in sent.lines if other.name != line.name]
    for gap in line.gaps:
        assert gap.session is not None
        assert gap.first_sequence is not None
        lacking = range(gap.first_packet, gap.first_packet + gap.packets)
        filled_by = next((name for name, missing in others if missing.isdisjoint(lacking)), None)
        last = gap.first_sequence + gap.messages - 1
        yield Told("feed_gap", line.name, gap.session, gap.first_sequence, last, filled_by)
    for double in line.duplicates:
        for number in range(double.first_packet, double.first_packet + double.packets):
            yield _about("duplicate", line, sent, stream[number])
    for late in line.reorders:
        yield _about("reorder", line, sent, stream[late.first_packet])
    assert withheld.isdisjoint({late.first_packet for late in line.reorders})
    yield from _restarts(sent, line, stream)


def _withheld(line: SentLine, stream: dict[int, ExchangePacket]) -> set[int]:
    return {number for gap in line.gaps for number in range(gap.first_packet, gap.first_packet + gap.packets)}


def _about(kind: str, line: SentLine, sent: SentLog, packet: ExchangePacket) -> Told:
    session = sent.parameters.session_after(_restarts_before(sent, packet))
    return Told(kind, line.name, session, packet.sequence, packet.sequence + packet.messages - 1)


def _restarts_before(sent: SentLog, packet: ExchangePacket) -> int:
    return sum(restart.packet <= packet.number for restart in sent.parameters.restarts)


def _restarts(sent: SentLog, line: SentLine, stream: dict[int, ExchangePacket]) -> Iterator[Told]:
    for restart in line.restarts:
        assert restart.expected_sequence is not None
        if restart.new_session:
            first = stream[restart.packet]
            yield Told("session", line.name, restart.session, first.sequence, first.sequence + first.messages - 1)
        else:
            yield Told("feed_reset", line.name, restart.session, restart.expected_sequence, 1)
    end = max(stream.values(), key=lambda packet: packet.number)
    assert line.ends == 1
    yield Told("session", line.name, sent.parameters.session_after(len(line.restarts)), end.sequence, end.sequence)
