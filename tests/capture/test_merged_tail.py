"""`tail` over several rings: each row chosen and shown by its own ring's tables, each loss told with its ring."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from frames import market_data
from merge_rig import Rig, Script, row
from pcapng_file import parse

from nanotape.capture.counters import Flow
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.json_format import JsonFormat
from nanotape.capture.line_format import LineFormat
from nanotape.capture.merged_tail import MergedFilter, MergedText
from nanotape.capture.packet_filter import BatchFilter, PacketFilter
from nanotape.capture.tail import Sink, Tail, TailTotals, TextSink
from nanotape.storage.live_pcapng import LivePcapng

SECOND_NS = 10**9
Acts = Sequence[Callable[[], object]]


@dataclass
class Table:
    """A flow table whose flow 1 is a line of this name."""

    line: str

    def flows(self) -> tuple[Flow, ...]:
        """One."""
        return (Flow(1, "f", "one", self.line, "none", "incremental", "eth1", "239.1.2.3", None, 15000, None),)


TABLES = {name: FlowTable(Table(line)) for name, line in (("a", "A"), ("b", "B"))}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig(2) as made:
        yield made


def shown(
    rig: Rig, sink: Sink, wanted: PacketFilter | None = None, count: int | None = None, acts: Acts = ()
) -> list[str]:
    """Has a tail show what is there, and what comes of the acts; returns what it tells of losses."""
    said: list[str] = []
    chosen = MergedFilter({name: BatchFilter(wanted or PacketFilter(), flows) for name, flows in TABLES.items()})
    script = Script(rig, *acts)
    Tail(rig.merged, chosen, sink, said.append, TailTotals(), count).run(
        lambda: script.is_over, lambda _seconds: script.wait()
    )
    return said


def test_lines_of_two_rings_stand_in_the_order_of_their_stamps_with_their_own_rings_flows(rig: Rig) -> None:
    rig.writers[0].write(row(SECOND_NS, flow_id=1), row(3 * SECOND_NS))
    rig.writers[1].write(row(2 * SECOND_NS, flow_id=1), row(4 * SECOND_NS, flow_id=1))
    pieces: list[bytes] = []
    formats = {name: LineFormat(flows, None, name) for name, flows in TABLES.items()}
    assert shown(rig, TextSink(MergedText(formats).text, pieces.append)) == []
    lines = b"".join(pieces).decode().splitlines()
    assert [(line[:8], line[line.index("[") :]) for line in lines] == [
        ("00:00:01", "[one/A, ring a]"),
        ("00:00:02", "[one/B, ring b]"),
        ("00:00:03", "[other, ring a]"),
        ("00:00:04", "[one/B, ring b]"),
    ]


def test_dumps_stay_behind_their_own_lines(rig: Rig) -> None:
    rig.writers[0].write(row(1, market_data(b"first")))
    rig.writers[1].write(row(2, market_data(b"second")))
    pieces: list[bytes] = []
    formats = {name: LineFormat(flows, "ascii", name) for name, flows in TABLES.items()}
    shown(rig, TextSink(MergedText(formats).text, pieces.append))
    text = b"".join(pieces).decode()
    places = [text.index(word) for word in ("ring a]", "firs", "ring b]", "seco")]
    assert places == sorted(places)


def test_a_filter_goes_by_the_flows_of_each_ring_and_a_count_by_what_is_shown(rig: Rig) -> None:
    rig.writers[0].write(*(row(at, flow_id=1) for at in range(0, 20, 2)))
    rig.writers[1].write(*(row(at, flow_id=1) for at in range(1, 20, 2)))
    pieces: list[bytes] = []
    formats = {name: JsonFormat(ring, TABLES[name]) for name, ring in zip("ab", rig.rings, strict=True)}
    shown(rig, TextSink(MergedText(formats).text, pieces.append), PacketFilter(lines=frozenset("B")), count=4)
    rows = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [(entry["ts_ns"], entry["line"]) for entry in rows] == [(1, "B"), (3, "B"), (5, "B"), (7, "B")]


def test_what_was_lost_counts_with_the_next_row_of_its_own_ring_that_is_shown(rig: Rig) -> None:
    """Ring a is lapped, and what is left of it is not chosen; ring b shows rows before ring a has one that is."""
    for begin in range(0, 3000, 100):
        rig.writers[0].write(*(row(at) for at in range(begin, begin + 100)))
    acts = (
        lambda: rig.pass_time(11),
        lambda: rig.writers[1].write(*(row(4000 + at, flow_id=1) for at in range(10))),
        lambda: rig.pass_time(11),
        lambda: rig.writers[0].write(row(5000, flow_id=1), row(5001, flow_id=1)),
    )
    losses: dict[str, list[int]] = {"a": [], "b": []}

    class Losses:
        def show(self, batch: object) -> None:
            for ring, _, _, lost in rig.rows(batch):
                losses[ring].append(lost)

        def tick(self) -> None:
            """Nothing."""

        def finish(self) -> None:
            """Nothing."""

    (said,) = shown(rig, Losses(), PacketFilter(channels=frozenset({"one"})), acts=acts)
    assert losses == {"a": [rig.readers["a"].lost, 0], "b": [0] * 10}
    first = rig.readers["a"].lost + 1
    assert said == f"ring a: lost {first - 1:,} packets before ring sequence {first}: the ring had moved on"


def test_pcapng_has_an_interface_for_each_source_of_each_ring(rig: Rig) -> None:
    rig.writers[0].write(row(1), row(4, source=1))
    rig.writers[1].write(row(2), row(3))
    pieces: list[bytes] = []
    shown(rig, LivePcapng(rig.rings, pieces.append, "test", from_now=True))
    file = parse(b"".join(pieces))
    described = [file.interfaces[block.fields["interface"]].text(3) for block in file.packets]
    assert [block.fields["ts"] for block in file.packets] == [1, 2, 3, 4]
    assert len(file.interfaces) == 3
    numbers = [block.fields["interface"] for block in file.packets]
    assert numbers[1] == numbers[2]
    assert len({numbers[0], numbers[1], numbers[3]}) == 3
    assert all(text and text.startswith("of ring ") for text in described)
