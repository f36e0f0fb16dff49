"""The events' pane: what another process tells, newest first or following, filtered, whatever becomes of an archive."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crafted_looks import NOW_NS
from pictures import driven, picture, screen_text
from textual.pilot import Pilot

from nanotape.config import Settings, loads
from nanotape.tui import event_source
from nanotape.tui.app import Top
from nanotape.tui.event_rows import EventFilter, event_words
from nanotape.tui.event_source import EventSource, SharedEvents
from nanotape.tui.events import EventsPane
from nanotape.tui.rows_view import RowsView

_NAMES = (
    "host", "ring", "channel", "line", "stage", "cause", "filled_by", "seq_kind", "seq_first", "seq_last",
    "packets_lost", "messages_lost", "detail",
)  # fmt: skip


def event(name: str, at_s: int, kind: str = "feed_gap", severity: str = "error", **facts: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(_NAMES),
        "id": name,
        "ts_start": NOW_NS + at_s * 10**9,
        "ts_end": None,
        "kind": kind,
        "severity": severity,
        "host": "box",
        "ring": "main",
        **facts,
    }


GAP = event(
    "1", 1, channel="itch", line="A", cause="upstream", seq_kind="feed", seq_first=5, seq_last=9, messages_lost=5
)
LINK = event("2", 2, "link", "warning", detail="eth1 is down")
START = event("3", 3, "restart", "info", detail="recorder begins")
PROGRAM = """
import json, sys
for line in open(sys.argv[1]):
    sys.stdout.write(line)
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a process tell what a test wants, in place of one that reads an archive."""
    told = tmp_path / "told"

    def command(_archive: Path, _since_ns: int) -> list[str]:
        return [sys.executable, "-S", "-c", PROGRAM, str(told)]

    def make(archive: Path, now_ns: int) -> EventSource:
        return EventSource(archive, now_ns, command)

    monkeypatch.setattr(event_source, "_AGAIN_S", 0.05)
    shared = SharedEvents(make)
    for module in ("events", "channel_detail"):
        monkeypatch.setattr(f"nanotape.tui.{module}.SHARED", shared)

    def tell(*objects: dict[str, Any]) -> None:
        told.write_text("".join(json.dumps(each) + "\n" for each in objects))

    return tell


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return loads(f'[paths]\narchive = "{tmp_path}/archive"\n')


def table_of(app: Top) -> RowsView[dict[str, Any]]:
    pane = app.pane
    assert isinstance(pane, EventsPane)
    return pane.query_one(RowsView)


def ids(app: Top) -> str:
    return "".join(each["id"] for each in table_of(app).rows)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.02)


def test_events_stand_newest_first_and_the_chosen_one_in_whole(tell: Callable[..., None], settings: Settings) -> None:
    tell(*({"event": each} for each in (LINK, GAP, START)), {"read_ns": 1})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: ids(app) == "321")
        await pilot.press("end")
        await pilot.pause()
        for said in (
            "00:00:01.000  itch/A  feed 5..9  5 messages  cause upstream",
            "3 of 3 events of 24 hours, the newest first",
        ):
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]
        await pilot.press("f")
        await pilot.pause()
        assert ids(app) == "123"
        assert table_of(app).current is not None
        assert table_of(app).current["id"] == "3"

    driven(picture(settings=settings), play, first="events")


def test_how_long_it_took_is_said_also_of_less_than_a_second() -> None:
    for length_ns, said in ((250_000, "for 250.000 us"), (10**9, "for 1.0 s"), (90 * 10**9, "for 1 min 30 s")):
        assert event_words({**GAP, "ts_end": GAP["ts_start"] + length_ns}).startswith(said)


def test_kinds_severities_and_words_filter_and_escape_shows_all(tell: Callable[..., None], settings: Settings) -> None:
    tell(*({"event": each} for each in (LINK, GAP, START)), {"read_ns": 1})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: ids(app) == "321")
        for keys, expected in (("e", "21"), ("e", "1"), ("e", "321"), ("k", "1"), ("k", "2"), ("k", "3"), ("k", "321")):
            await pilot.press(keys)
            assert ids(app) == expected
        await pilot.press("slash", *"eth1 down", "enter")
        assert ids(app) == "2"
        await until(pilot, lambda: "1 of 3 events of 24 hours, the newest first; eth1 down" in screen_text(app))
        await pilot.press("escape")
        assert ids(app) == "321"

    driven(picture(settings=settings), play, first="events", size=(100, 24))


def test_trouble_is_said_and_passes(tell: Callable[..., None], settings: Settings) -> None:
    tell({"trouble": "/archive: an archive directory expected, found nothing"})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "an archive directory expected" in screen_text(app))
        tell({"event": GAP}, {"read_ns": 1})
        source = app.pane._source  # type: ignore[union-attr]
        source._process.kill()  # a reader that dies begins again
        await until(pilot, lambda: ids(app) == "1" and "1 of 1 events" in screen_text(app))

    driven(picture(settings=settings), play, first="events")


def test_a_real_archive_that_is_not_there_is_said(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "an archive directory expected, found nothing" in screen_text(app))

    driven(picture(settings=settings), play, first="events", size=(200, 24))


@pytest.mark.parametrize("size", [(20, 5), (160, 50)])
def test_any_screen_shows_what_it_has_room_for(
    size: tuple[int, int], tell: Callable[..., None], settings: Settings
) -> None:
    tell(*({"event": each} for each in (LINK, GAP, START)), {"read_ns": 1})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: ids(app) == "321")
        await pilot.press("down", "f", "k", "slash", "x", "escape", "end")

    driven(picture(settings=settings), play, first="events", size=size)


def test_of_more_events_than_there_is_room_for_the_oldest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_source, "EVENTS_MAX", 3)
    told = "".join(json.dumps({"event": event(f"{at}", at)}) + "\n" for at in (3, 1, 2, 5, 4))
    (tmp_path / "told").write_text(told + "nonsense\n[]\n" + json.dumps({"read_ns": 5}) + "\n")
    command = [sys.executable, "-S", "-c", PROGRAM, str(tmp_path / "told")]
    source = EventSource(tmp_path, NOW_NS, lambda _path, _since: command)
    end = time.monotonic() + 20
    while source.trouble is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert [each["id"] for each in source.events()] == ["3", "4", "5"]
    source.stop()


def test_the_archive_is_read_no_more_once_nobody_has_asked_for_a_while(tmp_path: Path) -> None:
    class Stopped:
        """Takes the place of a source."""

        def __init__(self, archive: Path, _now_ns: int) -> None:
            self.archive, self.is_stopped = archive, False

        def stop(self, _wait_s: float = 0) -> None:
            self.is_stopped = True

    now_s = [100.0]
    shared = SharedEvents(Stopped, lambda: now_s[0])  # type: ignore[arg-type]
    settings = loads(f'[paths]\narchive = "{tmp_path}"\n')
    source: Any = shared.of(settings, NOW_NS)
    now_s[0] += 20
    shared.stop_unseen()
    assert not source.is_stopped, "another pane asked meanwhile"
    now_s[0] += 60
    shared.stop_unseen()
    assert source.is_stopped
    assert shared.of(settings, NOW_NS) is not source


def test_words_of_a_filter_are_looked_for_in_all_that_is_said_of_an_event() -> None:
    assert EventFilter(typed="ITCH upstream").fits(GAP)
    assert EventFilter(typed="channel:itch line:a").fits(GAP)
    assert not EventFilter(typed="channel:itc").fits(GAP)
    assert not EventFilter(typed="itch eth1").fits(GAP)
    assert EventFilter(least="warning").fits(LINK)
    assert not EventFilter(least="warning").fits(START)
    assert event_words(LINK) == "main  eth1 is down"
    assert event_words({**LINK, "ts_end": LINK["ts_start"] + 2 * 10**9}) == "for 2.0 s  main  eth1 is down"
    assert event_words({**LINK, "ts_end": LINK["ts_start"] + 2000}) == "for 2.000 us  main  eth1 is down"


def test_panes_load_no_arrow_while_a_key_waits_for_them() -> None:
    """It takes more memory than all the rest."""
    program = "import sys; from nanotape.tui import channels, events, packets; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
