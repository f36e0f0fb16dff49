"""Two looks at a ring, a moment apart, and the figures that answer: is it capturing, losing, recording, is there room?

Pure: looks are taken by `looks.py`, what is wrong with the figures is said by `findings.py`. None is unknown, never 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nanotape.capture.conservation import RingBooks, SourceBooks
from nanotape.capture.counters import SourceCounters, SystemCalls
from nanotape.capture.listing import RingFacts
from nanotape.capture.readers import ReaderFacts
from nanotape.capture.service_state import ServiceState

STAGES = ("passed_no_socket", "rx_dropped", "rx_ring_full", "socket_drops", "lost_with_holder", "oversize")
"""Where packets are lost before the ring: fields of `SourceBooks`."""
RECENT_NS = 600 * 10**9
"""Deaths of processes are counted over this time."""
_ONE_LOOK_S = 1e-6
"""So near to each other are not two looks."""


@dataclass(frozen=True, slots=True)
class Space:
    """The file system of an archive."""

    path: str
    """The archive, or the nearest folder above it that is there."""
    total_bytes: int
    free_bytes: int
    """What users without privilege may still write."""
    kept_bytes: int = 0
    """What the recorder keeps free by deleting what was recorded first; 0: nothing."""

    @property
    def free_share(self) -> float:
        """Of the total, from 0 to 1."""
        return self.free_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """One ring at one moment."""

    at_ns: int
    """UTC."""
    monotonic_ns: int
    facts: RingFacts
    books: RingBooks
    space: Space | None
    """None: the archive's file system cannot be asked."""
    service: ServiceState | None = None
    """None: it does not tell."""


@dataclass(frozen=True, slots=True)
class ReaderHealth:
    """One reader of a ring."""

    name: str
    pid: int
    alive: bool
    current: bool
    """False: it reads, or read, an earlier ring of this name."""
    records: bool
    """Whether it is a recorder."""
    lag_bytes: int | None
    lag_share: float | None
    """Of the ring: at 1 it is being lapped."""
    holds_s: float | None
    """Seconds until it is lapped, should it stop now; None: unknown, or nothing comes in."""
    lapped_in_s: float | None
    """Seconds until it is lapped if all goes on as it does; None: unknown, or it does not fall behind."""
    silent_s: float | None
    """Seconds since it last told of itself, when it has not between the looks; None: it has."""
    lost: int
    """Since it began."""
    lost_now: int
    """Between the looks."""
    recorded: int | None
    write_failures: int | None
    write_failures_now: int
    write_bytes_s: float | None
    """Bytes a second that it puts on disk, from its bytes per packet so far; None: unknown."""


@dataclass(frozen=True, slots=True)
class RingHealth:
    """What two looks at a ring say."""

    name: str
    interval_s: float
    """Between the looks."""
    capturing: bool
    """Its writer lives, and its loop goes round."""
    writer_pid: int | None
    """None after a clean end."""
    writer_alive: bool
    restarted: bool
    """Another writer, or a new ring, since the first look."""
    reads_files: bool
    """All its sources are files: it ends when they do, and their stamps are not of today."""
    packets: int
    """Since the ring was made."""
    other: int
    """Of these, those of no configured flow."""
    unparsed: int
    """Of these, those whose headers could not be read."""
    bad_stamps: int
    """In the ring, with a stamp that cannot be right."""
    packets_s: float
    bits_s: float
    """Bits of frames a second."""
    capacity_bytes: int
    memory: str
    fallback_reason: str | None
    created_ns: int
    """UTC."""
    last_packet_s: float | None
    """Seconds since the newest packet's stamp; None: there was none, or only from files."""
    lost: dict[str, int]
    """By stage before the ring, since the ring was made; only what is not 0."""
    lost_now: dict[str, int]
    """The same, between the looks."""
    unexplained: int | None
    """Packets that the books cannot account for; None: cannot be judged just now."""
    is_offered_known: bool
    """False: of some source nobody counts what was sent to it, so that its books begin at the ring."""
    deaths: dict[str, int]
    """How often each process of the service ended unasked in the last ten minutes; only what is not 0."""
    readers: tuple[ReaderHealth, ...]
    space: Space | None
    full_in_s: float | None
    """Seconds until the archive's file system is full at the present rate, of all rings looked at that are recorded
    there; None: unknown, nothing is written, or room is made."""
    service: ServiceState | None
    """What the service tells that runs, or ran, the ring; None: nothing."""
    system_calls: SystemCalls
    """Of its loops: a defect each."""
    system_calls_now: int
    """How many between the looks."""

    @property
    def is_compared(self) -> bool:
        """Whether they are two looks, and not one with itself: then no rate and no loss of now is known."""
        return self.interval_s > _ONE_LOOK_S

    @property
    def recorders(self) -> tuple[ReaderHealth, ...]:
        """The readers that record. One that died over an earlier ring of this name is history."""
        return tuple(reader for reader in self.readers if reader.records and (reader.alive or reader.current))


def ring_health(first: Look, second: Look) -> RingHealth:
    """The figures of one ring.

    Args:
        first: The earlier look.
        second: The later look at the ring of the same name.
    """
    restarted = (first.facts.ring_id, first.facts.epoch) != (second.facts.ring_id, second.facts.epoch)
    if first.facts.ring_id != second.facts.ring_id:
        first = second  # nothing of the earlier one can be compared
    facts = second.facts
    interval_s = max(second.monotonic_ns - first.monotonic_ns, 1) / 1e9
    packets_s = (facts.packets - first.facts.packets) / interval_s
    published_s = (facts.published_bytes - first.facts.published_bytes) / interval_s
    readers = tuple(_reader(reader, first, second, published_s, packets_s) for reader in facts.readers)
    now = {stage: _stage(second, stage) for stage in STAGES}
    return RingHealth(
        name=facts.name,
        interval_s=interval_s,
        capturing=facts.writer_alive and (restarted or not _stands_still(first.facts, facts)),
        writer_pid=facts.writer_pid,
        writer_alive=facts.writer_alive,
        restarted=restarted,
        reads_files=_reads_files(facts),
        packets=facts.packets,
        other=sum(source.loop.other for source in facts.sources),
        unparsed=sum(source.loop.unparsed for source in facts.sources),
        bad_stamps=sum(source.loop.bad_stamps for source in facts.sources),
        packets_s=packets_s,
        bits_s=8 * (_bytes(facts) - _bytes(first.facts)) / interval_s,
        capacity_bytes=facts.capacity_bytes,
        memory=facts.memory,
        fallback_reason=facts.fallback_reason,
        created_ns=facts.created_ns,
        last_packet_s=_last_packet_s(second),
        lost={stage: count for stage, count in now.items() if count},
        lost_now={stage: count - was for stage, count in now.items() if count > (was := _stage(first, stage))},
        unexplained=_unexplained(first, second),
        readers=readers,
        space=second.space,
        full_in_s=seconds_until_full(second.space, (reader.write_bytes_s for reader in readers if reader.alive)),
        is_offered_known=all(source.offered is not None for source in second.books.sources),
        deaths=_deaths(second),
        service=second.service,
        system_calls=facts.system_calls,
        system_calls_now=(facts.system_calls.made or 0) - (first.facts.system_calls.made or 0),
    )


def seconds_until_full(space: Space | None, written_s: Iterable[float | None]) -> float | None:
    """At so many bytes a second; None: unknown, or never, since room is made."""
    together = sum(each or 0.0 for each in written_s)
    return space.free_bytes / together if space and together > 0 and not space.kept_bytes else None


def _reader(reader: ReaderFacts, first: Look, second: Look, published_s: float, packets_s: float) -> ReaderHealth:
    earlier = next((each for each in first.facts.readers if (each.name, each.pid) == (reader.name, reader.pid)), None)
    room = None if reader.lag_bytes is None else max(0, second.facts.capacity_bytes - reader.lag_bytes)
    growth_s = _growth(reader, earlier, first, second)
    told = earlier is None or reader.updated_ns != earlier.updated_ns
    per_packet = reader.written_bytes / reader.recorded if reader.written_bytes and reader.recorded else None
    return ReaderHealth(
        name=reader.name,
        pid=reader.pid,
        alive=reader.alive,
        current=reader.current,
        records=reader.recorded is not None,
        lag_bytes=reader.lag_bytes,
        lag_share=reader.lag_share,
        holds_s=room / published_s if room is not None and published_s > 0 else None,
        lapped_in_s=room / growth_s if room is not None and growth_s is not None and growth_s > 0 else None,
        silent_s=None if told else max(0, second.at_ns - reader.updated_ns) / 1e9,
        lost=reader.lost,
        lost_now=max(0, reader.lost - (earlier.lost if earlier else 0)),
        recorded=reader.recorded,
        write_failures=reader.write_failures,
        write_failures_now=max(0, (reader.write_failures or 0) - ((earlier.write_failures or 0) if earlier else 0)),
        write_bytes_s=None if per_packet is None else per_packet * packets_s,
    )


def _growth(reader: ReaderFacts, earlier: ReaderFacts | None, first: Look, second: Look) -> float | None:
    """Bytes a second by which a reader's lag grows."""
    if earlier is None or earlier.lag_bytes is None or reader.lag_bytes is None:
        return None
    return (reader.lag_bytes - earlier.lag_bytes) / (max(second.monotonic_ns - first.monotonic_ns, 1) / 1e9)


def _stage(look: Look, stage: str) -> int:
    return sum(getattr(source, stage) or 0 for source in look.books.sources)


def _bytes(facts: RingFacts) -> int:
    return sum(source.loop.bytes for source in facts.sources)


def _reads_files(facts: RingFacts) -> bool:
    return bool(facts.sources) and all(source.kind == "pcap" for source in facts.sources)


def _polls(facts: RingFacts) -> int:
    return sum(source.loop.polls_busy + source.loop.polls_idle for source in facts.sources)


def _stands_still(first: RingFacts, second: RingFacts) -> bool:
    """A loop that lives polls, even when nothing comes."""
    return bool(second.sources) and _polls(first) == _polls(second)


def _last_packet_s(look: Look) -> float | None:
    stamps = [source.loop.last_packet_ns for source in look.facts.sources if source.kind != "pcap"]
    known = [stamp for stamp in stamps if stamp is not None]
    return max(0, look.at_ns - max(known)) / 1e9 if known else None


def _unexplained(first: Look, second: Look) -> int | None:
    """What the books leave over, and what moved between the looks cannot explain.

    While packets move, the counters before the loop lag behind those in it, by a few tenths of a second's worth. So
    both looks must leave over more than came in between them; where nothing came, anything left over counts.
    """
    facts = second.facts
    if not facts.sources or (facts.writer_pid is not None and not facts.writer_alive):
        return None  # nobody counted, or the one who did was killed: its successor settles the books
    if facts.writer_alive and not all(map(_is_told, first.facts.sources, facts.sources)):
        return None
    before = {source.name: source for source in first.books.sources}
    moved = sum(_moved(before.get(source.name), source) for source in second.books.sources)
    least = min(first.books.unexplained, second.books.unexplained)
    return None if 0 < least <= moved else least


def _is_told(before: SourceCounters, after: SourceCounters) -> bool:
    """Whether a source's counters before the loop are from between the looks; those that it does not have are."""
    return after.stats.updated_ns is None or after.stats.updated_ns != before.stats.updated_ns


def _moved(before: SourceBooks | None, after: SourceBooks) -> int:
    if before is None:
        return after.in_ring
    return max(after.in_ring - before.in_ring, (after.offered or 0) - (before.offered or 0))


def _deaths(look: Look) -> dict[str, int]:
    recent = [
        process for process, at_ns in (look.service.deaths if look.service else ()) if at_ns > look.at_ns - RECENT_NS
    ]
    return {process: recent.count(process) for process in dict.fromkeys(recent)}
