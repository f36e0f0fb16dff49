"""A recorder on a file system of 64 MiB that is filled and freed three times."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from recorder_bench import Bench, HandClock, later
from synthetic import SyntheticReader, SyntheticRing, assert_rows_are_theirs

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.encoder import Compression
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync
from nanotape.storage.verify import verify

pytestmark = pytest.mark.root
BATCH = 20_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted tmpfs."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "nanotape-test", folder], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def events(path: Path, kind: str) -> list[dict[str, Any]]:
    found = (
        open_archive(path)
        .events(kind=kind)
        .select(["ring_seq", "stage", "seq_first", "seq_last", "packets_lost", "detail"])
    )
    return found.to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("fsync", [Fsync.INTERVAL, Fsync.BATCH])
def test_a_disk_that_is_filled_and_freed_three_times(small_disk: Path, fsync: Fsync) -> None:
    path = small_disk / "archive"
    ring, clock, lines = SyntheticRing(), HandClock(), list[str]()
    reader = SyntheticReader(ring)
    options = RecorderOptions(batch_rows=BATCH, rotate_bytes=8 << 20, fsync=fsync, compression=Compression("none"))
    recorder = Recorder(ring, reader, Archive.create(path), options, clock=clock, log=lines.append)
    recorder.begin()

    def go_on(batches: int) -> None:
        for _ in range(batches):
            ring.newest += BATCH
            recorder.step()
            clock.sleep(1.1)
            recorder.step()

    go_on(2)
    for turn in range(1, 4):
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:  # all but what a recorder needs to notice it in the middle of a batch
                if free_bytes(small_disk) < 5 << 20:
                    break
                file.write(bytes(1 << 20))
        failed = recorder.totals.write_failures
        go_on(6)
        assert recorder.totals.write_failures > failed, "the disk is full"
        reading = open_archive(path)
        rows = reader_rows(path)
        assert_rows_are_theirs(rows)
        assert len(set(rows.column("ring_seq").to_pylist())) == rows.num_rows == recorder.totals.recorded
        assert len([each for each in events(path, "disk") if "writing again" not in each["detail"]]) == turn, (
            "told while full"
        )
        ballast.unlink()
        go_on(2)
        assert len(events(path, "disk")) == 2 * turn
        assert verify(reading.archives[0]).findings == []
    recorder.finish()
    rows = reader_rows(path)
    losses = events(path, "capture_loss")
    assert [each["stage"] for each in losses] == ["recorder_write"] * 3
    assert sum(each["packets_lost"] for each in losses) == recorder.totals.write_failures == ring.newest - rows.num_rows
    assert sum(rows.column("lost_before").to_pylist()) == ring.newest - rows.num_rows
    missing = {seq for each in losses for seq in range(each["seq_first"], each["seq_last"] + 1)}
    assert missing.isdisjoint(rows.column("ring_seq").to_pylist())
    assert len(missing) + rows.num_rows == ring.newest
    stats = open_archive(path).stats()
    assert pc.sum(stats.column("packets")).as_py() == rows.num_rows
    assert verify(Archive(path)).findings == []
    assert sum("writing again" in line for line in lines) == 3


def reader_rows(path: Path) -> Any:
    return open_archive(path).packets(columns=["ring_seq", "lost_before", "payload", "ts"]).read_all()


def fill(folder: Path, leave_bytes: int) -> Path:
    """Takes all room but so much."""
    ballast = folder / "ballast"
    with ballast.open("ab") as file, contextlib.suppress(OSError):
        while (free := free_bytes(folder)) > leave_bytes:
            file.write(bytes(min(1 << 20, max(4096, free - leave_bytes))))
            file.flush()
    return ballast


def test_a_recorder_that_was_killed_on_a_full_disk_begins_again_on_it(small_disk: Path) -> None:
    """Its predecessor's segment has no footer yet, and that needs room too."""
    archive, ring = Archive.create(small_disk / "archive"), SyntheticRing(newest=20_000)
    dead = Bench(archive, ring, batch_rows=1000, compression=Compression("none"))
    dead.recorder.begin()
    for _ in range(3):
        dead.record_all()
        dead.clock.sleep(2)
    dead.die()
    ballast = fill(small_disk, 0)
    assert free_bytes(small_disk) == 0
    bench = Bench(archive, ring, later(20), batch_rows=1000, compression=Compression("none"))
    bench.recorder.begin()
    fill(small_disk, 0)  # the reserve, which nobody needs any more
    ring.newest = 40_000
    for _ in range(3):
        bench.record_all()
        bench.clock.sleep(2)
    assert bench.recorder.totals.write_failures > 0
    ballast.unlink()
    ring.newest = 41_000
    for _ in range(3):
        bench.record_all()
        bench.clock.sleep(2)
    bench.recorder.finish()
    assert bench.recorder.totals.write_failures + len(bench.sequences()) == 41_000
    assert verify(archive).findings == []
