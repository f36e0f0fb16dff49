"""`nanotape top` beside a whole service: its channels, packets and events are those of the counters and the archive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deadline import wait_for
from pictures import driven, screen_text
from service_rig import RING, Rig
from textual.pilot import Pilot

from nanotape.storage.reader import open_archive
from nanotape.tui.app import Top
from nanotape.tui.channel_rows import ChannelRow, channel_rows
from nanotape.tui.channels import ChannelsPane
from nanotape.tui.events import EventsPane
from nanotape.tui.gather import Gatherer
from nanotape.tui.packets import PacketsPane
from nanotape.tui.rows_view import RowsView

pytestmark = pytest.mark.root

RATE, PACKETS = 2000, 44_000
LATE_NS = 1_500_000
CLASSES = 32


@pytest.fixture
def rig(make_service_rig: Callable[..., Rig]) -> Rig:
    """A service that writes what it reads at once."""
    return make_service_rig(kind="packet", descriptors=65_536, capacity="64 MiB")


async def seen(pilot: Pilot[None], condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Waits for a condition while the app goes on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        await pilot.pause(0.05)
    raise AssertionError(f"waited {seconds} s for {what}:\n{screen_text(pilot.app)}")  # type: ignore[arg-type]


def rows_by_line(app: Top) -> dict[str, ChannelRow]:
    return {row.line: row for row in channel_rows(app.picture)} if app.picture else {}


def in_archive(folder: Path) -> pa.Table:
    columns = ["line", "ts", "feed_session", "feed_seq", "feed_count"]
    return pa.Table.from_batches(list(open_archive(folder).packets(columns=columns)))


def skews(packets: pa.Table) -> dict[str, list[int]]:
    """By the line that was first: how often the other came so much later, in powers of two, by a plain loop."""
    arrivals: dict[tuple[str, int], dict[str, int]] = {}
    for row in packets.set_column(1, "ts", packets["ts"].cast(pa.int64())).to_pylist():
        if row["feed_count"]:
            of_seq = arrivals.setdefault((row["feed_session"], row["feed_seq"]), {})
            of_seq.setdefault(row["line"], row["ts"])
    counts: dict[str, list[int]] = {name: [0] * CLASSES for name in "AB"}
    for of_seq in arrivals.values():
        if len(of_seq) == 2:
            first, other = sorted(of_seq, key=lambda name: of_seq[name])
            counts[first][min((of_seq[other] - of_seq[first]).bit_length(), CLASSES - 1)] += 1
    return counts


def test_channels_packets_and_events_are_what_was_sent_and_recorded(rig: Rig, tmp_path: Path) -> None:
    faults = ("--gap", "B:9000:4", "--gap", "A:14000:2", "--gap", "A:16000:1", "--duplicate", "A:11000:3")
    gatherer = Gatherer(rig.settings)

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        exchange = rig.exchange(
            "--rate", str(RATE), "--packets", str(PACKETS), "--delay", f"B:{LATE_NS // 1000}", *faults
        )
        try:
            await rates_are_what_is_sent(app, pilot)
            await packets_are_shown_and_exported(app, pilot, tmp_path / "shown.pcapng")
            sent = exchange.result()
        finally:
            exchange.stop()
        await counts_are_those_of_the_archive(app, pilot, rig, sum(line.sent for line in sent.lines))
        await events_are_those_of_the_archive(app, pilot, rig)

    with rig.service() as service:
        wait_for(lambda: service.wait(0.1) or (rig.folder / "archive").exists(), "the recorder", 30)
        driven(gatherer.look, play, size=(160, 50))
        service.stop()


async def rates_are_what_is_sent(app: Top, pilot: Pilot[None]) -> None:
    def rate_of(name: str) -> int:
        row = rows_by_line(app).get(name)
        return (row.told.packets_per_s or 0) if row else 0

    for name in "AB":
        await seen(pilot, lambda name=name: 0.9 * RATE < rate_of(name) < 1.1 * RATE, f"the rate of line {name}")  # type: ignore[misc]
    await seen(pilot, lambda: all(row.state == "arriving" for row in rows_by_line(app).values()), "arriving")
    await seen(pilot, lambda: " arriving " in screen_text(app), "it to be on the screen")
    first = await seen(pilot, lambda: rows_by_line(app)["A"].told.lead_p50_ns, "the lead")
    assert first == pytest.approx(LATE_NS, rel=0.5)
    row = rows_by_line(app)["A"]
    assert row.told.first_share is not None
    assert row.told.first_share > 0.9


async def packets_are_shown_and_exported(app: Top, pilot: Pilot[None], path: Path) -> None:
    await pilot.press("6")
    pane = app.pane
    assert isinstance(pane, PacketsPane)
    await pilot.press("slash")
    pane._filter.value = "channel:channel-0 line:B udp"
    await pilot.press("enter")
    table = pane.query_one(RowsView)
    await seen(pilot, lambda: len(table.rows) > 500, "packets")
    await pilot.press("space")
    await pilot.pause()
    rows = list(table.rows)
    assert all("239.192.7.2.31001" in row.text and "/B]" in row.text for row in rows)
    assert [row.ring_seq for row in rows] == sorted({row.ring_seq for row in rows})
    assert "sequence " in str(pane._one.render())
    await pilot.press("x")
    pane._file.value = str(path)
    await pilot.press("enter")
    await seen(pilot, path.exists, "the file")
    frames = [b"".join(row.rows.column(name)[0].as_py() for name in ("header", "payload", "trailer")) for row in rows]
    content = path.read_bytes()
    assert all(frame in content for frame in frames[:: len(frames) // 50])
    await pilot.press("escape", "2")


async def counts_are_those_of_the_archive(app: Top, pilot: Pilot[None], rig: Rig, sent: int) -> None:
    archive = rig.folder / "archive"
    await seen(pilot, lambda: sum(row.told.packets or 0 for row in rows_by_line(app).values()) >= sent, "all packets")
    wanted = {"A": 2, "B": 1}

    def explained() -> bool:
        return all(rows_by_line(app)[name].told.gaps_theirs == gaps for name, gaps in wanted.items())

    await seen(pilot, explained, "the gaps to be explained")
    packets, events = in_archive(archive), open_archive(archive).events().to_pylist()
    by_line = Counter(packets["line"].to_pylist())
    expected = skews(packets)
    found = rows_by_line(app)
    for name in "AB":
        told = found[name].told
        assert told.packets == by_line[name]
        gaps = [each for each in events if each["kind"] == "feed_gap" and each["line"] == name]
        assert (told.gaps, told.gaps_ours, told.gaps_theirs) == (len(gaps), 0, wanted[name])
        assert told.missing == told.missing_theirs == sum(each["messages_lost"] for each in gaps)
        doubled = [each for each in events if each["kind"] == "duplicate" and each["line"] == name]
        assert told.duplicates == sum(each["seq_last"] - each["seq_first"] + 1 for each in doubled)
        assert bool(doubled) is (name == "A")
        own = list(told.skew_log2 or ())
        assert own + [0] * (CLASSES - len(own)) == expected[name], "each pair counts, of so few packets"
    await pilot.pause()
    pane = app.pane
    assert isinstance(pane, ChannelsPane)
    row = pane.query_one(RowsView).rows[0]
    assert f"{row.told.last_seq}" in screen_text(app)
    assert "0/2" in screen_text(app)
    assert "0/1" in screen_text(app)


async def events_are_those_of_the_archive(app: Top, pilot: Pilot[None], rig: Rig) -> None:
    await pilot.press("7")
    pane = app.pane
    assert isinstance(pane, EventsPane)
    wanted = {each["id"] for each in open_archive(rig.folder / "archive").events().to_pylist()}
    table = pane.query_one(RowsView)
    await seen(pilot, lambda: wanted <= {event["id"] for event in table.rows}, "all events")
    await pilot.press("slash", *"channel:channel-0", "enter")
    await seen(pilot, lambda: {each["channel"] for each in table.rows} == {"channel-0"}, "those of the channel")
    assert sum(each["kind"] == "feed_gap" for each in table.rows) == 3
    assert RING in {each["ring"] for each in table.rows}
