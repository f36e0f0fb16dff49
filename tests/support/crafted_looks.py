"""Looks at a ring that never was: all is well with it, until a test changes something."""

from __future__ import annotations

from dataclasses import replace

from nanotape.capture.conservation import RingBooks, source_books
from nanotape.capture.counters import LoopCounters, SourceCounters, SourceStats, SystemCalls
from nanotape.capture.health import Look, RingHealth, Space, ring_health
from nanotape.capture.listing import RingFacts
from nanotape.capture.readers import ReaderFacts

SECOND_NS = 10**9
NOW_NS = 1_795_219_200 * SECOND_NS
GIB, MIB = 1 << 30, 1 << 20

ZERO = dict.fromkeys((name for name in LoopCounters.__slots__), 0)
LOOP = LoopCounters(
    **{**ZERO, "packets": 1000, "bytes": 242_000, "polls_busy": 10, "polls_idle": 90, "last_packet_ns": NOW_NS,
       "batch_histogram": (), "delay_histogram": ()}
)  # fmt: skip
STATS = SourceStats(
    **{**dict.fromkeys(SourceStats.__slots__, 0), "offered": None, "socket_drops": None, "updated_ns": NOW_NS,
       "xdp_seen": 1000, "xdp_redirected": 1000}
)  # fmt: skip
SOURCE = SourceCounters(0, "afxdp:eth1:0", "eth1", "afxdp", 0, False, False, LOOP, STATS)
RECORDER = ReaderFacts(
    name="recorder", pid=77, alive=True, current=True, position=0, lag_bytes=MIB, lag_share=1 / 64, next_seq=900,
    first_seq=1, records=900, lost=0, loss_events=0, recorded=900, write_failures=0, written_bytes=90_000,
    updated_ns=NOW_NS,
)  # fmt: skip
RING = RingFacts(
    name="main", path="/dev/shm/nanotape/main.ring", host="host-1", ring_id="a" * 32, capacity_bytes=64 * MIB,
    memory="huge_2m", fallback_reason=None, locked=True, created_ns=NOW_NS - 3600 * SECOND_NS, epoch=1,
    clock_domain="tai", writer_pid=66, writer_alive=True, published_bytes=300_000, packets=1000, flows=(),
    sources=(SOURCE,), readers=(RECORDER,), system_calls=SystemCalls("count", 0, None, None),
)  # fmt: skip
SPACE = Space("/archive", 100 * GIB, 50 * GIB)


def look(facts: RingFacts = RING, space: Space | None = SPACE, at_ns: int = NOW_NS) -> Look:
    """A look at these facts, with the books that belong to them."""
    facts = replace(facts, packets=sum(source.loop.packets for source in facts.sources))
    books = RingBooks(facts.name, tuple(map(source_books, facts.sources)), facts.packets, facts.packets)
    return Look(at_ns, at_ns, facts, books, space)


def loop(facts: RingFacts = RING, **changes: int | None) -> RingFacts:
    """The facts with another loop's counters."""
    source = facts.sources[0]
    return replace(facts, sources=(replace(source, loop=replace(source.loop, **changes)),))  # type: ignore[arg-type]


def stats(facts: RingFacts = RING, **changes: int | None) -> RingFacts:
    """The facts with other counters before the loop."""
    source = facts.sources[0]
    return replace(facts, sources=(replace(source, stats=replace(source.stats, **changes)),))  # type: ignore[arg-type]


def recorder(facts: RingFacts = RING, **changes: object) -> RingFacts:
    """The facts with another recorder."""
    return replace(facts, readers=(replace(facts.readers[0], **changes),))  # type: ignore[arg-type]


def later(facts: RingFacts = RING, packets: int = 500) -> RingFacts:
    """A second later, so many packets further, in order."""
    end_ns = NOW_NS + SECOND_NS
    moved = loop(
        facts,
        packets=facts.sources[0].loop.packets + packets,
        bytes=facts.sources[0].loop.bytes + 242 * packets,
        polls_busy=20,
        polls_idle=180,
        last_packet_ns=end_ns,
    )
    before = facts.sources[0].stats
    moved = stats(
        moved,
        updated_ns=end_ns,
        xdp_seen=(before.xdp_seen or 0) + packets,
        xdp_redirected=(before.xdp_redirected or 0) + packets,
    )
    return recorder(replace(moved, published_bytes=facts.published_bytes + 300 * packets), updated_ns=end_ns)


def health(first: RingFacts = RING, second: RingFacts | None = None, space: Space | None = SPACE) -> RingHealth:
    """What the two looks say, a second apart."""
    second = later(first) if second is None else second
    return ring_health(look(first, space), look(second, space, NOW_NS + SECOND_NS))


def of_files(facts: RingFacts) -> RingFacts:
    """The same, read from a capture file."""
    source = facts.sources[0]
    told = {"offered": source.loop.packets, "updated_ns": source.stats.updated_ns}
    unknown = SourceStats(**{**dict.fromkeys(SourceStats.__slots__), **told})
    return replace(facts, sources=(replace(source, kind="pcap", name="pcap:file", stats=unknown),))
