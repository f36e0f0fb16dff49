from dataclasses import replace
from pathlib import Path

import pytest

from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveError
from nanotape.storage.event_log import append_events
from nanotape.storage.events import Event, event_batch
from nanotape.storage.table_schemas import table_schema

NOW_NS = 1_792_000_000_000_000_001
LOSS = Event(
    "capture_loss",
    NOW_NS,
    severity="error",
    host="box",
    ring="demo",
    ring_id="00" * 16,
    ring_seq=20,
    stage="recorder_lapped",
    cause="ours",
    seq_kind="ring",
    seq_first=5,
    seq_last=9,
    packets_lost=5,
)
DELETED = Event("retention", NOW_NS, NOW_NS + 5, host="box", stage="archive", detail="a file")


def test_events_are_rows_of_their_schema_with_every_field_in_its_column() -> None:
    batch = event_batch([LOSS, DELETED])
    assert batch.schema.equals(table_schema("events"), check_metadata=True)
    batch.validate(full=True)
    assert batch.column("ts_start").cast("int64").to_pylist() == [NOW_NS, NOW_NS]
    assert batch.column("ts_end").cast("int64").to_pylist() == [None, NOW_NS + 5]
    first, second = batch.drop_columns(["ts_start", "ts_end"]).to_pylist()
    assert (first["id"], first["seq_first"], first["packets_lost"], first["cause"]) == (LOSS.id, 5, 5, "ours")
    assert (second["ring"], second["detail"], second["severity"]) == (None, "a file", "info")


def test_a_loss_that_is_found_again_is_the_same_event_and_another_is_not() -> None:
    assert replace(LOSS, ts_start_ns=NOW_NS + 7, ring_seq=21).id == LOSS.id
    assert replace(LOSS, seq_last=10).id != LOSS.id
    assert replace(DELETED, ts_start_ns=NOW_NS + 1).id != DELETED.id


def test_events_of_the_archive_are_visible_at_once_and_once(archive: Archive) -> None:
    append_events(archive.path, [DELETED], NOW_NS)
    append_events(archive.path, [replace(DELETED, detail="another"), DELETED], NOW_NS + 1)
    assert archive.rows("events", ["detail"]).column(0).to_pylist() == ["a file", "another", "a file"]
    [day] = (archive.path / "events").iterdir()
    assert day.name == "date=2026-10-14"
    assert not list(day.glob("*.part"))


def test_events_that_cannot_be_written_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("")
    with pytest.raises(ArchiveError, match="cannot be written"):
        append_events(tmp_path, [DELETED], NOW_NS)


def test_events_that_a_clock_gives_the_same_stamp_do_not_overwrite_each_other(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path / "archive")
    for number in range(3):
        append_events(archive.path, [replace(DELETED, detail=f"file {number}")], NOW_NS)
    assert archive.rows("events", ["detail"]).column("detail").to_pylist() == ["file 0", "file 1", "file 2"]
