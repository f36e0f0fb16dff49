"""What a recorder does when disk, folders or other recorders refuse: it counts, says so, and goes on."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from recorder_bench import Bench, recorded
from synthetic import SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveAheadError, ArchiveError, RecorderBusyError
from nanotape.storage.journal import Journal
from nanotape.storage.verify import verify


def test_a_second_recorder_is_refused_by_the_first_ones_process_id(archive: Archive) -> None:
    first = Bench(archive, SyntheticRing(newest=1))
    first.recorder.begin()
    with pytest.raises(RecorderBusyError, match=f"already recorded by process {os.getpid()}"):
        Bench(archive, SyntheticRing(newest=1)).recorder.begin()
    Bench(archive, SyntheticRing(name="another", newest=1)).recorder.begin()
    first.recorder.finish()
    Bench(archive, SyntheticRing(newest=1)).recorder.begin()


def test_a_disk_that_refuses_is_counted_row_by_row_and_got_over(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes + 500):
        for ring.newest in (200, 300, 400):
            bench.record_all()
    assert bench.recorder.totals.write_failures == 300
    assert bench.sequences() == list(range(1, 101)), "what is visible is whole, disk or no disk"
    ring.newest = 450
    bench.record_all()
    bench.recorder.finish()
    assert bench.sequences() == [*range(1, 101), *range(401, 451)]
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert [row for row in rows if row["lost_before"]] == [{"ring_seq": 401, "lost_before": 300}]
    assert bench.reader.status["write_failures"] == 300
    assert len(bench.lines) == 2, "one line when it begins, one when it is over"
    assert "cannot write 100 rows: File too large; 100 rows could not be written so far" in bench.lines[0]
    assert "writing again; 300 rows could not be written in all" in bench.lines[1]
    assert verify(archive).findings == []


def test_a_disk_that_refuses_from_the_start_is_got_over(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    with no_file_larger_than(4):
        bench.record_all()
    ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert rows[0] == {"ring_seq": 101, "lost_before": 100}
    assert len(rows) == 100


def test_a_refused_first_write_forgets_nothing_of_what_was_lost_before_it(archive: Archive) -> None:
    """Started at the latest, lapped before its first read, and then the disk refuses that read's rows."""
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100, start="latest")
    bench.recorder.begin()
    bench.recorder.recording.settlement.begin(None)  # as with a reader that does not know yet where it stands
    ring.oldest, ring.newest = 151, 200
    with no_file_larger_than(4):
        bench.record_all()
        bench.recorder.rotate()
    ring.newest = 250
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert rows[0] == {"ring_seq": 201, "lost_before": 50 + 50}
    totals = bench.recorder.totals
    assert (totals.begin_seq, totals.recorded, totals.lost, totals.write_failures) == (101, 50, 50, 50)


def test_a_part_that_cannot_be_finished_is_not_read_again_and_tried_less_and_less_often(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of it cost neither reading nor, soon, trying; and when the disk takes it, the segment is whole."""
    monkeypatch.setattr(Journal, "tick", lambda _: None)  # its own writes are not those that are counted here
    bench = Bench(archive, SyntheticRing(newest=50_000), batch_rows=10_000)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    assert facts.bytes > 400_000
    lines = len(bench.lines)
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
        before, writes_before = bytes_read(), writes()
        for _ in range(2 * 3600):
            bench.clock.sleep(1)
            bench.recorder.step()
        assert bytes_read() - before < 50_000
        assert 120 <= writes() - writes_before < 2 * 130 * 2, "once a minute"
    assert len(bench.lines) == lines + 1, "one line for it"
    bench.clock.sleep(61)
    bench.recorder.step()
    assert [one.complete for one in archive.segments()] == [True]
    assert bench.lines[-1].endswith("finished after all, 50000 rows")
    assert verify(archive).findings == []
    assert bench.sequences() == list(range(1, 50_001))


def bytes_read() -> int:
    """By this process, by its own system calls."""
    return int(Path("/proc/self/io").read_text().split()[1])


def writes() -> int:
    """Write calls of this process, refused ones too."""
    return int(Path("/proc/self/io").read_text().split()[7])


def test_a_stop_tries_once_more_to_finish_what_the_disk_refused(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
    bench.recorder.finish()
    assert [one.complete for one in archive.segments()] == [True]
    assert verify(archive).findings == []


def test_a_segment_whose_footer_was_refused_is_finished_later(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
    assert [one.complete for one in archive.segments()] == [False]
    assert bench.sequences() == list(range(1, 101))
    bench.clock.sleep(1)
    bench.recorder.step()
    assert [one.complete for one in archive.segments()] == [True]
    assert bench.sequences() == list(range(1, 101))


def test_an_archive_that_is_ahead_of_the_ring_is_refused_in_one_line_that_says_what_to_do(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    bench = Bench(archive, SyntheticRing(newest=60))
    with pytest.raises(ArchiveAheadError, match="up to its newest sequence 60, found rows up to 100") as caught:
        bench.recorder.begin()
    assert "nanotape rings --remove demo" in str(caught.value)
    assert "\n" not in str(caught.value)
    recorded(archive, SyntheticRing(newest=120))  # its lock was let go


@pytest.mark.parametrize("ring", ["", "../demo", "a/b", ".hidden", "x" * 64])
def test_a_ring_name_that_is_no_directory_name_is_refused(archive: Archive, ring: str) -> None:
    with pytest.raises(ArchiveError, match="ring name"):
        Bench(archive, SyntheticRing(name=ring)).recorder.begin()


def test_output_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, expected in (
        (tmp_path / "gone" / "archive", "its parent directory does not exist"),
        (tmp_path / "file", "found a file"),
        (tmp_path / "file" / "archive", "cannot make the directory: Not a directory"),
    ):
        with pytest.raises(ArchiveError, match=expected) as caught:
            Archive.create(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    archive = Archive.create(tmp_path / "archive")
    (archive.path / "segments").write_text("")
    with pytest.raises(ArchiveError, match="a directory expected, found a file in its place"):
        Bench(archive, SyntheticRing()).recorder.begin()


@pytest.mark.root
@pytest.mark.parametrize("where", [".", "segments", "segments/demo"])
def test_a_directory_that_this_user_may_not_write_is_refused_in_one_line(
    where: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As nobody, in a child: root may write anywhere."""
    top = Path("/tmp") / f"nanotape-storage-{os.getpid()}"  # pytest's own directories are closed to others
    path = top / "archive"
    directory = path / where
    directory.mkdir(parents=True)
    try:
        for opened in (top, path, path / "segments", path / "segments" / "demo"):
            if opened.exists():
                opened.chmod(0o777)
        directory.chmod(0o555)
        message = as_nobody(lambda: Bench(Archive.create(path), SyntheticRing(newest=1)).recorder.begin())
        assert "ArchiveError" in message
        assert "Permission denied; give this user the right to write there" in message
        assert "\n" not in message
        directory.chmod(0o777)
        assert as_nobody(lambda: recorded(Archive.create(path), SyntheticRing(newest=1))) == "fine"
        (path / "segments" / "demo").chmod(0o555)  # where its lock file is by now
        message = as_nobody(lambda: Bench(Archive.create(path), SyntheticRing(newest=1)).recorder.begin())
        assert "ArchiveError" in message
        assert f"{path}/segments/demo: expected to be writable by user 65534, found: Permission denied" in message
    finally:
        shutil.rmtree(top)


def as_nobody(action: Any) -> str:
    """What came of it in a child process of user nobody."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer = "fine"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer
