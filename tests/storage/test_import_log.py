"""What an archive holds of an imported file: the rows decide, and a line that was cut short counts for nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_segments import IDENTITY, NAMES, batch, open_segment

from nanotape.storage.errors import ArchiveError
from nanotape.storage.import_log import LOG_NAME, Begun, ImportLog

FIRST = Begun("a" * 64, "/in/a.pcap", 10, "2026-11-28T00:00:00Z", "import", IDENTITY.ring_id, 1)
SECOND = replace(FIRST, sha256="b" * 64, file="/in/b.pcap", first_seq=41)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """With rows 1 to 60 of the ring."""
    directory = tmp_path / "segments" / "import"
    directory.mkdir(parents=True)
    writer = open_segment(directory, 1)
    writer.write(batch(1, 60, NAMES))
    writer.close()
    return tmp_path


def test_what_was_never_begun_is_not_held(tmp_path: Path) -> None:
    assert ImportLog(tmp_path / "missing").held("a" * 64) is None


def test_a_file_that_is_done_is_whole_as_long_as_its_rows_are_there(archive: Path) -> None:
    log = ImportLog(archive)
    log.begin(FIRST)
    log.done(FIRST, 40)
    held = ImportLog(archive).held(FIRST.sha256)
    assert held
    assert (held.packets, held.is_whole) == (40, True)
    log.done(replace(FIRST, first_seq=2), 70)  # another one's
    other = replace(FIRST, sha256="c" * 64)
    log.begin(other)
    log.done(other, 70)
    held = log.held(other.sha256)
    assert held
    assert (held.packets, held.is_whole) == (60, False)


def test_a_file_is_read_to_its_end_where_the_next_one_was_begun(archive: Path) -> None:
    log = ImportLog(archive)
    log.begin(FIRST)
    log.begin(SECOND)
    first, second = log.held(FIRST.sha256), log.held(SECOND.sha256)
    assert first
    assert second
    assert (first.packets, first.is_whole) == (40, True)
    assert (second.packets, second.is_whole) == (20, False)


def test_what_an_earlier_import_had_counts_too(archive: Path) -> None:
    log = ImportLog(archive)
    log.begin(replace(FIRST, ring_id="f" * 32))
    log.begin(replace(FIRST, first_seq=11, skipped=10))
    held = log.held(FIRST.sha256)
    assert held
    assert held.packets == 10 + 50


def test_a_line_that_was_cut_short_counts_for_nothing_and_the_next_one_stands_alone(archive: Path) -> None:
    log = ImportLog(archive)
    log.begin(FIRST)
    whole = (archive / LOG_NAME).read_bytes()
    for length in range(len(whole)):
        (archive / LOG_NAME).write_bytes(whole[:length])
        assert ImportLog(archive).held(FIRST.sha256) is None
        ImportLog(archive).begin(SECOND)
        assert ImportLog(archive).held(SECOND.sha256)
        assert (archive / LOG_NAME).read_bytes().endswith(b"\n")


@pytest.mark.parametrize("line", ["1", "[]", "{}", '{"state": "begun"}', '{"state": "done", "sha256": "x"}', "\xff"])
def test_lines_of_somebody_else_are_passed_over(archive: Path, line: str) -> None:
    (archive / LOG_NAME).write_text(f"{line}\n", encoding="latin-1")
    log = ImportLog(archive)
    assert log.held(FIRST.sha256) is None
    log.begin(FIRST)
    assert log.held(FIRST.sha256)
    assert json.loads((archive / LOG_NAME).read_text(encoding="latin-1").splitlines()[1])["file"] == FIRST.file


def test_a_log_that_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).mkdir()
    with pytest.raises(ArchiveError, match=rf"{LOG_NAME}: cannot be read"):
        ImportLog(tmp_path).held(FIRST.sha256)
