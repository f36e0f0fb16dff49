"""Capture files in an archive: each frame and stamp once, in order, whatever is damaged, stopped or repeated."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import psutil
import pyarrow.compute as pc
import pytest
from file_rig import COMPRESSIONS, expected, made, recorded
from pcap_file import CapturedFrame, pcap_bytes, pcapng_bytes, read_pcap

pytest.importorskip("nanotape.native._binding", reason="this build of nanotape has no native part")

from nanotape.config import loads
from nanotape.storage import import_session
from nanotape.storage.archive import Archive
from nanotape.storage.capture_files import capture_paths
from nanotape.storage.errors import ImportRefusedError, RecorderBusyError
from nanotape.storage.import_options import Imported, ImportOptions, ImportReport
from nanotape.storage.import_ring import without_interfaces
from nanotape.storage.pcap_import import import_captures
from nanotape.storage.recorder_options import RecorderOptions
from nanotape.storage.verify import verify

SMALL_BATCHES = ImportOptions(recorder=RecorderOptions(batch_rows=2000))


def imported(
    paths: Sequence[pathlib.Path],
    archive: pathlib.Path,
    options: ImportOptions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ImportReport:
    return import_captures(paths, archive, options, is_stopped=is_stopped, log=lambda _: None)


def put(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def assert_holds(archive: pathlib.Path, frames: Sequence[CapturedFrame]) -> None:
    """Exactly these, in order, without a hole in any ring's sequences."""
    table = Archive(archive).table(["ring_id", "ring_seq"])
    for ring_id in table.column("ring_id").unique():
        sequences = table.filter(pc.equal(table.column("ring_id"), ring_id)).column("ring_seq").to_numpy()
        assert (np.diff(sequences) == 1).all()
    assert recorded(Archive(archive)) == expected(frames)
    assert verify(Archive(archive)).findings == []


def test_every_real_capture_is_imported_exactly(captures: pathlib.Path, tmp_path: pathlib.Path) -> None:
    paths = capture_paths([captures])
    frames = {path: read_pcap(path).frames for path in paths}
    assert len(paths) > 80
    report = imported(paths, tmp_path / "a", ImportOptions(again=True))  # five of them are the same
    assert report.is_good
    assert_holds(tmp_path / "a", [frame for path in paths for frame in frames[path]])
    seq = 1
    for each, path in zip(report.files, paths, strict=True):
        assert (each.file, each.bytes, each.packets) == (str(path), path.stat().st_size, len(frames[path]))
        if frames[path]:
            assert (each.first_seq, each.last_seq) == (seq, seq + len(frames[path]) - 1)
            assert (each.first_ts_ns, each.last_ts_ns) == (frames[path][0].ts_ns, frames[path][-1].ts_ns)
        seq += each.packets
    rows = Archive(tmp_path / "a").table(["ts_kind", "rx_delay_ns", "ring", "channel", "lost_before"])
    assert rows.column("ts_kind").unique().to_pylist() == ["file"]
    assert rows.column("rx_delay_ns").null_count == rows.num_rows
    assert rows.column("ring").unique().to_pylist() == ["import"]
    assert rows.column("channel").unique().to_pylist() == ["other"]
    assert rows.column("lost_before").unique().to_pylist() == [0]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_and_plain_pcap_and_pcapng_give_the_same_rows(compression: str, tmp_path: pathlib.Path) -> None:
    first, second = made(3000), made(500, gap_ns=1)
    pack = COMPRESSIONS[compression]
    paths = [
        put(tmp_path / "a", pack(pcap_bytes(first, order=">"))),
        put(tmp_path / "b", pack(pcapng_bytes(((n % 2, frame) for n, frame in enumerate(second)), (1, 1)))),
    ]
    report = imported(paths, tmp_path / "archive")
    assert report.is_good
    assert [each.packets for each in report.files] == [3000, 500]
    assert_holds(tmp_path / "archive", first + second)


def test_a_file_larger_than_the_ring_loses_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_session, "RING_BYTES_MAX", 1 << 20)
    frames = made(30_000)
    report = imported([put(tmp_path / "f", pcap_bytes(frames))], tmp_path / "a")
    assert report.packets == 30_000
    assert_holds(tmp_path / "a", frames)


def test_a_damaged_file_gives_what_is_before_its_damage_and_the_others_go_in(tmp_path: pathlib.Path) -> None:
    frames = made(100)
    whole = pcap_bytes(frames)
    record = (len(whole) - 24) // 100
    packed = COMPRESSIONS["zstd"](whole)
    paths = [
        put(tmp_path / "cut", whole[: 24 + 40 * record + 7]),
        put(tmp_path / "whole", whole),
        put(tmp_path / "packed", packed[: len(packed) - 5]),
    ]
    report = imported(paths, tmp_path / "a")
    cut, good, packed_cut = report.files
    assert not report.is_good
    assert cut.damage
    assert (cut.damage.offset, cut.damage.is_compressed) == (24 + 40 * record, False)
    assert (cut.packets, cut.is_whole, cut.error) == (40, True, None)
    assert (good.packets, good.damage) == (100, None)
    assert packed_cut.damage
    assert 0 < packed_cut.packets < 100
    assert (packed_cut.damage.offset, packed_cut.damage.is_compressed) == (len(packed) - 5, True)
    assert_holds(tmp_path / "a", frames[:40] + frames + frames[: packed_cut.packets])
    assert not imported(paths[:1], tmp_path / "a").packets  # no better the next time


def test_what_is_no_capture_is_refused_before_anything_is_written(tmp_path: pathlib.Path) -> None:
    paths = [put(tmp_path / "a.pcap", b"something else"), tmp_path / "missing.pcap"]
    report = imported(paths, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    assert [each.is_good for each in report.files] == [False, False]
    for each in report.files:
        assert each.error
        assert each.error.startswith(each.file)
        assert "expected a capture file" in each.error


def test_a_link_type_that_cannot_be_read_is_refused_by_name_and_the_next_file_goes_in(tmp_path: pathlib.Path) -> None:
    frames = made(10)
    paths = [
        put(tmp_path / "usb.pcap", pcap_bytes(frames, 189)),
        put(tmp_path / "mixed.pcapng", pcapng_bytes([(0, frames[0])], (1, 113))),
    ]
    report = imported(paths, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    assert [each.error is not None and each.file in each.error for each in report.files] == [True, True]
    assert "expected Ethernet" in str(report.files[0].error)
    report = imported([*paths, put(tmp_path / "good", pcap_bytes(frames)), paths[0]], tmp_path / "archive")
    assert [each.packets for each in report.files] == [0, 0, 10, 0]
    assert_holds(tmp_path / "archive", frames)


def test_a_file_is_taken_once_unless_told_again(tmp_path: pathlib.Path) -> None:
    frames = made(50)
    one, copy = put(tmp_path / "one", pcap_bytes(frames)), put(tmp_path / "copy", pcap_bytes(frames))
    report = imported([one, copy], tmp_path / "a")
    assert [each.is_good for each in report.files] == [True, False]
    assert "copy: expected a file that is not in this archive, found its 50 packets" in str(report.files[1].error)
    assert f"as {one}" in str(report.files[1].error)
    assert not imported([one], tmp_path / "a").is_good
    assert_holds(tmp_path / "a", frames)
    assert imported([one], tmp_path / "a", ImportOptions(again=True)).is_good
    assert_holds(tmp_path / "a", frames + frames)
    assert not imported([one], tmp_path / "a").is_good


def test_what_was_taken_away_is_imported_again(tmp_path: pathlib.Path) -> None:
    """The rows decide, not what was noted of them."""
    frames = made(50)
    path = put(tmp_path / "one", pcap_bytes(frames))
    imported([path], tmp_path / "a")
    for segment in (tmp_path / "a" / "segments" / "import").glob("*.arrow*"):
        segment.unlink()
    assert imported([path], tmp_path / "a").packets == 50
    assert_holds(tmp_path / "a", frames)


def test_a_file_without_packets_is_whole_as_often_as_one_likes(tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "empty", pcap_bytes([]))
    for _ in range(2):
        report = imported([path], tmp_path / "a")
        assert (report.is_good, report.packets, report.files[0].first_ts_ns) == (True, 0, None)


def test_flows_are_named_by_the_configuration_and_the_rest_is_recorded_too(
    captures: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    text = """
[source]
kind = "socket"
interface = "eth7"
[[channel]]
name = "pitch-1"
feed = "bats"
[[channel.line]]
group = "233.130.124.0"
port = 30001
[[channel.line]]
name = "B"
group = "233.130.124.0"
port = 30001
interface = "eth8"
"""
    path = captures / "bats" / "mcastpitch_realtime_useq.pcap"
    said: list[str] = []
    channels = without_interfaces(loads(text).channel, said.append)
    assert "line B: without its interface the same as channel pitch-1 line A" in said[0]
    assert imported([path], tmp_path / "a", ImportOptions(channels=channels, host="lab", ring="old")).is_good
    rows = Archive(tmp_path / "a").table(["channel", "feed", "line", "dst_ip", "dst_port", "host", "ring", "interface"])
    wanted = {"233.130.124.0": ("pitch-1", "bats", "A")}
    assert {row["channel"] for row in rows.to_pylist()} >= {"other"}
    for row in rows.to_pylist():
        named = wanted.get(row["dst_ip"]) if row["dst_port"] == 30001 else None
        assert (row["channel"], row["feed"], row["line"]) == (named or ("other", None, None))
        assert (row["host"], row["ring"], row["interface"]) == ("lab", "old", "pcap")


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


def rows_of(archive: pathlib.Path) -> int:
    return sum(facts.rows for facts in Archive(archive).segments()) if archive.is_dir() else 0


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


def test_a_ring_name_that_is_a_path_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImportRefusedError, match="ring name"):
        imported([], tmp_path / "a", ImportOptions(ring="../x"))


def test_the_report_is_json_with_null_for_what_is_not_known(tmp_path: pathlib.Path) -> None:
    facts = json.loads(json.dumps(imported([tmp_path / "missing"], tmp_path / "a").facts()))
    assert facts["files"][0] | {"error": ""} == {
        "file": str(tmp_path / "missing"), "bytes": None, "packets": 0, "ring_id": None, "first_seq": None,
        "last_seq": None, "first_ts_ns": None, "last_ts_ns": None, "packets_before": 0, "is_whole": False,
        "damage": None, "error": "",
    }  # fmt: skip
    assert facts["totals"]["refused"] == 1


def test_gzip_of_nothing_but_a_header_is_read(tmp_path: pathlib.Path) -> None:
    report = imported([put(tmp_path / "f.gz", gzip.compress(pcap_bytes([])))], tmp_path / "a")
    assert isinstance(report.files[0], Imported)
    assert report.is_good
