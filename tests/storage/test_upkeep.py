"""What goes on beside a recorder, and that it never gets in its way: on a real small file system too."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from deadline import wait_for
from retention_bench import ROWS, NoonClock, write_segments
from synthetic import SyntheticReader, SyntheticRing, assert_rows_are_theirs

from nanotape.storage.archive import Archive
from nanotape.storage.clock import SystemClock
from nanotape.storage.encoder import Compression
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.retention import RetentionPolicy
from nanotape.storage.segment import Fsync
from nanotape.storage.upkeep import Upkeep, UpkeepOptions
from nanotape.storage.verify import verify

MIB = 1 << 20
ALL = RetentionPolicy(keep_free=lambda total_bytes: total_bytes)


def upkeep(path: Path, lines: list[str], **options: object) -> Upkeep:
    return Upkeep(path, UpkeepOptions(**options), NoonClock(), lines.append)  # type: ignore[arg-type]


def test_it_looks_at_once_and_then_again_and_again(archive: Archive) -> None:
    write_segments(archive, 3)
    lines: list[str] = []
    beside = upkeep(archive.path, lines, retention=ALL, interval_s=0.01)
    beside.start()
    try:
        wait_for(lambda: len(archive.segments()) == 1, "the deletion of all but the newest")
        write_segments(archive, 5)
        wait_for(lambda: len(archive.segments()) == 1, "a second deletion")
    finally:
        beside.stop()
    assert [facts.first_seq for facts in archive.segments()] == [1 + 4 * ROWS]
    assert any("2 files deleted" in line for line in lines)
    assert len([line for line in lines if "nothing is left to delete but the newest" in line]) == 1, "not at each look"


def test_an_archive_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    lines: list[str] = []
    beside = upkeep(tmp_path / "archive", lines, retention=ALL)
    assert beside.look() == []
    write_segments(Archive.create(tmp_path / "archive"), 2)
    assert len(beside.look()) == 1
    assert all("too little room" in line or "1 files deleted" in line for line in lines)


def test_without_a_policy_there_is_no_thread_and_nothing_goes(archive: Archive) -> None:
    write_segments(archive, 3)
    before = threading.active_count()
    beside = upkeep(archive.path, [])
    beside.start()
    assert threading.active_count() == before
    assert beside.look() == []
    beside.stop()
    assert len(archive.segments()) == 3


def test_an_archive_that_gets_its_first_ring_is_looked_after_at_once(archive: Archive) -> None:
    """As a recorder's does, which starts both; the next look of itself would be an hour later."""
    beside = upkeep(archive.path, [], retention=ALL, interval_s=3600.0)
    beside.start()
    write_segments(archive, 1)
    beside.start()
    wait_for((archive.path / ".retention" / "reserve").exists, "the reserve")
    beside.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "nanotape-retention"]


def test_what_goes_wrong_is_a_line_and_not_one_at_each_look(archive: Archive) -> None:
    write_segments(archive, 3)
    (archive.path / "packets").write_text("in the way")
    lines: list[str] = []
    beside = upkeep(archive.path, lines, retention=ALL)
    for _ in range(3):
        assert beside.look() == []
    [line] = lines
    assert line.startswith(f"{archive.path}: retention: ")


def test_a_command_that_failed_is_a_mark_in_the_archive(archive: Archive) -> None:
    write_segments(archive, 1)
    lines: list[str] = []
    beside = upkeep(archive.path, lines, post_rotate=("/bin/false",), host="box")
    beside.finished(archive.path / "x.arrow")
    beside.stop()
    [event] = archive.rows("events", ["kind", "severity", "stage", "host", "detail"]).to_pylist()
    assert (event["kind"], event["severity"], event["stage"], event["host"]) == (
        "mark",
        "warning",
        "post_rotate",
        "box",
    )
    assert json.loads(event["detail"])["failure"] == "exit status 0 expected, found 1"


@pytest.fixture
def small_disk(tmp_path: Path, requires_root: None) -> Iterator[Path]:
    """A file system of 64 MiB in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class OwnPace:
    """Of the clock only the time."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def utc_ns(self) -> int:
        return self._clock.utc_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.001))


def retention_events(archive: Archive) -> list[dict[str, int]]:
    rows = archive.rows("events", ["kind", "packets_lost", "seq_last"]).to_pylist()
    return [row for row in rows if row["kind"] == "retention"]


def fill(path: Path) -> None:
    """Takes the last byte of a file system."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass


@pytest.mark.root
def test_a_recorder_that_never_ends_lives_on_a_small_disk_and_the_newest_rows_are_there(small_disk: Path) -> None:
    """It writes three times what the disk holds; at no time is the archive wrong."""
    ring = SyntheticRing(newest=0)
    archive = Archive.create(small_disk / "archive")
    lines: list[str] = []
    policy = RetentionPolicy(grace_ns=0, host="box")
    beside = Upkeep(archive.path, UpkeepOptions(retention=policy, interval_s=0.02), SystemClock(), lines.append)
    options = RecorderOptions(
        batch_rows=5000, rotate_bytes=2 * MIB, fsync=Fsync.NEVER, compression=Compression("none"), idle_sleep_s=0
    )
    recorder = Recorder(ring, SyntheticReader(ring), archive, options, clock=OwnPace(), log=lines.append)
    recorder.begin()
    beside.start()
    try:
        while recorder.totals.written_bytes < 200 * MIB:
            ring.newest += 5000
            while recorder.step():
                pass
            wait_for(lambda: _free_share(small_disk) > 0.03, "room", 30)
    finally:
        recorder.finish()
        beside.stop()
    assert recorder.totals.write_failures == 0, lines
    assert recorder.totals.recorded == ring.newest
    rows = archive.table(["ring_seq", "ts", "payload"])
    found = rows.column("ring_seq").to_pylist()
    assert found == list(range(found[0], ring.newest + 1))
    assert 1 < found[0] < ring.newest - 50_000
    assert_rows_are_theirs(rows)
    assert verify(archive).findings == []
    told = retention_events(archive)
    assert sum(row["packets_lost"] for row in told) == found[0] - 1
    assert max(row["seq_last"] for row in told) == found[0] - 1
    assert [line for line in lines if "retention:" in line] == []


@pytest.mark.root
def test_a_disk_that_others_have_filled_to_the_last_byte_is_made_room_on(small_disk: Path) -> None:
    archive = Archive.create(small_disk / "archive")
    write_segments(archive, 40)
    fill(small_disk / "filler")
    assert os.statvfs(small_disk).f_bavail == 0
    lines: list[str] = []
    policy = RetentionPolicy(keep_free=lambda _total: 200_000)
    beside = Upkeep(archive.path, UpkeepOptions(retention=policy), NoonClock(), lines.append)
    for _ in range(3):  # first one without a word, then what is out of force, then the words
        beside.look()
    assert os.statvfs(small_disk).f_bavail > 0
    told = retention_events(archive)
    first = archive.table(["ring_seq"]).column("ring_seq")[0].as_py()
    assert first > 1
    assert sum(row["packets_lost"] for row in told) == first - 1, lines
    assert verify(archive).findings == []


def _free_share(path: Path) -> float:
    found = os.statvfs(path)
    return found.f_bavail / found.f_blocks
