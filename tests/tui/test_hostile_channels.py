"""Names in rings, sessions in packets and words in events are drawn, and never obeyed by the terminal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crafted_looks import NOW_NS, SECOND_NS
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.counters import Flow
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine
from nanotape.config import loads
from nanotape.tui.app import Top
from nanotape.tui.event_source import SharedEvents

ORDER = "x\x1b]0;owned\x07\x1b[2J\n"
AT_NS = NOW_NS + SECOND_NS


class Events:
    """A source that holds one event."""

    def __init__(self, archive: Path, _now_ns: int) -> None:
        """Of any archive."""
        self.archive, self.version, self.trouble = archive, 1, ORDER

    def events(self) -> list[dict[str, Any]]:
        """It is all orders."""
        names = ("id", "kind", "severity", "host", "ring", "channel", "line", "stage", "cause", "filled_by", "detail")
        numbers = ("ts_end", "seq_kind", "seq_first", "seq_last", "packets_lost", "messages_lost")
        return [{**dict.fromkeys(names, ORDER), **dict.fromkeys(numbers), "ts_start": NOW_NS}]

    def stop(self, _wait_s: float = 0) -> None:
        """Holds nothing."""


@pytest.mark.parametrize("keys", [("2",), ("2", "enter"), ("2", "enter", "end"), ("7",)])
def test_no_escape_sequence_of_others_reaches_the_terminal(
    keys: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("events", "channel_detail"):
        monkeypatch.setattr(f"nanotape.tui.{module}.SHARED", SharedEvents(Events))  # type: ignore[arg-type]
    flow = Flow(1, ORDER, ORDER, ORDER, ORDER, "incremental", ORDER, "239.0.0.1", None, 1, None)
    told = RecordedLine(AT_NS, ORDER, ORDER, 1, 1, 1, 1, 1, 1)
    ring = ring_picture(feeds=RecordedFeeds(AT_NS, {(ORDER, ORDER): told}, (ORDER,)))
    ring = replace(ring, look=replace(ring.look, facts=replace(ring.look.facts, flows=(flow,))))
    settings = loads(f'[paths]\narchive = "{tmp_path}"\n')

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await pilot.pause(0.2)
        for line in list(app.screen._compositor.render_strips())[2:]:  # what is above belongs to every pane
            assert "\x1b]0;owned" not in line.text
            assert "\x1b[2J" not in line.text
        assert "x?]0;owned" in screen_text(app)

    driven(picture(ring, settings=settings), play, (160, 50), refresh_s=60)
