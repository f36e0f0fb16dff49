"""An archive in a bad place is refused in one clear line, and nothing is half-made."""

from __future__ import annotations

import pathlib

import pytest
from refusals import CAPTURE_SAYS, edit, refused
from service_rig import Rig

pytestmark = [pytest.mark.root, pytest.mark.shared]


def test_a_file_where_the_archive_should_be_stays(plain: Rig) -> None:
    archive = plain.folder / "archive"
    archive.write_text("mine", encoding="ascii")
    assert f"{archive}: expected a folder, found something else" in refused(plain)
    assert archive.read_text(encoding="ascii") == "mine"


def test_an_archive_below_a_missing_folder_is_refused(plain: Rig) -> None:
    edit(plain, f'archive = "{plain.folder}', f'archive = "{plain.folder}/missing')
    assert f"expected its parent folder {plain.folder}/missing, which does not exist; make it first" in refused(plain)


def test_an_archive_below_a_file_is_refused(plain: Rig) -> None:
    (plain.folder / "file").touch()
    edit(plain, f'archive = "{plain.folder}', f'archive = "{plain.folder}/file')
    assert "expected a folder above it, found a file there; set another path" in refused(plain)


@pytest.mark.parametrize("verb", ["run", "record"])
def test_a_missing_archive_is_not_made_for_a_recorder_without_a_ring(verb: str, plain: Rig) -> None:
    if verb == "record":
        assert "test.ring: no such ring; start its capture, or see `nanotape rings`" in refused(plain, 1, verb)
    else:
        edit(plain, 'interface = "lo"', 'interface = "nowhere0"')
        refused(plain, 1, verb)
    assert not (plain.folder / "archive").exists()


def test_an_archive_on_a_read_only_file_system_is_refused(plain: Rig) -> None:
    wrap = read_only(plain.folder / "run-only")
    edit(plain, f'archive = "{plain.folder}', f'archive = "{plain.folder}/run-only')
    line = refused(plain, wrap=wrap)
    assert "cannot be made: its file system is read-only; mount it writable or set another path" in line


def test_an_existing_archive_on_a_read_only_file_system_is_refused(plain: Rig) -> None:
    archive = plain.folder / "archive"
    line = refused(plain, status=1, wrap=read_only(archive), news=CAPTURE_SAYS)
    assert str(archive) in line
    assert "read-only" in line.lower()


def read_only(place: pathlib.Path) -> tuple[str, ...]:
    """A command prefix with an empty read-only file system at a place, in a mount namespace of the command's own."""
    place.mkdir()
    script = f'mount -t tmpfs -o ro none {place} && exec "$@"'
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")


def test_an_archive_that_the_recorders_user_may_not_write_to_is_refused(plain: Rig) -> None:
    archive = plain.folder / "archive"
    archive.mkdir(mode=0o755)
    line = refused(plain, status=1, news=CAPTURE_SAYS)
    assert str(archive) in line
    assert "Permission denied; give this user the right to write there" in line
