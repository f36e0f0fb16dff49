"""Two recorders of an archive and its compactor killed with SIGKILL at random instants while a clock service writes.

Each sample is a row and each change an event, once; each packet has the bound that its clock's samples give.
"""

import multiprocessing
import random
import time
from collections import Counter
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

import pyarrow.compute as pc
import pytest
from clock_lines import JournalWriter, change, sample
from clock_twin import bound_of
from synthetic import FIRST_TS, SyntheticReader, SyntheticRing
from test_clock_recording import changes_of, event_of, row_of, samples_of
from test_killed_together import compact_again_and_again, kill, quiet

from nanotape.storage import clock_recording, side_tables
from nanotape.storage.archive import Archive
from nanotape.storage.clock_entries import ClockSample
from nanotape.storage.clock_recording import ClockRecording
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync
from nanotape.storage.verify import verify

CONTEXT = multiprocessing.get_context("fork")
RINGS = ("a", "b")
SPACING_NS = 1000


def record(path: Path, folder: Path, name: str, newest: int, seed: int, begun: EventType) -> None:
    """Records what the ring holds, and the clocks beside it, until it is killed."""
    quiet()
    side_tables._TOGETHER_NS = clock_recording._TRY_NS = 5_000_000  # nobody here lives for a second
    ring = SyntheticRing(name=name, ring_id=name * 32, newest=newest)
    options = RecorderOptions(
        batch_rows=random.Random(seed).choice((100, 300, 900)), rotate_bytes=60_000, fsync=Fsync.NEVER,
        flush_interval_s=0.01, idle_sleep_s=0,
    )  # fmt: skip
    reader = SyntheticReader(ring, 700, seed)
    recorder = Recorder(ring, reader, Archive.create(path), options, log=lambda _: None, clock_folder=folder)
    recorder.begin()
    begun.set()
    while recorder.step():
        pass
    if seed % 5 == 0:
        recorder.finish()
        return
    while True:
        recorder.step()
        time.sleep(0.002)


class Tale:
    """What a clock service says, ahead of the packets that it is about."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.writer, self.chance = JournalWriter(folder), random.Random(seed)
        self.reached = self.number = self.rotated = self.rotated_reached = 0
        self.may_rotate = False

    def go_on(self, newest: int) -> None:
        """Up to after the packet with this sequence."""
        while self.reached <= newest + SPACING_NS:
            error = self.chance.choice((None, *range(100, 2000, 100)))
            self.writer.write(sample(FIRST_TS + self.reached, error, growth_ppb=10**8))
            self.reached += SPACING_NS

    def say_more(self) -> None:
        """Of what no packet here depends on."""
        self.number += 1
        at_ns = FIRST_TS + self.number * SPACING_NS
        self.writer.write(sample(at_ns, clock="ptp0"), change(at_ns), change(at_ns, end_ns=at_ns + 5))
        if self.may_rotate:
            self.writer.rotate()
            self.may_rotate, self.rotated, self.rotated_reached = False, len(self.writer.entries), self.reached

    def look(self, archive: Archive) -> None:
        """A journal keeps an entry for hours: none goes that a recorder still needs, for itself or for a packet."""
        told = {*samples_of(archive), *changes_of(archive)}
        older = self.writer.entries[: self.rotated]
        is_told = all((row_of if isinstance(e, ClockSample) else event_of)(e) in told for e in older)
        ends = archive.visible().ends
        self.may_rotate = is_told and all(ends.get(name * 32, 0) > self.rotated_reached + SPACING_NS for name in RINGS)


def check(archive: Archive, tale: Tale, *, is_all: bool) -> None:
    for found, told in (
        (samples_of(archive), map(row_of, tale.writer.samples)),
        (changes_of(archive), map(event_of, tale.writer.changes)),
    ):
        counted, expected = Counter(found), Counter(told)
        assert counted == expected if is_all else counted <= expected


def kill_again_and_again(tmp_path: Path, kills: int, seed: int) -> None:
    chance, path, folder = random.Random(seed), tmp_path / "archive", tmp_path / "run" / "clock"
    archive, tale, newest, tellers, killed = Archive.create(path), Tale(folder, seed), 0, Counter[str](), 0
    while killed < kills or ((not tale.rotated or set(tellers) != set(RINGS)) and killed < 5 * kills):
        newest += chance.choice((500, 3000))
        tale.go_on(newest)
        begun = [CONTEXT.Event() for _ in RINGS]
        processes: list[multiprocessing.process.BaseProcess] = [
            CONTEXT.Process(target=record, args=(path, folder, name, newest, seed + killed + at, begun[at]))
            for at, name in enumerate(chance.sample(RINGS, len(RINGS)))
        ]
        if chance.random() < 0.5:
            processes.append(CONTEXT.Process(target=compact_again_and_again, args=(path, seed, CONTEXT.Event())))
        for process in processes:
            process.start()
        if chance.random() < 0.7:
            assert begun[0].wait(30)
        until = time.monotonic() + chance.uniform(0.005, 0.3)  # the instant of the kill, not a wait for something
        while time.monotonic() < until:
            tale.say_more()
            time.sleep(0.004)
        for process in chance.sample(processes, len(processes)):
            kill(process)
            killed += 1
        check(archive, tale, is_all=False)
        tale.look(archive)
        tellers.update(set(archive.rows("clock", ["ring"]).column("ring").to_pylist()))
    for name in RINGS:  # one after the other: each may have to begin where the other was killed
        process = CONTEXT.Process(target=record, args=(path, folder, name, newest, 0, CONTEXT.Event()))
        process.start()
        process.join(60)
        assert process.exitcode == 0
    check(archive, tale, is_all=True)
    compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)
    check(archive, tale, is_all=True)
    assert verify(archive).findings == []
    assert tale.rotated
    assert set(tellers) == set(RINGS), "each of the two must have told some"
    check_bounds(archive, tale, newest, chance)


def check_bounds(archive: Archive, tale: Tale, newest: int, chance: random.Random) -> None:
    rows = archive.table(["ring", "ring_seq", "ts_error_ns"])
    for name in RINGS:
        mine = rows.filter(pc.field("ring") == name).select(["ring_seq", "ts_error_ns"]).to_pylist()
        found = {row["ring_seq"]: row["ts_error_ns"] for row in mine}
        assert sorted(found) == list(range(1, newest + 1))
        looked = chance.sample(sorted(found), min(len(found), 1000))
        samples = [each for each in tale.writer.samples if each.clock == "system"]
        near = {seq: [each for each in samples if abs(each.at_ns - FIRST_TS - seq) <= 3 * SPACING_NS] for seq in looked}
        expected = {seq: bound_of(near[seq], FIRST_TS + seq, "xdp", None) for seq in looked}
        assert {seq: found[seq] for seq in looked} == expected
        assert None in expected.values()
        assert len(set(expected.values())) > 50


def test_some_kills_of_two_recorders_and_a_compactor_leave_each_sample_and_change_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 12, 20261128)


def test_it_is_noticed_where_nobody_asks_what_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tell_all(self: ClockRecording, news: object, told: object) -> None:
        class All:
            is_new = staticmethod(lambda _: True)

        original(self, news, All())  # type: ignore[arg-type]

    original = ClockRecording._tell
    monkeypatch.setattr(ClockRecording, "_tell", tell_all)
    with pytest.raises(AssertionError):
        kill_again_and_again(tmp_path, 12, 20261128)


@pytest.mark.slow
def test_two_hundred_kills_leave_each_sample_and_change_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 200, 7)
