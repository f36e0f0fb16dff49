"""Following logs that grow, are renamed, cut off and torn."""

from __future__ import annotations

import pathlib

from nanotape.capture.clock.ptp_log_follow import LogFollower


def test_a_line_is_read_once_and_when_it_is_whole(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    follower = LogFollower(path)
    assert follower.lines() == []
    with path.open("w") as log:
        log.write("one\ntw")
        log.flush()
        assert follower.lines() == ["one"]
        assert follower.lines() == []
        log.write("o\nthree\n")
        log.flush()
        assert follower.lines() == ["two", "three"]
    follower.close()
    follower.close()


def test_a_rotated_log_is_read_to_its_end_and_then_its_successor(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\n")
    follower = LogFollower(path)
    assert follower.lines() == ["one"]
    with path.open("a") as log:
        log.write("two\n")
    path.rename(tmp_path / "log.old")
    assert follower.lines() == ["two"]
    path.write_text("three\n")
    assert follower.lines() == ["three"]
    path.unlink()
    path.write_text("four\n")
    assert follower.lines() == ["four"]


def test_a_log_that_is_cut_off_in_place_is_read_anew(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\nhalf")
    follower = LogFollower(path)
    assert follower.lines() == ["one", "two"]
    path.write_text("x\n")
    assert follower.lines() == ["x"]


def test_of_a_long_log_the_last_megabyte_is_read_from_a_lines_begin(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    lines = [f"line {number:09d}" for number in range(200_000)]
    path.write_text("\n".join(lines) + "\n")
    read = LogFollower(path).lines()
    assert 60_000 < len(read) < 80_000
    assert read == lines[-len(read) :]


def test_what_is_no_file_or_no_text_is_no_error(tmp_path: pathlib.Path) -> None:
    assert LogFollower(tmp_path).lines() == []
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe\x00\n")
    assert len(LogFollower(path).lines()) == 1
