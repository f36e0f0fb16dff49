"""The packets' pane and what stands behind it: a reader of a real ring, a filter, a packet in words, a file."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pcapng_file
import pytest
from crafted_looks import RING
from frames import market_data
from pictures import driven, picture, ring_picture, screen_text
from ring_flows import add_flow
from ring_writer import EPOCH_NS, RingWriter, Written
from textual.pilot import Pilot

from nanotape.capture.packet_filter import PacketFilter
from nanotape.capture.reader import RingReader
from nanotape.config import Settings, loads
from nanotape.storage.errors import ExportError, FilterError
from nanotape.tui import packet_tail
from nanotape.tui.app import Top
from nanotape.tui.packet_export import export
from nanotape.tui.packet_query import packet_query
from nanotape.tui.packet_tail import PacketTail
from nanotape.tui.packets import PacketsPane
from nanotape.tui.rows_view import RowsView

CAPACITY = 4 << 20


def wait(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.005)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RingWriter]:
    """Of a ring of two lines."""
    made = RingWriter.attach(tmp_path, "main", CAPACITY)
    for at in range(2):
        add_flow(made, "itch", "AB"[at], f"239.0.0.{at + 1}", 15000)
    yield made
    made.close()


def put(writer: RingWriter, count: int, flow_id: int = 1, size: int = 20) -> None:
    first = writer.next_seq
    for at in range(count):
        payload = f"{first + at:08}".encode().ljust(size, b".")
        writer.write(Written(market_data(payload), ts_ns=EPOCH_NS + first + at, flow_id=flow_id))


@pytest.fixture
def tails(tmp_path: Path) -> Iterator[Callable[[str], PacketTail]]:
    """Makes tails that have begun to look, and ends them."""
    made: list[PacketTail] = []

    def make(typed: str = "") -> PacketTail:
        made.append(PacketTail("main", tmp_path, packet_query(typed, {"itch"})))
        wait(lambda: made[-1].trouble is None, "the ring to be opened")
        return made[-1]

    yield make
    for tail in made:
        tail.stop()
        tail.join()


def test_what_comes_is_kept_in_order_as_tail_writes_it(writer: RingWriter, tails: Callable[..., PacketTail]) -> None:
    put(writer, 5)
    tail = tails()
    put(writer, 10)
    put(writer, 10, flow_id=2)
    wait(lambda: tail.counts.read == 20, "20 packets")
    rows = tail.rows()
    assert [row.ring_seq for row in rows] == list(range(6, 26))
    assert rows[0].text.endswith("UDP, length 20 [itch/A]")
    assert rows[-1].text.endswith("[itch/B]")
    assert rows[3].rows.column("payload")[0].as_py().startswith(b"00000009")
    assert (tail.counts.fitting, tail.counts.left_out, tail.counts.skipped, tail.counts.lost) == (20, 0, 0, 0)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("line:B", 7), ("channel:itch line:A", 5), ("itch", 12), ("port:15001", 0), ("udp[8:4] == 0x30303030", 9)],
)
def test_only_what_is_looked_for_is_kept(
    typed: str, expected: int, writer: RingWriter, tails: Callable[..., PacketTail]
) -> None:
    put(writer, 1)
    tail = tails(typed)
    put(writer, 5)
    put(writer, 3, flow_id=2)
    writer.write(*(Written(market_data(b"other stuff"), flow_id=2) for _ in range(4)))
    wait(lambda: tail.counts.read == 12, "12 packets")
    expected = 8 if typed.startswith("udp") else expected
    assert (len(tail.rows()), tail.counts.fitting) == (expected, expected)


def test_what_comes_while_it_reads_is_not_too_fast(
    writer: RingWriter, tails: Callable[..., PacketTail], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some come while those before are looked at, so that no batch is large and the ring is never quite empty."""
    tail = tails()
    coming, read = iter([30, 25, 20, 15, 10, 9, 9, 3]), RingReader.read

    def read_and_more_came(reader: RingReader, max_rows: int) -> object:
        batch = read(reader, max_rows)
        if batch is not None:
            put(writer, next(coming, 0))
        return batch

    monkeypatch.setattr(RingReader, "read", read_and_more_came)
    put(writer, 100)
    wait(lambda: tail.counts.read + tail.counts.skipped == 221, "all packets")
    assert (tail.counts.skipped, tail.counts.lost) == (0, 0)


def test_what_comes_too_fast_is_skipped_and_counted_and_memory_stays_bounded(
    writer: RingWriter, tails: Callable[..., PacketTail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_tail, "_BATCH_ROWS", 10)
    monkeypatch.setattr(packet_tail, "_READ_MAX", 40)
    monkeypatch.setattr(packet_tail, "_SHOWN_MAX", 15)
    monkeypatch.setattr(packet_tail, "_CYCLE_S", 0.3)
    tail = tails()
    put(writer, 1)
    wait(lambda: tail.counts.read == 1, "the first packet")
    for _ in range(3):
        put(writer, 5000)
        wait(lambda: tail.counts.read + tail.counts.skipped >= writer.next_seq - 1 - 5000, "it to go on")
    burst = writer.next_seq

    def goes_on() -> bool:
        put(writer, 1)
        return bool(tail.rows()) and tail.rows()[-1].ring_seq >= burst

    wait(goes_on, "a packet after the burst")
    wait(lambda: tail.counts.read + tail.counts.skipped + tail.counts.lost == writer.next_seq - 1, "the last packet")
    counts = tail.counts
    assert counts.skipped > 10_000
    assert counts.left_out > 0
    assert len(tail.rows()) == counts.fitting - counts.left_out


def test_a_ring_that_is_gone_is_waited_for(writer: RingWriter, tmp_path: Path) -> None:
    tail = PacketTail("main", tmp_path, packet_query("", ()))
    wait(lambda: tail.trouble is None, "the ring to be opened")
    files = sorted(tmp_path.iterdir())
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for file in files:
        file.rename(hidden / file.name)
    wait(lambda: tail.trouble is not None and "not there" in tail.trouble, "the loss of the ring")
    for file in files:
        (hidden / file.name).rename(file)
    wait(lambda: tail.trouble is None, "the ring to be opened again")
    put(writer, 3)
    wait(lambda: tail.rows(), "packets")
    tail.stop()
    tail.join()


def test_what_cannot_be_looked_for_is_refused_in_a_line() -> None:
    assert packet_query("itch", {"itch"}).wanted == PacketFilter(channels=frozenset({"itch"}))
    query = packet_query("group:239.0.0.1 port:5 port:6 source:10.0.0.1 udp or tcp", ())
    assert (query.wanted.ports, query.tcpdump) == (frozenset({5, 6}), "udp or tcp")
    for typed, said in (("port:x", "expected a number"), ("group:here", "expected an IPv4 or IPv6 address")):
        with pytest.raises(ValueError, match=said):
            packet_query(typed, ())
    with pytest.raises(FilterError, match="expected a filter as tcpdump takes it"):
        packet_query("nonsense", ())


def test_an_export_has_each_shown_packet_and_is_never_written_over_another_file(
    writer: RingWriter, tails: Callable[..., PacketTail], tmp_path: Path
) -> None:
    tail = tails("line:A")
    for flow_id in (1, 2, 1):
        put(writer, 100, flow_id)
    wait(lambda: tail.counts.read == 300, "300 packets")
    path = tmp_path / "shown.pcapng"
    assert export(path, tail.rows(), RING) == 200
    file = pcapng_file.parse(path.read_bytes())
    rows = tail.rows()
    frames = [row.rows.column("header")[0].as_py() + row.rows.column("payload")[0].as_py() for row in rows]
    assert [each.frame for each in file.packets] == frames
    assert [each.fields["ts"] for each in file.packets] == [EPOCH_NS + row.ring_seq for row in rows]
    assert file.interfaces[0].text(2) == "eth1"
    before = path.read_bytes()
    with pytest.raises(ExportError, match="expected a name that nothing has, found a file"):
        export(path, rows[:3], RING)
    assert path.read_bytes() == before
    with pytest.raises(ExportError, match="expected packets to export, found none"):
        export(tmp_path / "none.pcapng", [], RING)
    with pytest.raises(ExportError, match="cannot be written"):
        export(tmp_path / "absent" / "x.pcapng", rows, RING)
    (tmp_path / "link.pcapng").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="expected a name that nothing has"):
        export(tmp_path / "link.pcapng", rows, RING)
    assert {each.name for each in tmp_path.iterdir() if "pcapng" in each.name} == {"shown.pcapng", "link.pcapng"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return loads(f'[paths]\nshm_dir = "{tmp_path}"\narchive = "{tmp_path}/archive"\n')


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.02)


def pane_of(app: Top) -> PacketsPane:
    assert isinstance(app.pane, PacketsPane)
    return app.pane


def test_packets_are_shown_held_decoded_filtered_and_exported_at_the_keyboard(
    writer: RingWriter, settings: Settings, tmp_path: Path
) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        pane = pane_of(app)
        table = pane.query_one(RowsView)
        await until(pilot, lambda: pane._tail is not None and pane._tail.trouble is None)
        put(writer, 50)
        await until(pilot, lambda: len(table.rows) == 50)
        for said in ("ring sequence 50", "0x0000:  3030 3030 3030 3530", "00000050"):
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]
        await pilot.press("space", "up")
        put(writer, 5)
        for said in ("HELD", "ring sequence 49"):
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]
        await pilot.pause(0.3)
        assert len(table.rows) == 50
        await pilot.press("x")
        pane._file.value = str(tmp_path / "shown.pcapng")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "shown.pcapng").exists)
        assert len(pcapng_file.parse((tmp_path / "shown.pcapng").read_bytes()).packets) == 50
        await pilot.press("slash", *"line:B", "enter")
        await until(pilot, lambda: pane._tail is not None and pane._tail.trouble is None)
        put(writer, 3, flow_id=2)
        put(writer, 3)
        await until(pilot, lambda: len(table.rows) == 3 and "6 read, 3 fit" in screen_text(app))
        await pilot.press("slash", *" port:x", "enter")
        await until(pilot, lambda: "expected a number up to 65535" in screen_text(app))

    driven(picture(ring_picture(), settings=settings), play, first="packets", size=(120, 40))


def test_packets_of_one_ring_are_never_exported_as_another_ones(
    writer: RingWriter, settings: Settings, tmp_path: Path
) -> None:
    """The next ring while they are held: what was held is let go, as names and interfaces would be the other's."""
    second = ring_picture(replace(RING, name="second"))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        pane = pane_of(app)
        table = pane.query_one(RowsView)
        await until(pilot, lambda: pane._tail is not None and pane._tail.trouble is None)
        put(writer, 5)
        await until(pilot, lambda: len(table.rows) == 5)
        await pilot.press("space", "n", "x")
        assert pane._file.value.startswith("second-")
        pane._file.value = str(tmp_path / "shown.pcapng")
        await pilot.press("enter")
        await pilot.pause()
        assert not (tmp_path / "shown.pcapng").exists()
        assert list(table.rows) == []

    driven(picture(ring_picture(), second, settings=settings), play, first="packets", size=(120, 40))


@pytest.mark.parametrize("size", [(20, 5), (40, 10)])
def test_any_screen_shows_what_it_has_room_for(size: tuple[int, int], writer: RingWriter, settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        put(writer, 10)
        await pilot.press("down", "space", "space", "slash", "x", "escape", "enter", "x", "escape", "n")

    driven(picture(ring_picture(), settings=settings), play, first="packets", size=size)


def test_without_a_ring_it_says_so(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        assert "No ring can be read" in screen_text(app)
        await pilot.press("x", "enter", "escape", "space")

    driven(picture(rings=(), settings=settings), play, first="packets")
