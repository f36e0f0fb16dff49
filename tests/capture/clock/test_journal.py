"""The clock service's files: whole lines, an old journal kept, one writer, and a state that says when it was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nanotape.capture.clock.journal import (
    FOLDER,
    JOURNAL_NAME,
    OLD_JOURNAL_NAME,
    ClockJournal,
    ClockLock,
    is_current,
    read_state,
)  # fmt: skip
from nanotape.capture.clock.sample import Change, Sample
from nanotape.capture.errors import PlaceUnusable

SAMPLE = Sample(
    5, "system", None, "locked", "ptp4l", 4, 5, None, 1.5, "001122.fffe.334455", 6, 0, 1, 37, "ptp", 900, "pmc"
)
CHANGE = Change(5, 5, "system", "step", "warning", "system: stepped by +0.5 s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER
    path.mkdir()
    return path


def test_each_sample_and_change_is_a_line(folder: Path) -> None:
    journal = ClockJournal(folder)
    journal.append([SAMPLE], [CHANGE])
    journal.append([], [])
    journal.append([SAMPLE], [])
    rows = [json.loads(line) for line in (folder / JOURNAL_NAME).read_text().splitlines()]
    assert [each["type"] for each in rows] == ["sample", "change", "sample"]
    assert Sample(**{key: value for key, value in rows[0].items() if key != "type"}) == SAMPLE
    assert Change(**{key: value for key, value in rows[1].items() if key != "type"}) == CHANGE


def test_a_line_that_was_cut_short_does_not_spoil_the_next(folder: Path) -> None:
    (folder / JOURNAL_NAME).write_text('{"type": "sam')
    ClockJournal(folder).append([SAMPLE], [])
    torn, whole = (folder / JOURNAL_NAME).read_text().splitlines()
    assert json.loads(whole)["clock"] == "system"
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(torn)


def test_a_full_journal_is_kept_as_the_old_one(folder: Path) -> None:
    journal = ClockJournal(folder, limit_bytes=1000)
    for _ in range(8):
        journal.append([SAMPLE], [])
    assert 1000 <= (folder / OLD_JOURNAL_NAME).stat().st_size < 2000
    assert (folder / JOURNAL_NAME).stat().st_size < 1000


def test_one_process_holds_the_lock(tmp_path: Path) -> None:
    first, second = ClockLock(tmp_path / FOLDER), ClockLock(tmp_path / FOLDER)
    assert first.take()
    assert not second.take()
    assert second.holder() == f"process {os.getpid()}"
    first.let_go()
    first.let_go()
    assert second.take()
    second.let_go()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceUnusable, match="cannot be made or written to: Not a directory"):
        ClockLock(tmp_path / "file" / FOLDER)


def test_a_state_is_current_for_some_seconds_while_its_teller_lives(tmp_path: Path, folder: Path) -> None:
    assert read_state(tmp_path) is None
    ClockJournal(folder).publish({"at_ns": 10**18, "pid": os.getpid(), "clocks": []})
    state = read_state(tmp_path)
    assert state is not None
    assert is_current(state, 10**18 + 4 * 10**9)
    assert not is_current(state, 10**18 + 6 * 10**9)
    assert not is_current({**state, "pid": 0}, 10**18)
    assert not is_current({"at_ns": 10**18}, 10**18)


@pytest.mark.parametrize("text", ["[]", "{}", '{"at_ns": "1"}', '{"at_ns": 1, "version": 2}', "{", "[" * 100_000])
def test_a_state_of_another_version_or_of_another_s_making_is_none(tmp_path: Path, folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text)
    assert read_state(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_folder_of_another_user_s_is_that_user_s_to_write() -> None:
    """Whoever looks after the clocks: a capture beside it waits, and captures."""
    code = (
        "import os, sys, pathlib\n"
        "from nanotape.capture.clock.journal import ClockLock\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "lock = ClockLock(pathlib.Path(sys.argv[1])); print(lock.take(), lock.holder())"
    )
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made) / FOLDER
        theirs = ClockLock(folder)
        assert theirs.take()
        done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
        theirs.let_go()
    assert done.stdout == f"False process {os.getpid()}\n"
