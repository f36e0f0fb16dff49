"""A ring's batches as live pcapng: interfaces, drops, link types and the counters that are told every second."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from pcapng_file import STATISTICS, PcapngFile, parse
from ring_batch import EPOCH_NS, Row, ring_batch

from nanotape.storage.live_pcapng import LivePcapng

SECOND_NS = 10**9
CREATED_NS = EPOCH_NS - 3600 * SECOND_NS
UNKNOWN = SimpleNamespace(
    xdp_seen=None, offered=None, rx_dropped=None, rx_ring_full=None, socket_drops=None, lost_with_holder=None
)


@dataclass
class Source:
    """One source of a ring."""

    name: str
    interface: str
    kind: str
    stats: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(**vars(UNKNOWN)))
    loop: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(oversize=0))


@dataclass
class Ring:
    """A ring's tables."""

    entries: list[Source]
    name: str = "main"
    created_ns: int = CREATED_NS

    def sources(self) -> list[Source]:
        """All."""
        return self.entries


@dataclass
class Clock:
    """A clock that a test sets."""

    at_ns: int = EPOCH_NS

    def utc_ns(self) -> int:
        """The time."""
        return self.at_ns

    def monotonic_ns(self) -> int:
        """The same."""
        return self.at_ns

    def sleep(self, seconds: float) -> None:
        """Never called."""
        raise NotImplementedError


class Live:
    """A file that grows."""

    def __init__(self, *sources: Source, from_now: bool = True) -> None:
        """Begins it."""
        self.ring, self.clock, self.pieces = Ring(list(sources)), Clock(), list[bytes]()
        self.pcapng = LivePcapng([self.ring], self.pieces.append, "test", from_now=from_now, clock=self.clock)

    @property
    def file(self) -> PcapngFile:
        """What it is now."""
        return parse(b"".join(self.pieces))

    def tick(self, seconds: float) -> None:
        """So much later."""
        self.clock.at_ns += int(seconds * SECOND_NS)
        self.pcapng.tick()


def afxdp(queue: int = 0, **stats: int) -> Source:
    told = SimpleNamespace(**{**vars(UNKNOWN), "xdp_seen": 100, "rx_dropped": 1, "rx_ring_full": 2, **stats})
    return Source(f"afxdp:eth1:{queue}", "eth1", "afxdp", told)


def test_each_source_is_an_interface_from_the_start_where_only_ethernet_can_come() -> None:
    live = Live(afxdp(0), afxdp(1), Source("pcap:day", "", "pcap"))
    assert [(each.text(2), each.text(3), each.fields["link_type"]) for each in live.file.interfaces] == [
        ("eth1", "afxdp:eth1:0", 1),
        ("eth1", "afxdp:eth1:1", 1),
    ]


def test_packets_bear_their_sources_interface_their_link_type_and_what_was_lost_before() -> None:
    live = Live(afxdp(), Source("pcap:day", "", "pcap"))
    raw, sll, sll2 = (1 << 10, 1 << 8, 1 << 9)
    rows = [
        Row(bytes(60)),
        Row(b"\x45" + bytes(30), source=1, flags=raw),
        Row(bytes(40), source=1, flags=sll, lost_before=7),
        Row(bytes(41), source=1, flags=sll2, wire_length=90),
        Row(b"\x45" + bytes(31), source=1, flags=raw, ts_ns=EPOCH_NS + 1),
    ]
    live.pcapng.show(ring_batch(rows[:2]))
    live.pcapng.show(ring_batch(rows[2:]))
    file = live.file
    links = [each.fields["link_type"] for each in file.interfaces]
    assert links == [1, 101, 113, 276]
    assert [file.interfaces[number].text(2) for number in range(1, 4)] == ["pcap:day"] * 3
    assert [links[block.fields["interface"]] for block in file.packets] == [1, 101, 113, 276, 101]
    assert [block.frame for block in file.packets] == [row.frame for row in rows]
    assert [block.fields["ts"] for block in file.packets] == [row.ts_ns for row in rows]
    assert [block.fields["original"] for block in file.packets] == [60, 31, 40, 90, 32]
    assert [block.number(4) for block in file.packets] == [None, None, 7, None, None]


def test_a_source_that_comes_later_or_is_not_in_the_table_gets_an_interface() -> None:
    live = Live()
    live.pcapng.show(ring_batch([Row(bytes(60), source=3)]))
    live.ring.entries += [afxdp(), afxdp(1)]
    live.pcapng.show(ring_batch([Row(bytes(60), source=1)]))
    live.pcapng.finish()
    assert [(each.text(2), each.text(3)) for each in live.file.interfaces] == [
        ("main:3", None),
        ("eth1", "afxdp:eth1:1"),
    ]
    assert [each.number(8) for each in live.file.of(STATISTICS)] == [1, 1]
    assert [each.number(4) for each in live.file.of(STATISTICS)] == [None, 100]


def test_counters_are_told_each_second_when_they_have_changed_and_at_the_end() -> None:
    live = Live(afxdp(), afxdp(1))
    live.tick(0.5)
    assert live.file.of(STATISTICS) == []
    live.tick(0.5)
    live.tick(1)
    assert len(live.file.of(STATISTICS)) == 2  # nothing moved since
    live.ring.entries[0] = replace(live.ring.entries[0], stats=afxdp(xdp_seen=150, rx_ring_full=6).stats)
    live.pcapng.show(ring_batch([Row(bytes(60))] * 3))
    live.tick(1)
    *_, last = live.file.of(STATISTICS)
    assert len(live.file.of(STATISTICS)) == 3
    assert last.fields == {"interface": 0, "ts": EPOCH_NS + 3 * SECOND_NS}
    assert [last.number(code) for code in (4, 5, 7, 8)] == [50, 4, None, 3]
    assert (last.stamp(2), last.stamp(3)) == (EPOCH_NS, None)
    live.pcapng.finish()
    end_ns = EPOCH_NS + 3 * SECOND_NS
    ends = live.file.of(STATISTICS)[3:]
    assert [(each.fields["interface"], each.stamp(3)) for each in ends] == [(0, end_ns), (1, end_ns)]


def test_who_reads_what_is_old_is_told_all_since_the_ring_was_made() -> None:
    live = Live(afxdp(), Source("socket:lo:0", "lo", "socket"), from_now=False)
    live.ring.entries[1].stats.socket_drops = 4
    live.pcapng.finish()
    first, second = live.file.of(STATISTICS)
    assert [first.number(code) for code in (4, 5, 7, 8)] == [100, 3, None, 0]
    assert [second.number(code) for code in (4, 5, 7, 8)] == [None, None, 4, 0]
    assert first.stamp(2) == CREATED_NS


def test_all_that_was_lost_behind_the_nic_counts_as_dropped_by_the_system() -> None:
    live = Live(afxdp(lost_with_holder=5), Source("pcap:day", "day", "pcap"), from_now=False)
    live.pcapng.show(ring_batch([Row(bytes(60), source=1)]))
    for entry in live.ring.entries:
        entry.loop.oversize = 3
    live.tick(1)
    drops = [block.number(7) for block in live.file.of(STATISTICS)]
    assert drops == [8, 3]
