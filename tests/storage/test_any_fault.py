"""Recorders that are killed in any call that changes a file, and refused any, while the ring drops and they compact.

Whatever the history, one more recorder later the archive has each sequence once, and all that is told agrees with that.
"""

import contextlib
import random
from itertools import pairwise
from pathlib import Path

import pytest
from recorder_bench import Bench, HandClock
from synthetic import RING_ID, SyntheticRing, assert_rows_are_theirs
from write_faults import Killed, WriteFaults

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.audit import audit
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import StorageError
from nanotape.storage.lock import RecorderLock
from nanotape.storage.verify import verify


class TickingClock(HandClock):
    """No two moments are one."""

    def utc_ns(self) -> int:
        self.now_ns += 1
        return super().utc_ns()


class History:
    """Recorders of one ring, one after the other."""

    def __init__(self, path: Path, seed: int, faults: WriteFaults) -> None:
        self.chance, self.faults = faults.chance, faults
        self.archive, self.ring, self.clock = Archive.create(path), SyntheticRing(), TickingClock()
        self.keep_other, self.compacts = seed % 2 == 0, seed % 4 >= 2
        self.bench: Bench | None = None

    def go_on(self) -> None:
        """What happens next."""
        choice, faults = self.chance.choice, self.faults
        faults.begin(choice([None, None, self.chance.randint(0, 60)]), choice([0, 0, 0, 0.05, 0.3, 1]))
        try:
            if self.bench is None:
                self.bench = self.begun(choice([7, 40, 1000]), choice([10, 50, 300]), choice([3000, 1 << 20]))
            self.work(self.bench)
        except Killed:
            self.leave()
        except StorageError:
            assert faults.refused_share, "a recorder may be refused, but then there is a reason"
            self.bench = None
        faults.is_on = False
        if self.compacts and self.chance.random() < 0.3:
            compact(self.archive, CompactOptions(grace_ns=0), clock=self.clock, log=lambda _: None)
        sequences = self.archive.table(["ring_seq"]).column(0).to_pylist()
        assert len(sequences) == len(set(sequences))

    def begun(self, largest: int, batch_rows: int, rotate_bytes: int) -> Bench:
        self.clock.sleep(3)
        options = {"batch_rows": batch_rows, "rotate_bytes": rotate_bytes, "keep_other": self.keep_other}
        self.bench = Bench(self.archive, self.ring, self.clock, largest, **options)
        self.bench.recorder.begin()
        return self.bench

    def work(self, bench: Bench) -> None:
        chance, ring = self.chance, self.ring
        ring.newest += chance.choice([0, chance.randint(1, 30), chance.randint(30, 200)])
        if chance.random() < 0.25:
            ring.oldest = min(ring.newest + 1, ring.oldest + chance.randint(0, 150))
        for _ in range(chance.randint(1, 5)):
            bench.record_all()
            self.clock.sleep(chance.choice([0, 0.3, 1.1, 2.2, 6]))
            if chance.random() < 0.1:
                bench.recorder.rotate()
        ends = chance.random()
        if ends < 0.2:
            bench.recorder.finish()
            self.bench = None
        elif ends < 0.35:
            self.leave()

    def leave(self) -> None:
        """As a killed process does: the kernel takes its lock."""
        folder = self.bench.recorder.recording.files._folder if self.bench else None
        if folder:
            folder.release()
        self.bench = None

    def end(self) -> None:
        """A recorder that nothing befalls finds what the ring still holds."""
        self.faults.is_on = False
        self.leave()
        end = self.archive.visible().ends.get(RING_ID, 0)
        self.ring.newest += 10
        last = self.begun(1000, 300, 1 << 20)
        for _ in range(4):
            last.record_all()
            self.clock.sleep(2)
        last.recorder.finish()
        recorded = set(last.sequences())
        held = range(max(self.ring.oldest, end + 1), self.ring.newest + 1)
        assert [seq for seq in held if (self.keep_other or seq % 3) and seq not in recorded] == []


def assert_all_agrees(archive: Archive, keep_other: bool) -> None:
    table = archive.table(["ring_seq", "lost_before", "payload", "ts"]).sort_by("ring_seq")
    assert_rows_are_theirs(table)
    sequences, lost = (table.column(name).to_pylist() for name in ("ring_seq", "lost_before"))
    for before, (after, said) in pairwise([(0, 0), *zip(sequences, lost, strict=True)]):
        missing = after - before[0] - 1
        assert said == missing if keep_other else said <= missing
    events = archive.rows("events", ["id", "kind", "packets_lost"]).to_pylist()
    assert len({each["id"] for each in events}) == len(events)
    assert sum(each["packets_lost"] for each in events if each["kind"] == "capture_loss") == sum(lost)
    assert sum(archive.rows("stats", ["packets"]).column(0).to_pylist()) == len(sequences)
    assert list((archive.path / "segments").glob("**/*.part")) == []
    assert verify(archive).findings == []
    assert audit(open_archive(archive.path)).unexplained == 0


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    take = RecorderLock.__init__
    for seed in seeds:
        with monkeypatch.context() as patch:
            faults = WriteFaults(patch, random.Random(seed))

            def take_unharmed(lock: RecorderLock, directory: Path, faults: WriteFaults = faults) -> None:
                was_on, faults.is_on = faults.is_on, False  # no kernel closes the file of who is killed here
                with contextlib.ExitStack() as after:
                    after.callback(setattr, faults, "is_on", was_on)
                    take(lock, directory)

            patch.setattr(RecorderLock, "__init__", take_unharmed)
            history = History(tmp_path / f"{seed}", seed, faults)
            for _ in range(faults.chance.randint(3, 14)):
                history.go_on()
            history.end()
            assert_all_agrees(history.archive, history.keep_other)


def test_six_histories_of_faults_leave_each_sequence_once_and_all_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch, range(6))


@pytest.mark.slow
def test_two_hundred_histories_of_faults_leave_each_sequence_once_and_all_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch, range(1000, 1200))
