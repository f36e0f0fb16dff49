"""Capture files in an archive: each frame and stamp once, in order, whatever is damaged, refused or repeated."""

from __future__ import annotations

import gzip
import json
import pathlib

import pytest
from file_rig import COMPRESSIONS, made
from import_rig import assert_holds, imported, put
from pcap_file import pcap_bytes, pcapng_bytes, read_pcap

from nanotape.config import loads
from nanotape.storage import import_session
from nanotape.storage.archive import Archive
from nanotape.storage.capture_files import capture_paths
from nanotape.storage.errors import ImportRefusedError
from nanotape.storage.import_options import Imported, ImportOptions
from nanotape.storage.import_ring import without_interfaces


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
