"""A file for others is replaced whole, whatever others have put beside it."""

from __future__ import annotations

import pathlib

import pytest

from nanotape.storage.told_file import tell_file


def test_a_file_is_replaced_whole_and_nothing_is_left_beside(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    tell_file(path, "one")
    tell_file(path, "two", durable=True)
    assert path.read_text(encoding="utf-8") == "two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_where_the_draft_is_made_is_not_followed(tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept", encoding="utf-8")
    path = tmp_path / "a.json"
    (tmp_path / ".a.json.new").symlink_to(other)
    tell_file(path, "told")
    assert (other.read_text(encoding="utf-8"), path.read_text(encoding="utf-8")) == ("kept", "told")
    assert not path.is_symlink()


def test_what_cannot_be_replaced_stays_and_leaves_no_draft(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    (path / "b").touch()
    with pytest.raises(OSError):
        tell_file(path, "told")
    assert list(tmp_path.iterdir()) == [path]
