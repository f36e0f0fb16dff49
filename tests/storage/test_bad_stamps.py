"""Stamps that were not believed become events: when one begins, when it ends, and over restarts and kills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorder_bench import SECOND_NS, Bench, later
from synthetic import RING_ID, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.bad_stamps import STATE_NAME, BadStamps
from nanotape.storage.books import STAMP_STAGES, Reading, RingReadings
from nanotape.storage.events import Event

T0 = 1_795_207_020 * SECOND_NS


class Watch:
    """A watcher whose events are kept, and are written unless a disk refuses."""

    def __init__(self, folder: Path, ring_id: str = RING_ID) -> None:
        self.events: list[Event] = []
        self.takes = True
        self.second = 0
        self.watcher = BadStamps(folder, SyntheticRing(ring_id=ring_id), self.events.extend, lambda: self.takes)

    def look(self, seconds: int = 1, source: str = "eth1:0", **counters: int | None) -> None:
        self.second += seconds
        readings = tuple(Reading(source, "eth1", stage, value) for stage, value in counters.items())
        self.watcher.read(T0 + self.second * SECOND_NS, RingReadings(1, 1, readings))

    @property
    def told(self) -> list[tuple[int, int | None, str]]:
        return [_told(event) for event in self.events]


def _told(event: Event) -> tuple[int, int | None, str]:
    assert (event.kind, event.severity) == ("bad_stamp", "warning")
    end = None if event.ts_end_ns is None else (event.ts_end_ns - T0) // SECOND_NS
    return (event.ts_start_ns - T0) // SECOND_NS, end, event.detail or ""


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


BAD = "stamps that cannot be right (bad_stamp)"


def test_counters_that_stand_still_tell_nothing(watch: Watch, tmp_path: Path) -> None:
    for _ in range(30):
        watch.look(bad_stamps=0, backwards=0, unstamped=100)
    assert watch.told == []
    assert not (tmp_path / STATE_NAME).exists()


def test_an_episode_is_told_when_it_begins_and_when_ten_seconds_had_none(watch: Watch) -> None:
    watch.look(bad_stamps=0)
    for count in (5, 5, 12):
        watch.look(bad_stamps=count)
    assert watch.told == [(1, None, f"eth1:0: {BAD}")]
    for _ in range(9):
        watch.look(bad_stamps=12)
    assert len(watch.told) == 1
    watch.look(bad_stamps=12)
    assert watch.told[1:] == [(1, 4, f"eth1:0: 12 {BAD}")]
    assert watch.events[0].stage == "off_clock"
    watch.look(bad_stamps=13)
    assert watch.told[2:] == [(14, None, f"eth1:0: {BAD}")]


def test_a_pause_of_less_than_ten_seconds_ends_none(watch: Watch) -> None:
    for count in (0, 1, *[1] * 9, 2):
        watch.look(bad_stamps=count)
    watch.look(seconds=10, bad_stamps=2)
    assert [end for _, end, _ in watch.told] == [None, 12]
    assert "2 stamps" in watch.told[1][2]


def test_sources_and_kinds_have_episodes_of_their_own(watch: Watch) -> None:
    watch.look(bad_stamps=0, backwards=0)
    watch.look(bad_stamps=1, backwards=3)
    watch.look(seconds=0, source="eth2:0", bad_stamps=1_234)
    watch.watcher.finish()
    details = [detail for _, end, detail in watch.told if end is not None]
    assert details == [
        f"eth1:0: 1 {BAD}",
        "eth1:0: 3 stamps earlier than the one before in their flow (backwards)",
        f"eth2:0: 1,234 {BAD}",
    ]
    assert {event.stage for event in watch.events} == {"off_clock", "backwards"}
    assert len({event.id for event in watch.events}) == 6


def test_a_counter_that_is_not_known_says_nothing(watch: Watch) -> None:
    watch.look(bad_stamps=None)
    watch.look(bad_stamps=2)
    watch.look(bad_stamps=None)
    assert len(watch.told) == 1


def test_what_came_while_nobody_looked_is_told_by_the_next(watch: Watch, tmp_path: Path) -> None:
    watch.look(bad_stamps=7)
    watch.watcher.finish()
    successor = Watch(tmp_path)
    successor.look(seconds=100, bad_stamps=9)
    successor.watcher.finish()
    assert "7 stamps" in watch.told[-1][2]
    assert "2 stamps" in successor.told[-1][2]


def test_a_killed_recorders_episode_is_ended_by_its_successor(watch: Watch, tmp_path: Path) -> None:
    watch.look(bad_stamps=0)
    watch.look(bad_stamps=5)
    successor = Watch(tmp_path)
    successor.look(seconds=3, bad_stamps=5)
    successor.look(seconds=9, bad_stamps=5)
    assert successor.told == [(1, 2, f"eth1:0: 5 {BAD}")]
    assert Watch(tmp_path).watcher._state.episodes == {}


def test_what_the_disk_refused_is_told_again_by_a_successor(watch: Watch, tmp_path: Path) -> None:
    watch.takes = False
    watch.look(bad_stamps=5)
    assert not (tmp_path / STATE_NAME).exists()
    successor = Watch(tmp_path)
    successor.look(seconds=2, bad_stamps=5)
    assert len(successor.told) == 1
    watch.takes = True
    watch.look(bad_stamps=5)
    assert (tmp_path / STATE_NAME).exists()
    assert len(watch.told) == 1


def test_a_ring_that_was_made_anew_counts_from_nought(watch: Watch, tmp_path: Path) -> None:
    watch.look(bad_stamps=500)
    other = Watch(tmp_path, "f" * 32)
    other.look(bad_stamps=3)
    other.watcher.finish()
    assert "3 stamps" in other.told[-1][2]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 9}', "\x00\xff"])
def test_a_state_that_cannot_be_read_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / STATE_NAME).write_text(content, encoding="utf-8")
    watch = Watch(tmp_path)
    watch.look(bad_stamps=1)
    assert len(watch.told) == 1


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3), st.booleans()), max_size=40))
def test_each_bad_stamp_is_in_one_ended_episode_whoever_was_killed(
    tmp_path_factory: pytest.TempPathFactory, looks: Sequence[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("stamps")
    watch, total, events = Watch(folder), 0, []
    for seconds, more, is_killed in looks:
        total += more
        watch.look(seconds, bad_stamps=total)
        if is_killed:
            events += watch.events
            before, watch = watch, Watch(folder)
            watch.second = before.second
    watch.watcher.finish()
    ended = [event for event in events + watch.events if event.ts_end_ns is not None]
    counts = [int((event.detail or "").split()[1].replace(",", "")) for event in ended]
    assert sum(counts) == total
    begun = {event.ts_start_ns for event in events + watch.events if event.ts_end_ns is None}
    assert begun == {event.ts_start_ns for event in ended}


def bench_with(archive: Archive, counters: dict[str, int], seconds: int) -> Bench:
    bench = Bench(archive, SyntheticRing(newest=10), later(seconds))
    bench.recorder.recording.read_ring = lambda: RingReadings(
        1, 7, tuple(Reading("eth1:0", "eth1", stage, value) for stage, value in counters.items())
    )
    bench.recorder.begin()
    return bench


def events_of(archive: Archive) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = archive.rows("events").to_pylist()
    return [row for row in rows if row["kind"] == "bad_stamp"]


def test_a_recorder_tells_and_counts_them(archive: Archive) -> None:
    counters = dict.fromkeys(STAMP_STAGES, 0)
    bench = bench_with(archive, counters, 0)
    for counters["bad_stamps"] in (0, 4, 4):
        bench.clock.sleep(1)
        bench.recorder.step()
    for _ in range(12):
        bench.clock.sleep(1)
        bench.recorder.step()
    bench.recorder.finish()
    first, second = events_of(archive)
    assert (first["stage"], first["ts_end"], first["ring_seq"]) == ("off_clock", None, 10)
    assert second["ts_start"] == first["ts_start"] < second["ts_end"]
    assert second["detail"] == f"eth1:0: 4 {BAD}"
    rows = archive.rows("counters").to_pylist()
    last = {row["stage"]: row["value"] for row in rows if row["source"] == "eth1:0"}
    assert last == {"unstamped": 0, "backwards": 0, "bad_stamps": 4}


def test_a_killed_recorders_successor_ends_what_it_began(archive: Archive) -> None:
    counters = dict.fromkeys(STAMP_STAGES, 0)
    killed = bench_with(archive, counters, 0)
    counters["backwards"] = 3
    killed.clock.sleep(2)
    killed.recorder.step()
    killed.die()
    successor = bench_with(archive, counters, 10)
    successor.recorder.finish()
    first, second = events_of(archive)
    assert (first["ts_end"], second["ts_start"]) == (None, first["ts_start"])
    assert second["detail"] == "eth1:0: 3 stamps earlier than the one before in their flow (backwards)"


def test_a_clock_that_is_set_back_leaves_no_episode_until_that_time_comes_again(watch: Watch) -> None:
    watch.look(bad_stamps=0)
    watch.look(bad_stamps=5)
    watch.look(seconds=-3600, bad_stamps=5)
    for _ in range(10):
        watch.look(bad_stamps=5)
    begun, ended = watch.events
    assert (ended.ts_start_ns, ended.ts_end_ns) == (begun.ts_start_ns, begun.ts_start_ns)
    assert ended.detail == f"eth1:0: 5 {BAD}"
    watch.look(bad_stamps=7)
    assert watch.told[-1][0] == watch.second - 1
