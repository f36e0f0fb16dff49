"""What others may put into a folder holds nobody up who looks there, and leads nobody elsewhere."""

from __future__ import annotations

import os
import pathlib

import pytest

from nanotape.capture.foreign_file import read_foreign
from nanotape.capture.recorded_feeds import read_feeds


def test_a_file_is_read_up_to_its_largest_size(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert read_foreign(path, most_bytes=4) == b"1234"
    with pytest.raises(OSError, match="too large"):
        read_foreign(path, most_bytes=3)


def test_a_pipe_a_link_a_folder_and_the_file_of_another_are_refused_at_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(OSError):
            read_foreign(tmp_path / name)
    with pytest.raises(PermissionError):
        read_foreign(tmp_path / "a", uid=os.geteuid() + 1)


def test_a_pipe_in_the_place_of_a_recorders_account_is_no_account(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "main" / "readers"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "recorder.feeds.json")
    assert read_feeds(tmp_path, "main", "recorder") is None
