"""What goes when an archive is too large or its disk too full, and what the archive says of it afterwards."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from retention_bench import (
    MIB,
    NOON_NS,
    ROWS,
    SECOND_NS,
    Bench,
    NoonClock,
    segment_bytes,
    write_segment,
    write_segments,
)
from synthetic import FIRST_TS, RING_ID

from nanotape.storage import deletion as deletion_module
from nanotape.storage import retention as retention_module
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import ArchiveError
from nanotape.storage.manifest import edit_manifest, read_manifest
from nanotape.storage.resume import archive_end
from nanotape.storage.retention import RetentionPolicy, used_bytes

DAY = "2026-11-20"
OTHER_ID = "f" * 32


def sequences(archive: Archive) -> list[int]:
    return sorted(archive.table(["ring_seq"]).column("ring_seq").to_pylist())


def segments(archive: Archive) -> list[str]:
    return sorted(each.relative_to(archive.path).as_posix() for each in archive.path.glob("segments/*/*.arrow*"))


def events(archive: Archive) -> list[dict[str, object]]:
    rows = archive.rows("events")
    for name in ("ts_start", "ts_end"):
        rows = rows.set_column(rows.column_names.index(name), name, rows.column(name).cast("int64"))
    return [row for row in rows.to_pylist() if row["kind"] == "retention"]


def keep(free_bytes: int) -> RetentionPolicy:
    return RetentionPolicy(keep_free=lambda _total: free_bytes, host="box")


def test_nothing_goes_while_there_is_room(archive: Archive) -> None:
    paths = write_segments(archive, 5)
    bench = Bench(archive, keep(MIB), free_bytes=2 * MIB)
    assert bench.deleted() == []
    assert len(archive.segments()) == len(paths)


def test_an_archive_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    """Its file system may be gone: what would be made there would lie hidden below the next mount."""
    archive = Archive.create(tmp_path / "mount")
    assert Bench(archive, keep(MIB)).deleted() == []
    assert list(archive.path.iterdir()) == []


def test_on_a_full_disk_the_first_recorded_go_until_there_is_room(archive: Archive) -> None:
    paths = write_segments(archive, 6)
    size = segment_bytes(archive, paths[0])
    bench = Bench(archive, keep(10 * MIB), free_bytes=10 * MIB - 2 * size)
    assert bench.deleted() == paths[:2]
    assert sequences(archive) == list(range(1 + 2 * ROWS, 1 + 6 * ROWS))
    assert [path for path in segments(archive) if path.endswith(".arrow")] == paths[2:]
    assert len(segments(archive)) == 8, "no sidecar is left over"


def test_an_archive_that_is_too_large_is_cut_back(archive: Archive) -> None:
    paths = write_segments(archive, 6)
    size = segment_bytes(archive, paths[0])
    Bench(archive, keep(0)).deleted()  # what it keeps in reserve counts too
    limit = used_bytes(archive.path) - size
    bench = Bench(archive, replace(keep(0), max_bytes=limit))
    assert bench.deleted()[0] == paths[0]
    while bench.deleted():
        pass
    assert used_bytes(archive.path) <= limit
    assert archive.segments()[-1].last_seq == 6 * ROWS


def test_a_deletion_is_an_event_and_its_rows_are_still_known(archive: Archive) -> None:
    paths = write_segments(archive, 4)
    size = segment_bytes(archive, paths[0])
    Bench(archive, keep(MIB), free_bytes=MIB - size).deleted()
    [event] = events(archive)
    assert {name: event[name] for name in ("host", "ring", "ring_id", "stage", "cause", "severity")} == {
        "host": "box", "ring": "demo", "ring_id": RING_ID, "stage": "archive", "cause": "ours", "severity": "info",
    }  # fmt: skip
    assert (event["seq_kind"], event["seq_first"], event["seq_last"], event["packets_lost"]) == ("ring", 1, ROWS, ROWS)
    assert (event["ts_start"], event["ts_end"]) == (FIRST_TS + 1, FIRST_TS + ROWS)
    assert json.loads(str(event["detail"])) == {
        "path": paths[0], "rows": ROWS, "bytes": size, "reason": "free space",
    }  # fmt: skip
    manifest = read_manifest(archive.path, "packets", DAY)
    [gone] = manifest.gone
    assert (gone.path, gone.rows, gone.rings[RING_ID].last_seq) == (paths[0], ROWS, ROWS)
    assert (manifest.retired, manifest.replaces) == ((), ())


def test_deleted_segments_become_one_entry_of_their_ring(archive: Archive) -> None:
    """A day may have had hundreds of thousands of them, and each deletion writes the manifest."""
    paths = write_segments(archive, 6)
    for _ in range(4):
        size = segment_bytes(archive, segments(archive)[0])
        assert len(Bench(archive, keep(MIB), free_bytes=MIB - size).deleted()) == 1
    together, last = read_manifest(archive.path, "packets", DAY).gone
    held = together.rings[RING_ID]
    assert (together.path, together.rows) == ("segments/demo/", 3 * ROWS)
    assert (held.first_seq, held.last_seq, held.rows) == (1, 3 * ROWS, 3 * ROWS)
    assert (together.ts_min_ns, together.ts_max_ns) == (FIRST_TS + 1, FIRST_TS + 3 * ROWS)
    assert last.path == paths[3]
    assert [event["seq_last"] for event in events(archive)] == [ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS]


def test_the_newest_of_each_ring_and_what_is_being_written_stay_however_full_the_disk(archive: Archive) -> None:
    write_segments(archive, 3)
    write_segment(archive, 1 + 3 * ROWS, NOON_NS, live=True)
    write_segments(archive, 2, ring="quiet", ring_id=OTHER_ID)
    bench = Bench(archive, keep(100 * MIB))
    bench.deleted()
    assert bench.retention.is_exhausted
    left = [(facts.ring, facts.first_seq, facts.complete) for facts in archive.segments()]
    assert left == [("demo", 1 + 2 * ROWS, True), ("demo", 1 + 3 * ROWS, False), ("quiet", 1 + ROWS, True)]
    assert archive_end(archive.path / "segments" / "demo", RING_ID).last_seq == 4 * ROWS
    assert bench.deleted() == []


@pytest.mark.parametrize("stamp", ["1970-01-01", "2100-01-01"])
def test_a_clock_that_jumped_makes_no_newer_segment_go_first(archive: Archive, stamp: str) -> None:
    at = {"1970-01-01": 1_000 * SECOND_NS, "2100-01-01": 4_102_444_800 * SECOND_NS}[stamp]
    minutes = [NOON_NS - 300 * SECOND_NS, NOON_NS - 240 * SECOND_NS, at, at + SECOND_NS, NOON_NS - 60 * SECOND_NS, at]
    paths = [write_segment(archive, 1 + ROWS * place, opened) for place, opened in enumerate(minutes)]
    gone = []
    while found := Bench(archive, keep(MIB), free_bytes=MIB - 1).deleted():
        gone += found
    assert gone == paths[:-1]
    assert sequences(archive) == list(range(1 + 5 * ROWS, 1 + 6 * ROWS))


def test_a_ring_that_is_recorded_by_an_unset_clock_is_newer_than_the_one_before(archive: Archive) -> None:
    old = write_segments(archive, 2)
    new = [write_segment(archive, 1 + ROWS * place, place * SECOND_NS, ring_id=OTHER_ID) for place in (1, 2, 3)]
    gone = Bench(archive, keep(100 * MIB)).deleted()
    assert gone == [*old, *new[:-1]]


def test_packets_stamps_do_not_matter(archive: Archive) -> None:
    """All rows of the synthetic ring are stamped months before they are recorded here; the names decide."""
    later_name = write_segment(archive, 1, NOON_NS - SECOND_NS, ring="b", ring_id=OTHER_ID)
    write_segment(archive, 1 + ROWS, NOON_NS, ring="b", ring_id=OTHER_ID)
    earlier_name = write_segment(archive, 1001, NOON_NS - 2 * SECOND_NS)
    write_segment(archive, 1001 + ROWS, NOON_NS)
    assert Bench(archive, keep(MIB), free_bytes=MIB - 1).deleted() == [earlier_name]
    assert Bench(archive, keep(MIB), free_bytes=MIB - 1).deleted() == [later_name]


def compacted(archive: Archive) -> list[str]:
    """Two runs over three segments each; what they were made from stays for its time."""
    paths = write_segments(archive, 6)
    for path in paths[3:]:
        for name in (path, f"{path}.sum"):
            (archive.path / name).rename(archive.path / f"{Path(name).name}.aside")
    compact(archive, CompactOptions(merge=False), clock=NoonClock(), log=lambda _: None)
    for path in paths[3:]:
        for name in (path, f"{path}.sum"):
            (archive.path / f"{Path(name).name}.aside").rename(archive.path / name)
    compact(archive, CompactOptions(merge=False), clock=NoonClock(), log=lambda _: None)
    return paths


def parquet(archive: Archive) -> list[str]:
    files = read_manifest(archive.path, "packets", DAY).files
    return [f"packets/date={DAY}/{each.path}" for each in sorted(files, key=lambda each: each.written_ns)]


def test_parquet_files_go_too_and_each_of_their_rings_is_told(archive: Archive) -> None:
    compacted(archive)
    files = parquet(archive)
    newest = {entry.path: entry for entry in read_manifest(archive.path, "packets", DAY).files}
    gone = Bench(archive, replace(keep(100 * MIB), grace_ns=0)).deleted()
    kept = set(files) - set(gone)
    assert gone
    assert {path for path in files if not (archive.path / path).exists()} == set(gone)
    last = max(newest.values(), key=lambda entry: entry.rings[RING_ID].last_seq)
    assert kept == {f"packets/date={DAY}/{last.path}"}
    told = {json.loads(str(event["detail"]))["path"]: event for event in events(archive)}
    assert set(told) == set(gone)
    assert {event["feed"] for event in told.values()} <= {"itch", None}
    assert sum(int(str(event["packets_lost"])) for event in told.values()) == 6 * ROWS - len(sequences(archive))
    assert archive.visible().ends[RING_ID] == 6 * ROWS
    views = (archive.path / "nanotape.sql").read_text()
    assert [path for path in files if path in views] == sorted(kept)


def test_what_is_compacted_goes_first_and_before_its_time_only_in_need(archive: Archive) -> None:
    paths = compacted(archive)
    whole = [path for path in paths if (archive.path / path).exists()]
    assert whole == paths
    size = sum(segment_bytes(archive, path) for path in paths)
    bench = Bench(archive, keep(size), free_bytes=size - 1)
    assert bench.deleted() == []
    assert [path for path in paths if (archive.path / path).exists()] == paths, "they will be free soon"
    bench = Bench(archive, keep(size), free_bytes=size // 2 - 1)
    assert bench.deleted() == []
    assert [path for path in paths if (archive.path / path).exists()] == []
    assert sequences(archive) == list(range(1, 1 + 6 * ROWS))


def test_what_is_compacted_goes_after_its_time_though_there_is_room(archive: Archive) -> None:
    paths = compacted(archive)
    bench = Bench(archive, keep(0))
    bench.clock.sleep(3600)
    assert bench.deleted() == []
    assert [path for path in paths if (archive.path / path).exists()] == []
    assert read_manifest(archive.path, "packets", DAY).retired == ()


def test_a_segment_that_is_compacted_meanwhile_is_not_deleted(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_segments(archive, 3)
    bench = Bench(archive, keep(MIB), free_bytes=MIB - 1)
    doom = bench.retention._doom

    def meanwhile(*arguments: object) -> object:
        found = doom(*arguments)  # type: ignore[arg-type]
        with edit_manifest(archive.path, "packets", DAY) as edit:
            key = paths[0].removeprefix("segments/").removesuffix(".arrow")
            edit.manifest = replace(edit.manifest, replaces=(key,))
            edit.commit()
        return found

    monkeypatch.setattr(bench.retention, "_doom", meanwhile)
    assert bench.deleted() == []
    assert (archive.path / paths[0]).exists()
    assert events(archive) == []


def test_of_two_at_once_the_second_leaves_it_to_the_first(archive: Archive) -> None:
    write_segments(archive, 3)
    one, other = (Bench(archive, keep(MIB), free_bytes=MIB - 1) for _ in range(2))
    with one.retention._locked() as is_mine:
        assert is_mine
        assert other.deleted() == []
    assert len(other.deleted()) == 1


def test_a_segment_that_cannot_be_read_does_not_fill_the_disk_for_ever(archive: Archive) -> None:
    paths = write_segments(archive, 3)
    (archive.path / paths[0]).write_bytes(b"ARROW1 no more")
    (archive.path / paths[0]).with_suffix(".arrow.sum").unlink()
    assert Bench(archive, keep(MIB), free_bytes=MIB - 1).deleted() == [paths[0]]
    [event] = events(archive)
    assert event["packets_lost"] is None
    assert json.loads(str(event["detail"]))["rows"] is None


class Killed(BaseException):
    """What a kill is to the code that it hits."""


STEPS = ["_write_note", "_carry_out", "_make_gone", "append_events", "remove_retired", "unlink_file"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_deletion_that_was_killed_is_ended_by_the_next_and_told_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    write_segments(archive, 4)
    bench = Bench(archive, keep(MIB), free_bytes=MIB - 1)
    owner: object = deletion_module.Deletion if step.startswith("_") else deletion_module
    if step == "unlink_file":
        owner = retention_module.remove_retired.__globals__
    whole: Callable[..., object] = owner[step] if isinstance(owner, dict) else getattr(owner, step)

    def killed(*arguments: object) -> object:
        if when == "after":
            whole(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setitem(owner, step, killed) if isinstance(owner, dict) else patch.setattr(owner, step, killed)
        with pytest.raises(Killed):
            bench.retention.enforce()
    Bench(archive, keep(MIB), free_bytes=MIB - 1 if (step, when) == ("_write_note", "before") else MIB).deleted()
    assert sequences(archive) == list(range(1 + ROWS, 1 + 4 * ROWS))
    assert [(event["seq_first"], event["seq_last"]) for event in events(archive)] == [(1, ROWS)]
    manifest = read_manifest(archive.path, "packets", DAY)
    assert (manifest.retired, manifest.replaces, len(manifest.gone)) == ((), (), 1)
    assert len([path for path in segments(archive) if path.endswith(".arrow")]) == 3
    assert not (archive.path / ".retention" / "note.json").exists()


def refusing(error: OSError) -> Callable[..., None]:
    def refuse(*_arguments: object) -> None:
        raise ArchiveError("no room") from error

    return refuse


def test_when_nothing_can_be_written_the_first_goes_all_the_same_and_is_told_later(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_segments(archive, 4)
    bench = Bench(archive, keep(MIB), free_bytes=MIB - 1)
    with monkeypatch.context() as patch:
        patch.setattr(deletion_module, "append_events", refusing(OSError(28, "No space left on device")))
        assert bench.deleted() == paths[:1]
    assert not (archive.path / paths[0]).exists()
    assert "deleted on a full disk" in bench.lines[0]
    assert events(archive) == []
    bench.deleted()
    assert [(event["seq_first"], event["seq_last"]) for event in events(archive)][:1] == [(1, ROWS)]


def test_an_error_that_is_no_full_disk_deletes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_segments(archive, 4)
    bench = Bench(archive, keep(MIB), free_bytes=MIB - 1)
    monkeypatch.setattr(deletion_module, "edit_manifest", refusing(OSError(13, "Permission denied")))
    with pytest.raises(ArchiveError):
        bench.retention.enforce()
    assert all((archive.path / path).exists() for path in paths)
