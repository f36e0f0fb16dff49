"""What became of every packet: the exchange's own log against the counters against the rows of the archive."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from nanotape.capture.conservation import RingBooks, SourceBooks
from nanotape.capture.sent_log import SentLine, SentLog
from nanotape.cli.demo.recorded import LineTally, Recorded

_BEFORE_RING = ("passed_no_socket", "rx_dropped", "rx_ring_full", "socket_drops", "lost_with_holder", "oversize")


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """One line: what the exchange says it sent, what the archive has."""

    name: str
    sent: int
    recorded: int
    same_bytes: bool
    """crc32c over all recorded payloads in order equals the exchange's own over all that it sent."""
    gaps_made: int
    """Gaps that the exchange made on purpose."""
    gaps_found: int
    """Gaps in the feed's own sequence, found in the recorded packets."""
    messages_missing: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole account."""

    title: str
    """What was shown."""
    source: str
    sent: int
    captured: int
    recorded: int
    lost: dict[str, int]
    """By stage, from the wire to the disk; a stage that this source does not have is not in it."""
    unexplained: int
    balanced: bool
    lines: tuple[LineVerdict, ...]
    rx_delay_ns: dict[str, int | None]
    kills: dict[str, int]
    """How often the demo sent SIGKILL, by process."""
    restarts: dict[str, int]
    """How often the service started a process anew."""
    memory: str
    archive: str
    archive_bytes: int
    payload_bytes: int
    query: str
    answer: list[list[Any]]

    def as_json(self) -> dict[str, Any]:
        """For `demo --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted on the way."""

    books: RingBooks
    link: int
    """Packets that the link between the namespaces dropped."""
    unwritten: int
    """Rows that the recorder read and could not write."""


@dataclass(frozen=True, slots=True)
class Account:
    """The judgement."""

    lost: dict[str, int]
    unexplained: int
    balanced: bool
    lines: tuple[LineVerdict, ...]


def judge(sent: SentLog, counted: Counted, recorded: Recorded, foreign: Callable[[], int]) -> Account:
    """Follows the packets from the exchange's log to the last row.

    Each pair of neighbouring stages is compared by itself, so that a packet is missed once, where it went missing. What
    is missing after the last row has no row to say so, and is unexplained whatever the recorder says.

    Args:
        sent: The exchange's own log.
        counted: The counters at the end.
        recorded: The archive's rows.
        foreign: Counts recorded payloads that the exchange never sent; asked only where packets were lost, since the
            checksum over all of a line says more where none was.
    """
    books = counted.books
    lost = losses(counted, recorded.lost)
    on_the_wire = sum(line.sent for line in sent.lines) - counted.link - sum(map(_arrived, books.sources))
    in_archive = books.last_seq - (recorded.rows - recorded.repeated) - recorded.lost
    unexplained = abs(on_the_wire) + books.unexplained + abs(in_archive) + recorded.repeated
    found = recorded.lines
    lines = tuple(line_verdict(line, found.get(line.name, LineTally())) for line in sent.lines)
    same = foreign() == 0 if any(lost.values()) else all(line.same_bytes for line in lines)
    return Account(lost, unexplained, unexplained == 0 and same, lines)


def _arrived(source: SourceBooks) -> int:
    """Packets of the configured flows that the source knows of, whatever became of them."""
    if source.redirected is not None and source.offered is not None:
        return source.offered - (source.passed_unmatched or 0)
    return source.in_ring + source.lost


def losses(counted: Counted, not_recorded: int) -> dict[str, int]:
    """Lost packets by stage, from the wire to the disk; stages that no source has are left out."""
    lost = {"link": counted.link}
    for name in _BEFORE_RING:
        counts = [getattr(source, name) for source in counted.books.sources]
        known = [count for count in counts if count is not None]
        if known:
            lost[name] = sum(known)
    lost["recorder_overrun"] = max(0, not_recorded - counted.unwritten)
    lost["write_failures"] = min(not_recorded, counted.unwritten)
    return lost


def line_verdict(sent: SentLine, tally: LineTally) -> LineVerdict:
    """One line."""
    return LineVerdict(
        name=sent.name,
        sent=sent.sent,
        recorded=tally.packets,
        same_bytes=tally.crc32c == sent.crc32c and tally.bytes == sent.bytes,
        gaps_made=sum(gap.withheld > 0 for gap in sent.gaps),
        gaps_found=tally.gaps,
        messages_missing=tally.missing,
    )
