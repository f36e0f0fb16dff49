"""What a service tells of itself beside its ring: whole, to its group, and never a reason to fail."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nanotape.capture.accounts import Accounts
from nanotape.capture.service_state import HOLDER_DIED, STATE_NAME, STOPPED, ServiceState, StateFile, read_state


@pytest.fixture
def owners() -> Accounts:
    return Accounts(os.geteuid(), os.geteuid(), os.getegid(), switches=os.geteuid() == 0)


def test_what_is_told_is_read_and_the_first_end_counts(tmp_path: Path, owners: Accounts) -> None:
    path = tmp_path / STATE_NAME
    assert read_state(path) is None
    state = StateFile(path, owners, "exclusive")
    assert read_state(path) == ServiceState(os.getpid(), "exclusive")
    state.listeners(["b", "a"])
    assert read_state(path) == ServiceState(os.getpid(), "exclusive", ("a", "b"))
    state.ended(HOLDER_DIED)
    state.ended(STOPPED)
    assert read_state(path) == ServiceState(os.getpid(), "exclusive", (), HOLDER_DIED)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == [STATE_NAME]


def test_the_last_deaths_are_told_with_their_time(tmp_path: Path, owners: Accounts) -> None:
    state = StateFile(tmp_path / STATE_NAME, owners, "exclusive", clock=lambda: 1_795_219_200_000_000_001)
    for _ in range(30):
        state.died("recorder")
    state.died("capture")
    found = read_state(tmp_path / STATE_NAME)
    assert found is not None
    assert found.deaths[-2:] == (("recorder", 1_795_219_200_000_000_001), ("capture", 1_795_219_200_000_000_001))
    assert len(found.deaths) == 20


def test_nobody_goes_blind_by_a_service_that_was_killed(tmp_path: Path, owners: Accounts) -> None:
    path = tmp_path / STATE_NAME
    StateFile(path, owners, "exclusive").listeners(["a"])
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"pid": 2**22 + 1}))  # none has so high a number
    found = read_state(path)
    assert found is not None
    assert found.listeners == ()


def test_links_are_told_until_the_end_and_a_file_without_them_is_read(tmp_path: Path, owners: Accounts) -> None:
    path = tmp_path / STATE_NAME
    state = StateFile(path, owners, "exclusive")
    state.links(["eth1: link down: no carrier"])
    assert read_state(path) == ServiceState(os.getpid(), "exclusive", links=("eth1: link down: no carrier",))
    told = json.loads(path.read_text())
    del told["links"]
    path.write_text(json.dumps(told))  # as an earlier version wrote it
    assert read_state(path) == ServiceState(os.getpid(), "exclusive")
    state.ended(STOPPED)
    assert read_state(path) == ServiceState(os.getpid(), "exclusive", ended=STOPPED)


@pytest.mark.parametrize("text", ["", "no", "[]", "1", "{}", '{"pid": "x"}', '{"pid": 1, "listeners": 3}', "\xff"])
def test_what_is_none_is_not_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / STATE_NAME
    path.write_bytes(text.encode("latin-1"))
    assert read_state(path) is None


def test_a_folder_that_goes_does_not_end_the_service(tmp_path: Path, owners: Accounts) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    state = StateFile(folder / STATE_NAME, owners, "exclusive")
    (folder / STATE_NAME).unlink()
    folder.rmdir()
    state.listeners(["a"])
    assert not folder.exists()


def test_what_is_noted_of_links_is_told_beside_those_that_are_down(tmp_path: Path, owners: Accounts) -> None:
    path = tmp_path / STATE_NAME
    state = StateFile(path, owners, "exclusive")
    state.links([], ["eth1: is called eth9 now"])
    assert read_state(path) == ServiceState(os.getpid(), "exclusive", notes=("eth1: is called eth9 now",))
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in told.items() if name != "notes"}))
    assert read_state(path) == ServiceState(os.getpid(), "exclusive")
    path.write_text(json.dumps(told | {"pid": 2**22 + 1}))
    found = read_state(path)
    assert found is not None
    assert found.notes == ()
