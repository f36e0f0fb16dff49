"""The channels' pane at the keyboard: sorting, filtering, the detail of a line, and what it says of what is gone."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from crafted_looks import NOW_NS, SECOND_NS
from pictures import driven, picture, ring_picture, screen_text
from rich.cells import cell_len
from textual.pilot import Pilot

from nanotape.capture.counters import Flow
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine, RecordedTraffic
from nanotape.config import Settings, loads
from nanotape.tui.app import Top
from nanotape.tui.channel_rows import ChannelRow
from nanotape.tui.channels import ChannelsPane
from nanotape.tui.picture import RingPicture
from nanotape.tui.rows_view import RowsView

AT_NS = NOW_NS + SECOND_NS


def flows(count: int) -> tuple[Flow, ...]:
    return tuple(
        Flow(
            at + 1,
            "f",
            f"chan{at // 2:03}",
            "AB"[at % 2],
            "moldudp64",
            "incremental",
            "eth1",
            "239.0.0.1",
            None,
            at,
            None,
        )
        for at in range(count)
    )


def told(at: int, **changes: object) -> RecordedLine:
    line = RecordedLine(
        AT_NS - 10**8, "session", "key", 1000 + at, 5, 9, 3, 1, 0,
        packets=10**6, framing="moldudp64", packets_per_s=at * 10, bits_per_s=at * 1000, messages_per_s=at * 30,
        peak_packets_per_s=5000, peak_bits_per_s=10**7, peak_1ms_packets=40, gaps_ours=2, gaps_theirs=2,
        missing_ours=4, missing_theirs=5, first_share=0.72, lead_p50_ns=1250, skew_log2=(0, 0, 5, 9),
    )  # fmt: skip
    return replace(line, **changes)  # type: ignore[arg-type]


def ring(count: int = 60, name: str = "main", at_ns: int = AT_NS) -> RingPicture:
    table = flows(count)
    lines = {(each.channel, each.line): told(at) for at, each in enumerate(table)}
    feeds = RecordedFeeds(at_ns, lines, (), RecordedTraffic(at_ns // SECOND_NS * SECOND_NS))
    made = ring_picture()
    return replace(
        made, name=name, look=replace(made.look, facts=replace(made.look.facts, flows=table, name=name)), feeds=feeds
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a host without an archive."""
    return loads(f'[paths]\narchive = "{tmp_path}/archive"\n')


def table_of(app: Top) -> RowsView[ChannelRow]:
    pane = app.pane
    assert isinstance(pane, ChannelsPane)
    return pane.query_one(RowsView)


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.02)


def lines_of(app: Top) -> list[str]:
    return [f"{row.channel}{row.line}" for row in table_of(app).rows]


def test_rows_are_sorted_by_a_key_and_by_a_click_on_a_title(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        assert lines_of(app)[:2] == ["chan000A", "chan000B"]
        await pilot.press(*"oooo")
        await pilot.pause()
        assert lines_of(app)[0] == "chan029B"
        await until(pilot, lambda: "PKT/S▾" in screen_text(app))
        await pilot.press("O")
        assert lines_of(app)[0] == "chan000A"
        head = screen_text(app).splitlines().index(next(x for x in screen_text(app).splitlines() if "LAST SEQ" in x))
        column = screen_text(app).splitlines()[head].index("LAST SEQ")
        await pilot.click(offset=(column + 1, head))
        await pilot.pause()
        assert lines_of(app)[0] == "chan029B"
        await until(pilot, lambda: "by LAST SEQ" in screen_text(app))

    driven(picture(ring(), settings=settings), play, first="channels")


def test_typing_filters_and_escape_shows_all_again(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"n01 /a")
        await pilot.pause()
        assert lines_of(app) == [f"chan01{at}A" for at in range(10)]
        await until(pilot, lambda: "10 shown: 'n01 /a'" in screen_text(app))
        await pilot.press("enter", "down", "down")
        assert table_of(app).current is not None
        assert table_of(app).current.channel == "chan012"
        await pilot.press("escape")
        assert len(lines_of(app)) == 60
        assert table_of(app).current.channel == "chan012", "the cursor stays on its row"

    driven(picture(ring(), settings=settings), play, first="channels")


def test_enter_shows_a_line_in_detail_and_escape_the_table_where_it_was(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        for said in (
            "chan001 line A  arriving  moldudp64",
            "ours 2 (4 messages), theirs 2 (5), nobody knows 1",
            "first   72%, by  1.25us",
            "< 8 ns      9  64.3%",
        ):
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]
        await pilot.press("pagedown", "pagedown", "end")
        await pilot.pause()
        await until(pilot, lambda: "Lately, the newest first:" in screen_text(app))
        await pilot.press("escape")
        await pilot.pause()
        assert table_of(app).has_focus
        assert table_of(app).cursor == 2

    driven(picture(ring(), settings=settings), play, first="channels", size=(80, 40))


def test_what_is_gone_is_said_and_comes_again(settings: Settings) -> None:
    moments = [picture(ring(), settings=settings)]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "60 lines: 60 arriving" in screen_text(app))
        for made, said in (
            (picture(replace(ring(), feeds=None), settings=settings), "no recorder tells of its lines"),
            (picture(rings=(), settings=settings), "No ring can be read"),
            (picture(ring(4), settings=settings), "4 lines: 4 arriving"),
        ):
            moments.append(made)
            while app.picture is not made:
                await pilot.pause(0.02)
            await pilot.pause()
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]

    driven(lambda: moments[-1], play, first="channels")


def test_several_rings_have_a_column_for_their_name(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.pause()
        await until(pilot, lambda: "RING" in screen_text(app))
        assert len({row.key for row in table_of(app).rows}) == 8

    driven(picture(ring(4), ring(4, "second"), settings=settings), play, first="channels")


def test_sorted_by_the_ring_it_goes_on_by_key_also_when_one_ring_is_left(settings: Settings) -> None:
    moments = [picture(ring(4), ring(4, "second"), settings=settings)]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        lines = screen_text(app).splitlines()
        head = next(at for at, line in enumerate(lines) if "LAST SEQ" in line)
        await pilot.click(offset=(lines[head].index("RING"), head))
        await pilot.pause()
        await until(pilot, lambda: "by RING" in screen_text(app))
        await pilot.press("o")
        await pilot.pause()
        await until(pilot, lambda: "by CHANNEL" in screen_text(app))
        await pilot.press(*"o" * 20)  # all columns, none, and the first
        await pilot.pause()
        await until(pilot, lambda: "by RING" in screen_text(app))
        moments.append(picture(ring(4), settings=settings))
        while app.picture is not moments[-1]:
            await pilot.pause(0.02)
        await pilot.press("o", "o")
        await pilot.pause()
        await until(pilot, lambda: "by CHANNEL" in screen_text(app))

    driven(lambda: moments[-1], play, first="channels")


def test_names_of_any_width_leave_the_columns_where_they_are(settings: Settings) -> None:
    made = ring(4)
    facts = made.look.facts
    names = iter((("漢字チャンネル", "Primary"), ("é", "B"), ("x" * 40, "漢"), ("plain", "a-line-too-long")))
    renamed = tuple(
        replace(each, channel=channel, line=line) for each in facts.flows for channel, line in [next(names)]
    )
    made = replace(made, look=replace(made.look, facts=replace(facts, flows=renamed)))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        lines = screen_text(app).splitlines()
        head = next(at for at, line in enumerate(lines) if "LAST SEQ" in line)
        rows = lines[head + 1 : head + 5]
        column = cell_len(lines[head][: lines[head].index("STATE")])
        assert [cell_len(row[: row.index("unknown")]) for row in rows] == [column] * 4
        assert [row.split()[:2] for row in rows[:2]] == [["漢字チャンネル", "Primary"], ["é", "B"]]
        assert rows[3].split()[:2] == ["plain", "a-line-…"]

    driven(picture(replace(made, feeds=None), settings=settings), play, first="channels", size=(160, 24))


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (300, 80)])
def test_any_screen_shows_what_it_has_room_for(size: tuple[int, int], settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("down", "end", *"ooo", "enter", "escape", "slash", "a", "escape", "pageup")
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        await pilot.resize_terminal(*size)
        await pilot.pause()
        if size[0] >= 40:
            await until(pilot, lambda: "chan0" in screen_text(app))
        await until(pilot, lambda: ("GROUP" in screen_text(app)) is (size[0] >= 300))

    driven(picture(ring(), settings=settings), play, first="channels", size=size)


def test_only_lines_that_changed_are_drawn_again(settings: Settings) -> None:
    moments = [picture(ring(), settings=settings)]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.pause()
        table, drawn = table_of(app), []
        render = table.render_line
        table.render_line = lambda y: (drawn.append(y), render(y))[1]  # type: ignore[method-assign,func-returns-value]
        made = ring(at_ns=AT_NS + SECOND_NS)
        assert made.feeds is not None
        lines = {**made.feeds.lines, ("chan002", "A"): told(4, duplicates=77)}
        lines["chan025", "A"] = told(50, duplicates=78)  # out of view
        # Each line's newest packet is a second younger, so that its age stays.
        lines = {key: replace(each, last_ts_ns=(each.last_ts_ns or 0) + SECOND_NS) for key, each in lines.items()}
        moments.append(picture(replace(made, feeds=replace(made.feeds, lines=lines)), settings=settings))
        while app.picture is not moments[-1]:
            await pilot.pause(0.02)
        await pilot.pause(0.1)
        await until(pilot, lambda: " 77 " in screen_text(app))
        assert set(drawn) == {5}
        table.render_line = render  # type: ignore[method-assign]

    driven(lambda: moments[-1], play, first="channels")
