"""Every screen as it was when somebody last looked at it and found it right, in two sizes.

After a change that is meant: pytest tests/tui/test_screens.py --snapshot-update, and look at what changed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_host
from crafted_looks import NOW_NS
from frames import market_data
from pictures import screen_text
from ring_flows import add_flow
from ring_writer import RingWriter, Written
from textual.app import App
from textual.pilot import Pilot

from nanotape.tui import event_source
from nanotape.tui.app import Top
from nanotape.tui.event_source import EventSource, SharedEvents
from nanotape.tui.packets import PacketsPane

SIZES = [(80, 24), (160, 50)]
SEEN = {
    "overview": ("1", "peak 1 ms"),
    "channels": ("2", "chan-007"),
    "latency": ("3", "loop gaps"),
    "clock": ("4", "steers the system clock"),
    "readers": ("5", "ended since it began"),
    "packets": ("6", "40 read"),
    "events": ("7", "eth1 is down"),
    "host": ("8", "1 fail, 1 warn"),
}
"""By module: its key, and what is on the screen when all of it is there."""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RingWriter]:
    """A ring for the packets."""
    made = RingWriter.attach(tmp_path, "main")
    add_flow(made, "chan-000", "A", "239.1.0.0", 31001)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What screens find out by themselves is of no machine."""
    told = tmp_path / "told"
    lines = [*({"event": each} for each in scripted_host.EVENTS), {"trouble": None}]
    told.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    program = "import sys; sys.stdout.write(open(sys.argv[1]).read()); sys.stdout.flush(); sys.stdin.read()"

    def make(archive: Path, now_ns: int) -> EventSource:
        return EventSource(archive, now_ns, lambda _archive, _since: [sys.executable, "-S", "-c", program, str(told)])

    shared = SharedEvents(make)
    for module in ("events", "channel_detail"):
        monkeypatch.setattr(f"nanotape.tui.{module}.SHARED", shared)
    monkeypatch.setattr("nanotape.tui.clock.clock_around", lambda: scripted_host.AROUND)
    monkeypatch.setattr("nanotape.tui.host.examine_host", lambda _settings: scripted_host.EXAMINED)
    monkeypatch.setattr(event_source, "_AGAIN_S", 0.05)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
@pytest.mark.parametrize("module", SEEN)
def test_a_screen_is_as_it_was(
    module: str, size: tuple[int, int], tmp_path: Path, writer: RingWriter, snap_compare: Callable[..., bool]
) -> None:
    key, words = SEEN[module]
    seen = scripted_host.scripted_picture(scripted_host.settings(tmp_path))

    async def before(pilot: Pilot[Any]) -> None:
        app: App[Any] = pilot.app
        assert isinstance(app, Top)
        end = time.monotonic() + 20
        while app.picture is None:
            await pilot.pause(0.01)
        await pilot.press(key)
        if module == "packets":
            await opened(pilot, end)
            put(writer)
        await until(pilot, words, end)
        await pilot.pause(0.2)

    app = Top(lambda: seen, refresh_s=0.1)
    assert snap_compare(app, terminal_size=size, run_before=before)


async def until(pilot: Pilot[Any], words: str, end: float) -> None:
    while words not in " ".join(screen_text(pilot.app).split()):
        assert time.monotonic() < end, screen_text(pilot.app)
        await pilot.pause(0.02)


async def opened(pilot: Pilot[Any], end: float) -> None:
    """Until what is put into the ring from now on will be read."""
    while True:
        pane = pilot.app.query(PacketsPane)
        if pane and pane.first()._tail is not None and pane.first()._tail.trouble is None:
            return
        assert time.monotonic() < end, screen_text(pilot.app)
        await pilot.pause(0.02)


def put(writer: RingWriter) -> None:
    """Packets of the moment, one each millisecond."""
    writer.write(*(Written(market_data(b"%020d" % at), ts_ns=NOW_NS + at * 10**6, flow_id=1) for at in range(40)))
