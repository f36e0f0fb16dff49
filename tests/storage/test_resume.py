"""Where a recorder goes on, what finding that costs, and what it does with segments that cannot be read."""

import os
import shutil
import struct
from pathlib import Path

import pytest
from recorder_bench import Bench, later, recorded
from synthetic import RING_ID, SyntheticRing
from test_recorder_faults import as_nobody, bytes_read

from nanotape.storage import sidecar
from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveError
from nanotape.storage.resume import archive_end
from nanotape.storage.segment_names import segment_name
from nanotape.storage.sidecar import ENTRY_BYTES, HEADER_BYTES, SidecarEntry
from nanotape.storage.verify import verify

HOUR_NS = 3600 * 10**9
BEGIN_NS = 1_790_000_000 * 10**9
OTHER_ID = "ff" * 16


def segments_of(archive: Archive) -> Path:
    return archive.path / "segments" / "demo"


def last_seq(archive: Archive, ring_id: str = RING_ID) -> int | None:
    return archive_end(segments_of(archive), ring_id).last_seq


def test_an_archive_that_knows_nothing_of_the_ring_says_so(archive: Archive) -> None:
    segments_of(archive).mkdir(parents=True)
    assert last_seq(archive) is None
    recorded(archive, SyntheticRing(newest=10))
    assert last_seq(archive, OTHER_ID) is None
    with pytest.raises(ArchiveError, match="cannot look for the last row: No such file"):
        archive_end(archive.path / "none", RING_ID)


def test_complete_and_live_segments_count_alike(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300, rotate_bytes=1)
    assert last_seq(archive) == 1000
    live = Bench(archive, SyntheticRing(newest=1500), batch_rows=200)
    live.recorder.begin()
    live.record_all()
    assert last_seq(archive) == 1400
    [part] = segments_of(archive).glob("*.part")
    os.truncate(part, archive.segments()[-1].end - 1)
    assert last_seq(archive) == 1200, "what a sidecar covers beyond the part does not exist"


def sparse_segment(
    directory: Path, opened_ns: int, first: int, ring_id: str = RING_ID, entries: int = 100_000, rows: int = 1000
) -> None:
    """A complete segment of millions of rows and its sidecar, without the bytes in the middle."""
    path = directory / (segment_name(opened_ns, first) + ".arrow")
    last = first + entries * rows - 1
    entry = SidecarEntry(8 + 4096 * (entries - 1), 4096, last - rows + 1, last, rows, 0)
    with path.with_suffix(".arrow.sum").open("wb") as sums:
        sums.write(sidecar.pack_header(bytes.fromhex(ring_id)))
        sums.seek(HEADER_BYTES + ENTRY_BYTES * (entries - 1))
        sums.write(entry.pack())
    with path.open("wb") as segment:
        segment.seek(entry.end + 8 + 512)
        segment.write(struct.pack("<i6s", 512, b"ARROW1"))


def test_a_month_of_big_sidecars_costs_the_tail_of_one(archive: Archive) -> None:
    """720 hours of 100,000,000 rows, 3 GB of sidecars; counted by the kernel."""
    directory = segments_of(archive)
    directory.mkdir(parents=True)
    hours, rows = 720, 100_000_000
    for hour in range(hours):
        sparse_segment(directory, BEGIN_NS + hour * HOUR_NS, 1 + hour * rows)
    assert sum(path.stat().st_size for path in directory.glob("*.sum")) > 3_000_000_000
    before = bytes_read()
    end = archive_end(directory, RING_ID)
    cost = bytes_read() - before
    assert (end.last_seq, end.unreadable) == (hours * rows, ())
    assert cost < 2000, f"{cost} bytes"


def test_a_month_of_another_ring_costs_one_header_each(archive: Archive) -> None:
    """Its sequences, higher than ours, rule nothing out: but whose a segment is stands in its first 32 bytes."""
    directory = segments_of(archive)
    directory.mkdir(parents=True)
    for hour in range(720):
        sparse_segment(directory, BEGIN_NS + hour * HOUR_NS, 10_000_000_000 + hour, OTHER_ID)
    before = bytes_read()
    assert archive_end(directory, RING_ID).last_seq is None
    assert bytes_read() - before < 720 * HEADER_BYTES + 2000
    sparse_segment(directory, BEGIN_NS - HOUR_NS, 1, entries=10)
    assert last_seq(archive) == 10_000


def test_a_clock_that_was_set_back_hides_no_row(archive: Archive) -> None:
    """The newest rows are in the segment with the highest first sequence, not in that with the latest name."""
    directory = segments_of(archive)
    directory.mkdir(parents=True)
    sparse_segment(directory, BEGIN_NS + 9 * HOUR_NS, 1, entries=10)
    sparse_segment(directory, BEGIN_NS, 10_001, entries=10)
    sparse_segment(directory, BEGIN_NS + 1 * HOUR_NS, 20_001, entries=5)
    assert last_seq(archive) == 25_000


def damaged_footer(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 30)


def test_an_old_segment_that_cannot_be_read_costs_a_line_and_is_left_as_it_is(archive: Archive) -> None:
    """Of another ring, later by its name and its sequences than all of ours, in every state that a file can be in."""
    recorded(archive, SyntheticRing(newest=100))
    recorded(archive, SyntheticRing(ring_id=OTHER_ID, newest=5000), clock=later(), batch_rows=1000, rotate_bytes=1)
    others = sorted(segments_of(archive).glob("*.arrow"))[2:]
    assert len(others) == 4
    for number, path in enumerate(others):
        sums = path.with_suffix(".arrow.sum")
        if number == 0:  # written by a nanotape to come
            body = struct.pack("<8sI16s", sidecar.MAGIC, 99, bytes.fromhex(OTHER_ID))
            sums.write_bytes(body + struct.pack("<I", sidecar.checksum(body)))
        else:
            sums.write_bytes(b"")
        damaged_footer(path)
    others[1].write_bytes(b"no Arrow at all")
    os.truncate(others[2], 0)
    before = {path: path.read_bytes() for path in others}
    bench = recorded(archive, SyntheticRing(newest=200), clock=later(20))
    assert bench.reader.sought == [101]
    line, beside = bench.lines
    assert "cannot be read (and 3 more)" in line
    assert line.endswith("left as it is, recording goes on")
    assert beside.endswith("what an earlier recorder did not sum up may be missing in stats and channels")
    assert {path: path.read_bytes() for path in others} == before


def test_the_newest_segment_is_mended_like_a_part_when_it_does_not_tell_where_it_ends(archive: Archive) -> None:
    """After a power cut: sidecar and footer are gone, the messages are there."""
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300)
    [facts] = archive.segments()
    facts.path.with_suffix(".arrow.sum").write_bytes(b"")
    damaged_footer(facts.path)
    bench = recorded(archive, SyntheticRing(newest=1200))
    assert bench.reader.sought == [1001]
    assert "finished, 1000 rows (ring sequences 1 to 1000), sidecar rebuilt" in bench.lines[0]
    assert bench.sequences() == list(range(1, 1201))
    assert verify(archive).findings == []


def test_of_the_newest_segment_what_can_be_trusted_is_kept_and_the_rest_recorded_again(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300)
    [facts] = archive.segments()
    os.truncate(facts.path, facts.path.stat().st_size * 3 // 4)
    bench = recorded(archive, SyntheticRing(newest=1200))
    assert bench.reader.sought[0] in (301, 601, 901)
    assert bench.sequences() == list(range(1, 1201)), "none twice, none missing"
    assert sum(archive.table(["lost_before"]).column("lost_before").to_pylist()) == 0
    assert verify(archive).findings == []


def test_a_newest_segment_without_a_row_to_trust_is_set_aside_and_recorded_again(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=1000, rotate_bytes=1)
    recorded(archive, SyntheticRing(newest=1500), clock=later(), batch_rows=1000)
    facts = archive.segments()[-1]
    os.truncate(facts.path, 3000)
    bench = recorded(archive, SyntheticRing(oldest=1101, newest=1600), clock=later(20))
    assert bench.reader.sought == [1001]
    assert f"set aside as {facts.path.name.removesuffix('.arrow')}.arrow.damaged" in bench.lines[0]
    assert bench.sequences() == [*range(1, 1001), *range(1101, 1601)]
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert [row for row in rows if row["lost_before"]] == [{"ring_seq": 1101, "lost_before": 100}]


def test_set_aside_first_segment_is_begun_again_where_it_began(archive: Archive) -> None:
    """Though new rings begin at the latest: its name tells the first sequence."""
    first = Bench(archive, SyntheticRing(newest=40), start="latest")
    first.recorder.begin()
    first.ring.newest = 100
    first.record_all()
    first.recorder.finish()
    [facts] = archive.segments()
    os.truncate(facts.path, 3000)
    assert recorded(archive, SyntheticRing(newest=120), clock=later(), start="latest").sequences() == list(
        range(41, 121)
    )


def test_a_sidecar_that_lost_its_end_is_not_believed(archive: Archive) -> None:
    """Else the rows that it does not cover any more would be recorded twice."""
    recorded(archive, SyntheticRing(newest=1000), batch_rows=100)
    [facts] = archive.segments()
    sums = facts.path.with_suffix(".arrow.sum")
    for cut in (ENTRY_BYTES, 3 * ENTRY_BYTES + 7, sums.stat().st_size - HEADER_BYTES):
        content = sums.read_bytes()
        os.truncate(sums, len(content) - cut)
        assert last_seq(archive) == 1000
        sums.write_bytes(content)
    sums.unlink()
    assert last_seq(archive) == 1000
    sums.write_bytes(struct.pack("<8sI16s", sidecar.MAGIC, 99, bytes(16)))
    assert last_seq(archive) == 1000


def test_a_sidecar_that_cannot_be_seen_costs_a_look_into_the_segment_only(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=100)
    [facts] = archive.segments()
    sums = facts.path.with_suffix(".arrow.sum")
    sums.unlink()
    sums.mkdir()
    assert last_seq(archive) == 1000


@pytest.mark.root
def test_a_newest_segment_that_this_user_may_not_read_does_not_stop_recording(tmp_path: Path) -> None:
    top = Path("/tmp") / f"nanotape-resume-{os.getpid()}"  # pytest's own directories are closed to others
    try:
        top.mkdir()
        archive = Archive.create(top / "archive")
        recorded(archive, SyntheticRing(newest=100))
        recorded(archive, SyntheticRing(newest=200))
        first, second = (facts.path for facts in archive.segments())
        for directory in (top, archive.path, segments_of(archive)):
            directory.chmod(0o777)
        (segments_of(archive) / "recorder.lock").unlink()
        for path in (second, second.with_suffix(".arrow.sum")):
            path.chmod(0o600)

        def record() -> None:
            bench = recorded(archive, SyntheticRing(newest=300), clock=later(10))
            assert bench.reader.sought == [101], bench.reader.sought
            assert "cannot be read: Permission denied; set aside as" in bench.lines[0], bench.lines

        assert as_nobody(record) == "fine"
        assert [facts.first_seq for facts in archive.segments()] == [1, 101], "none twice"
        second = archive.segments()[-1].path
        second.chmod(0o600)
        os.chown(second, 0, 0)

        def go_on() -> None:
            bench = recorded(archive, SyntheticRing(newest=400), clock=later(20))
            assert bench.reader.sought == [301], "its sidecar tells"

        assert as_nobody(go_on) == "fine"
        assert first.exists()
    finally:
        shutil.rmtree(top)
