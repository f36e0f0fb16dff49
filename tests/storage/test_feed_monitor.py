"""What is missing is told once it is certain: not before all is read that may bring it, and of the right line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from feed_batches import SECOND_NS, START_NS, WINDOW_NS, Packet, feed_batch, flows, mold
from feed_ring import FeedReader
from feed_ring import FeedRing as SyntheticFeedRing
from recorder_bench import HandClock
from synthetic import SyntheticRing

from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.config.framing import BUILT_IN
from nanotape.storage.archive import Archive
from nanotape.storage.events import Event
from nanotape.storage.feed_findings import Found
from nanotape.storage.feed_monitor import FeedMonitor
from nanotape.storage.feed_options import FeedOptions, Quiet
from nanotape.storage.feed_state import FeedState, load_state, save_state
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

RING = "a" * 32


class FeedRing(SyntheticRing):
    """Two lines of one channel."""

    def flows(self) -> tuple[Any, ...]:
        return flows()


class Watched:
    """A monitor whose time passes by hand."""

    def __init__(self, quiet: Quiet | None = None) -> None:
        self.clock = HandClock()
        decoder = FeedDecoder(BUILT_IN, window_ns=WINDOW_NS)
        options = FeedOptions(quiet={"channel-0": quiet} if quiet else {})
        self._decoder = decoder
        self.monitor = FeedMonitor(decoder, FeedRing(), options, self.clock)
        self._next_seq = 1

    def packets(self, *sequences: int, line: str = "A") -> None:
        rows = [Packet(mold(seq), self.clock.utc_ns(), "AB".index(line) + 1) for seq in sequences]
        batch = feed_batch(rows, self._next_seq)
        self._next_seq += len(rows)
        self.monitor.recorded(self.monitor.decode(batch), self.clock.utc_ns())

    def events(self, *, is_caught_up: bool = True) -> list[Event]:
        self.monitor.tick(is_caught_up=is_caught_up)
        self.monitor.look(self._decoder.lines(), is_caught_up=is_caught_up)
        return self.monitor.take_events()

    def later(self, seconds: float) -> None:
        self.clock.now_ns += int(seconds * SECOND_NS)


def kinds(events: list[Event]) -> list[tuple[str, int | None]]:
    return [(each.kind, each.seq_first) for each in events]


def test_what_comes_a_little_late_in_the_next_batch_is_reordered_though_the_recorder_is_seconds_behind() -> None:
    watched = Watched()
    watched.packets(1, 3)
    came_ns = watched.clock.now_ns
    watched.later(5)
    assert not watched.events(is_caught_up=False)
    watched.clock.now_ns = came_ns + WINDOW_NS // 2
    watched.packets(2)
    assert kinds(watched.events(is_caught_up=False)) == [("reorder", 2)]


def test_a_gap_before_a_pause_is_told_once_all_is_read() -> None:
    watched = Watched()
    watched.packets(1, 3)
    watched.later(0.5)
    assert not watched.events(), "what the capture holds may still bring it"
    watched.later(1)
    watched.events()
    watched.later(4)
    assert kinds(watched.events()) == [("feed_gap", 2)]


def test_a_line_that_had_what_another_misses_is_named_though_it_began_anew_before_the_gap_was_told() -> None:
    watched = Watched()
    watched.packets(*range(5_001, 5_010), line="B")
    watched.packets(5_001, 5_003)
    watched.later(0.1)
    watched.packets(5_004)
    watched.packets(1, 2, line="B")
    watched.later(4)
    assert [(each.kind, each.filled_by) for each in watched.events() if each.kind == "feed_gap"] == [("feed_gap", "B")]


def test_a_recorder_that_lags_takes_no_line_for_stale() -> None:
    watched = Watched(Quiet(30 * SECOND_NS))
    watched.packets(1)
    watched.packets(1, line="B")
    watched.later(40)
    assert not watched.events(is_caught_up=False)
    assert [each.kind for each in watched.events()] == ["stale", "stale"]


FOUND = Found(
    kind="gap", stream=3, flow_id=7, session="S", key=None, session_before=None, seq_first=10, seq_last=19, packets=0,
    messages=10, ts_before_ns=START_NS, ts_ns=START_NS + 1, ring_seq_before=100, ring_seq=101, flow_lost=0, ring_lost=0,
)  # fmt: skip


@pytest.mark.parametrize(("name", "flow_id"), [(("feed", "channel-0", "B"), 2), (("feed", "gone", "B"), None)])
def test_a_gap_that_was_not_told_before_the_ring_was_made_anew_belongs_to_the_line_of_that_name(
    tmp_path: Path, name: tuple[str, str, str], flow_id: int | None
) -> None:
    save_state(tmp_path, FeedState(RING, 200, (FOUND,), {7: name}, b"decoder"))
    state = load_state(tmp_path, "b" * 32, 0)
    assert state is not None
    ring = FeedRing(ring_id="b" * 32)
    assert state.pending_of(ring) == ([replace(FOUND, flow_id=flow_id, stream=-1)] if flow_id else [])
    assert state.pending_of(FeedRing(ring_id=RING)) == [replace(FOUND, stream=-1)]


class Overfull(FeedDecoder):
    """Has met more sessions than there is room for."""

    @property
    def untracked(self) -> int:
        return 7


def test_more_sessions_than_can_be_followed_are_said_once(tmp_path: Path) -> None:
    ring, lines, clock = SyntheticFeedRing(newest=600), [], HandClock()
    options = RecorderOptions(fsync=Fsync.NEVER, idle_sleep_s=0)
    feeds = Overfull(BUILT_IN, window_ns=WINDOW_NS)
    archive = Archive.create(tmp_path / "archive")
    recorder = Recorder(ring, FeedReader(ring), archive, options, clock=clock, feeds=feeds, log=lines.append)
    recorder.begin()
    for _ in range(10):
        recorder.step()
        clock.sleep(1)
    recorder.finish()
    assert [each for each in lines if "16,384 of a line" in each] == [
        "ring demo: expected at most 65,536 sessions and keys, 16,384 of a line, found more; gaps in the others are "
        "not told: see that each channel has the framing of its feed"
    ]


class ToldAlready:
    """What an earlier recorder told: whatever comes before sequence 30."""

    def cause_of(self, found: Found) -> str | None:
        return "ours" if found.seq_first < 30 else None


def test_a_gap_that_an_earlier_recorder_told_is_not_told_again_but_counts_as_whose_fault_it_was() -> None:
    """Its state was saved before: what came after it is followed once more."""
    watched = Watched()
    watched.monitor.told_before = ToldAlready()  # type: ignore[assignment]
    watched.monitor.resume([FOUND, replace(FOUND, kind="duplicate"), replace(FOUND, seq_first=30, seq_last=30)])
    assert [each.seq_first for each in watched.monitor.pending] == [30]
    assert not watched.monitor.take_settled()
    [again] = watched.monitor.take_told_again()
    assert (again.gap, again.blame.cause) == (FOUND, "ours")
    assert not watched.monitor.take_told_again()
