"""Capture files are known by their first bytes, and what is none is refused by its name."""

import gzip
import os
import random
from pathlib import Path

import pytest
import zstandard
from pcap_file import MICRO, NANO, CapturedFrame, pcap_bytes, pcapng_bytes

from nanotape.storage.capture_files import capture_file, capture_paths
from nanotape.storage.errors import NotACaptureError

FRAME = CapturedFrame(b"\0" * 60, 60, 1_700_000_000_123_456_789)
PLAIN = pcap_bytes([FRAME])


@pytest.mark.parametrize("magic", [MICRO, NANO])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_is_known_in_both_byte_orders_and_units(tmp_path: Path, magic: int, order: str) -> None:
    path = tmp_path / "day.anything"
    path.write_bytes(pcap_bytes([FRAME], magic=magic, order=order))
    assert capture_file(path).compression is None


def test_pcapng_gzip_and_zstd_are_known(tmp_path: Path) -> None:
    compressed = {
        "plain": (pcapng_bytes([(0, FRAME)]), None),
        "gzip": (gzip.compress(PLAIN), "gzip"),
        "zstd": (zstandard.compress(PLAIN), "zstd"),
        "skippable": (b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(PLAIN), "zstd"),
    }
    for name, (content, compression) in compressed.items():
        path = tmp_path / name
        path.write_bytes(content)
        found = capture_file(path)
        assert (found.compression, found.size_bytes) == (compression, len(content)), name


def test_zstd_of_what_cannot_be_compressed_is_known_by_its_first_block(tmp_path: Path) -> None:
    noise = CapturedFrame(random.Random(1).randbytes(60_000), 60_000, 0)
    path = tmp_path / "noise"
    path.write_bytes(zstandard.compress(pcap_bytes([noise] + [FRAME] * 10 + [noise] * 5)))
    assert capture_file(path).compression == "zstd"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f", b"hello, world", gzip.compress(b"hello"), zstandard.compress(b""), b"\x1f\x8bnot gzip at all"],
)
def test_what_is_no_capture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.pcap"
    path.write_bytes(content)
    with pytest.raises(NotACaptureError, match=r"notes\.pcap: expected a capture file .* found .*; "):
        capture_file(path)


def test_missing_files_and_fifos_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, found in (("missing", "nothing"), ("fifo", "no file")):
        with pytest.raises(NotACaptureError, match=found):
            capture_file(tmp_path / name)


def test_a_folder_stands_for_its_captures_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.pcap", "b/a.bin", "a.pcap"):
        (tmp_path / name).write_bytes(PLAIN)
    (tmp_path / "README").write_text("not a capture", encoding="utf-8")
    given = [tmp_path / "missing.pcap", tmp_path]
    names = ["missing.pcap", "a.pcap", "z.pcap", "b/a.bin"]
    assert capture_paths(given) == [tmp_path / name for name in names]


def test_a_folder_without_captures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotACaptureError, match="found none"):
        capture_paths([tmp_path])
