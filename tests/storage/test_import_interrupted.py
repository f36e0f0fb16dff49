"""An import that is stopped, killed or broken off: the next one goes on, and each packet is there once."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import psutil
import pytest
from file_rig import expected, made, recorded
from import_rig import SMALL_BATCHES, assert_holds, imported, put, rows_of
from pcap_file import pcap_bytes

from nanotape.storage import import_session
from nanotape.storage.archive import Archive
from nanotape.storage.errors import RecorderBusyError
from nanotape.storage.import_options import ImportOptions


def test_an_import_that_is_stopped_keeps_what_it_has_and_goes_on_the_next_time(tmp_path: pathlib.Path) -> None:
    frames = made(60_000)
    paths = [put(tmp_path / "one", pcap_bytes(frames[:50_000])), put(tmp_path / "two", pcap_bytes(frames[50_000:]))]
    report = imported(paths, tmp_path / "a", SMALL_BATCHES, lambda: rows_of(tmp_path / "a") > 1000)
    assert report.is_stopped
    assert not report.is_good
    assert 1000 < report.packets < 50_000
    assert not report.files[0].is_whole
    assert all(facts.complete for facts in Archive(tmp_path / "a").segments())
    assert_holds(tmp_path / "a", frames[: report.packets])
    rest = imported(paths, tmp_path / "a")
    assert rest.is_good
    assert rest.files[0].packets_before == report.packets
    assert rest.packets + report.packets == 60_000
    assert_holds(tmp_path / "a", frames)


def test_a_file_whose_reading_breaks_off_is_told_and_finished_the_next_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_session, "RING_BYTES_MAX", 1 << 20)  # so that the capture waits for us
    frames = made(51_000)
    paths = [put(tmp_path / "one", pcap_bytes(frames[:50_000])), put(tmp_path / "two", pcap_bytes(frames[50_000:]))]
    killed: list[int] = []

    def kill_the_capture() -> bool:
        captures = [each for each in psutil.Process().children() if each.name() == "nanotape-capture"]
        if captures and not killed and rows_of(tmp_path / "a") > 1000:
            killed.append(captures[0].pid)
            captures[0].kill()
        return False

    report = imported(paths, tmp_path / "a", SMALL_BATCHES, kill_the_capture)
    assert killed
    one, two = report.files
    assert one.packets < 50_000
    assert "its reading broke off: killed by SIGKILL; import it again" in str(one.error)
    assert (two.packets, two.is_good) == (1000, True)
    rest = imported(paths[:1], tmp_path / "a")
    assert rest.is_good
    assert rest.files[0].packets_before == one.packets
    assert sorted(recorded(Archive(tmp_path / "a")), key=lambda row: row[2]) == expected(frames)


KILLED = """
import os, pathlib, signal, sys
from nanotape.storage.archive import Archive
from nanotape.storage.import_options import ImportOptions
from nanotape.storage.pcap_import import import_captures
from nanotape.storage.recorder_options import RecorderOptions

archive, most, *paths = sys.argv[1:]

def dies_at() -> bool:
    rows = sum(facts.rows for facts in Archive(archive).segments()) if os.path.isdir(archive) else 0
    if rows >= int(most):
        os.kill(os.getpid(), signal.SIGKILL)
    return False

options = ImportOptions(recorder=RecorderOptions(batch_rows=2000))
import_captures([*map(pathlib.Path, paths)], pathlib.Path(archive), options, is_stopped=dies_at)
"""


@pytest.mark.parametrize(
    "kills",
    [(15_000, 40_001), pytest.param((1, 7_000, 35_000, 40_000, 40_999, 41_000, 50_000), marks=pytest.mark.slow)],
)
def test_an_import_that_is_killed_again_and_again_has_each_packet_once(
    kills: tuple[int, ...], tmp_path: pathlib.Path
) -> None:
    frames = made(60_000)
    parts = [frames[:40_000], frames[40_000:41_000], frames[41_000:]]
    paths = [put(tmp_path / f"f{number}", pcap_bytes(part)) for number, part in enumerate(parts)]
    archive = tmp_path / "a"
    for most in kills:
        command = [sys.executable, "-c", KILLED, os.fspath(archive), str(most), *map(os.fspath, paths)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert most <= rows_of(archive) < 60_000
    report = imported(paths, archive)
    assert all(each.is_whole or "not in this archive" in str(each.error) for each in report.files)
    assert_holds(archive, frames)
    assert not imported(paths, archive).packets


def test_what_a_killed_import_left_in_memory_is_removed_by_the_next(tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "f", pcap_bytes(made(20_000)))
    command = [sys.executable, "-c", KILLED, os.fspath(tmp_path / "a"), "1", os.fspath(path)]
    before = left_behind()
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert len(left_behind() - before) == 1
    assert imported([path], tmp_path / "a").is_good
    assert not left_behind() - before


def left_behind() -> set[pathlib.Path]:
    return set(pathlib.Path("/dev/shm").glob("nanotape-import-*"))


def test_two_imports_into_one_ring_do_not_go_at_once(tmp_path: pathlib.Path) -> None:
    path, other = put(tmp_path / "f", pcap_bytes(made(30_000))), put(tmp_path / "g", pcap_bytes(made(10, gap_ns=7)))
    refused: list[str] = []

    def try_another() -> bool:
        if rows_of(tmp_path / "a") and not refused:
            with pytest.raises(RecorderBusyError) as error:
                imported([other], tmp_path / "a")
            refused.append(str(error.value))
            assert imported([other], tmp_path / "a", ImportOptions(ring="second")).is_good
        return False

    assert imported([path], tmp_path / "a", SMALL_BATCHES, try_another).is_good
    assert refused
    assert rows_of(tmp_path / "a") == 30_010
