import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from recorder_bench import Bench, recorded
from synthetic import RING_ID, SyntheticRing, assert_rows_are_theirs

from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveError
from nanotape.storage.recovery import recover_part
from nanotape.storage.segment_facts import read_segment
from nanotape.storage.verify import verify

TESTS = Path(__file__).parent


def test_no_archive_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="an archive directory expected, found nothing"):
        Archive(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="found a file"):
        Archive(tmp_path / "file")


def test_an_empty_archive_answers_with_nothing(archive: Archive) -> None:
    assert archive.segments() == verify(archive).findings == list(archive.packets()) == []
    assert archive.table().num_rows == 0


def test_complete_and_live_segments_are_read_alike(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300, rotate_bytes=1)
    live = Bench(archive, SyntheticRing(newest=1500), batch_rows=200)
    live.recorder.begin()
    live.record_all()
    facts = archive.segments()
    assert [one.complete for one in facts] == [True] * 4 + [False]
    assert (facts[-1].first_seq, facts[-1].last_seq, facts[-1].rows) == (1001, 1400, 400)
    table = archive.table()
    assert table.column("ring_seq").to_pylist() == list(range(1, 1401))
    assert_rows_are_theirs(table)
    assert archive.segments("demo") == facts
    assert archive.segments("another") == []


def test_columns_are_read_by_name_and_unknown_ones_refused(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    assert archive.table(["channel", "ring_seq"]).column_names == ["channel", "ring_seq"]
    with pytest.raises(ArchiveError, match="column 'sequence'"):
        archive.table(["sequence"])


def test_foreign_files_are_not_looked_at(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    directory = archive.path / "segments" / "demo"
    for name in (
        "x.arrow",
        "notes.txt",
        "20261120T203700.123456789Z-000000000001.arrow.damaged",
        ".arrow",
        "x.arrow.part",
    ):
        (directory / name).write_bytes(b"foreign")
    (archive.path / "segments" / "file").write_text("")
    (archive.path / "README").write_text("")
    assert [facts.rows for facts in archive.segments()] == [10]
    assert verify(archive).findings == []


def test_a_part_without_a_sidecar_is_not_visible_and_a_segment_without_one_is(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=10), batch_rows=10)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    sums = facts.path.with_suffix(".sum")
    content = sums.read_bytes()
    sums.unlink()
    assert archive.segments() == []
    sums.write_bytes(content)
    bench.recorder.finish()
    [facts] = archive.segments()
    sums.unlink()
    [without] = archive.segments()
    assert (without.first_seq, without.last_seq, without.rows, without.ring_id) == (1, 10, 10, RING_ID)
    assert verify(archive).findings == [f"{facts.path}: its sidecar is missing or damaged"]


def test_a_part_shorter_than_its_sidecar_says_is_not_visible_before_it_is_recovered(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=20), batch_rows=10)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    os.truncate(facts.path, facts.end - 1)
    assert archive.segments() == []
    assert recover_part(facts.path).rows == 10
    assert [one.rows for one in archive.segments()] == [10]


def test_verify_names_the_file_and_the_offset(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300, rotate_bytes=1)
    second = archive.segments()[1]
    data = bytearray(second.path.read_bytes())
    data[len(data) // 2] ^= 1
    second.path.write_bytes(data)
    [finding] = verify(archive).findings
    assert finding.startswith(f"{second.path}: offset ")
    assert "crc32c" in finding


def test_verify_finds_a_sequence_that_is_there_twice(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300, rotate_bytes=1)
    second = archive.segments()[1]
    again = second.path.with_name("20991231T000000.000000000Z-000000000301.arrow")
    again.write_bytes(second.path.read_bytes())
    again.with_name(again.name + ".sum").write_bytes(second.path.with_name(second.path.name + ".sum").read_bytes())
    findings = verify(archive).findings
    assert f"ring demo ({RING_ID}): sequence 301 expected once, found twice" in findings
    assert len([finding for finding in findings if "found twice" in finding]) == 300


def test_a_segment_renamed_between_listing_and_reading_is_read_all_the_same(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=400), batch_rows=200)
    bench.recorder.begin()
    bench.record_all()
    batches = archive.packets(["ring_seq"])
    listed = archive.segments()
    bench.recorder.finish()
    assert not listed[0].complete
    assert [s for batch in batches for s in batch.column(0).to_pylist()] == list(range(1, 401))
    schema = pa.schema([archive.table(["ring_seq"]).schema.field(0)])
    assert sum(batch.num_rows for batch in read_segment(listed[0], schema)) == 400


def test_a_renaming_during_the_listing_hides_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory may be listed so that a file on its way from one name to the other shows under neither."""
    bench = Bench(archive, SyntheticRing(newest=400), batch_rows=200)
    bench.recorder.begin()
    bench.record_all()
    list_all = Path.iterdir

    def without_the_moving_name(directory: Path) -> Any:
        names = [path for path in list_all(directory) if not path.name.endswith((".part", ".arrow"))]
        if directory.name == "demo":
            bench.recorder.finish()
        return iter(names)

    monkeypatch.setattr(Path, "iterdir", without_the_moving_name)
    assert [facts.rows for facts in archive.segments()] == [400]


def test_a_reader_in_another_process_never_sees_half_a_file(archive: Archive) -> None:
    """It looks as often as it can while parts grow and are renamed: always whole rows from 1 on, never fewer."""
    ring = SyntheticRing(newest=0)
    bench = Bench(archive, ring, batch_rows=50, rotate_bytes=60_000)
    bench.recorder.begin()
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(archive.path), "20000"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
    )
    assert watcher.stdout is not None
    with watcher:
        try:
            assert watcher.stdout.readline() == "watching\n"
            for ring.newest in range(50, 20_001, 50):
                bench.record_all()
                if ring.newest % 4000 == 0 and ring.newest < 20_000:  # or a busy machine lets it look at the end alone
                    assert watcher.stdout.readline().startswith("saw ")
            looks, sizes = (int(word) for word in watcher.communicate(timeout=60)[0].splitlines()[-1].split())
        finally:
            watcher.kill()
    assert watcher.returncode == 0
    assert looks >= sizes > 3, f"it must have seen the archive grow, saw {sizes} sizes"


WATCHER = """
import sys
from nanotape.storage.archive import Archive
from synthetic import assert_rows_are_theirs

archive, goal = Archive(sys.argv[1]), int(sys.argv[2])
print("watching", flush=True)
sizes, looks = [0], 0
while sizes[-1] < goal:
    table = archive.table(["ring_seq", "payload", "ts"])
    assert table.column("ring_seq").to_pylist() == list(range(1, table.num_rows + 1))
    assert_rows_are_theirs(table)
    assert table.num_rows >= sizes[-1]
    if table.num_rows > sizes[-1]:
        sizes.append(table.num_rows)
        print("saw", table.num_rows, flush=True)
    looks += 1
print(looks, len(sizes) - 1)
"""


def test_reading_an_archive_needs_no_native_code(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    code = (
        "import sys; sys.modules['nanotape.native'] = sys.modules['nanotape.capture'] = None\n"
        "import nanotape.storage.recorder, nanotape.storage.recovery\n"
        "from nanotape.storage.archive import Archive\n"
        "print(Archive(sys.argv[1]).table().num_rows)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(archive.path)], capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("10\n", "")
