"""What root wrote into another user's archive becomes that user's; nothing else does."""

import os
from pathlib import Path

import pytest

from nanotape.storage.ownership import give_to_owner

pytestmark = pytest.mark.root

OWNER = (1234, 4321)


def owner_of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Another user's, with root's files in it."""
    path = tmp_path / "a"
    (path / "segments" / "import" / "events").mkdir(parents=True)
    (path / "segments" / "main").mkdir()
    for name in ("segments/import/x.arrow", "segments/import/events/y.arrow", "segments/main/z.arrow", "log", "other"):
        (path / name).write_bytes(b"x")
    os.chown(path, *OWNER)
    return path


def test_named_files_and_folders_are_given_with_all_in_them_and_nothing_beside(archive: Path) -> None:
    give_to_owner(archive, ["segments/import", "log", "missing"])
    names = ("segments", "segments/import", "segments/import/x.arrow", "segments/import/events/y.arrow", "log")
    assert {owner_of(archive / name) for name in names} == {OWNER}
    assert {owner_of(archive / name) for name in ("segments/main", "segments/main/z.arrow", "other")} == {(0, 0)}


def test_links_and_files_with_a_second_name_stay_roots(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inside").write_bytes(b"x")
    os.link(target, archive / "segments" / "import" / "hard")
    os.symlink(target, archive / "segments" / "import" / "soft")
    os.symlink(tmp_path / "elsewhere", archive / "segments" / "import" / "folder")
    give_to_owner(archive, ["segments/import"])
    for path in (target, tmp_path / "elsewhere", tmp_path / "elsewhere" / "inside"):
        assert owner_of(path) == (0, 0), path


def test_what_a_third_user_has_there_is_left_alone(archive: Path) -> None:
    os.chown(archive / "log", 99, 99)
    give_to_owner(archive, ["log"])
    assert owner_of(archive / "log") == (99, 99)
