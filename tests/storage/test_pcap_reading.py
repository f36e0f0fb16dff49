import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard
from frames import market_data
from hypothesis import given
from hypothesis import strategies as st
from pcap_file import ETHERNET, LINUX_SLL, CapturedFrame, pcap_bytes, pcapng_bytes, read_pcap

from nanotape.storage.errors import CaptureFileError
from nanotape.storage.pcap_reading import read_frames

FRAMES = [CapturedFrame(market_data(bytes([at]) * at), 42 + at, 10**18 + at) for at in range(40)]


def test_all_captures_are_read_as_another_reader_reads_them(captures: Path) -> None:
    paths = sorted(captures.rglob("*.pcap"))
    for path in paths:
        other = read_pcap(path)
        expected = [(each.ts_ns, other.link_type, each.wire_length, each.frame) for each in other.frames]
        assert [tuple(each) for each in read_frames(path)] == expected, path
    assert len(paths) > 50


@pytest.mark.skipif(not shutil.which("editcap"), reason="needs editcap (apt-get install wireshark-common)")
def test_a_pcapng_of_wireshark_is_read_like_its_pcap(captures: Path, tmp_path: Path) -> None:
    for name in ("bats/mcastpitch_realtime_useq.pcap", "cisco/fusion_hpt_example.pcap"):
        made = tmp_path / "made.pcapng"
        subprocess.run(["editcap", "-F", "pcapng", captures / name, made], check=True, capture_output=True)
        assert list(read_frames(made)) == list(read_frames(captures / name))


def read(path: Path) -> list[tuple[int, int, int, bytes]]:
    return [tuple(each) for each in read_frames(path)]


def as_read(frames: list[CapturedFrame], link_type: int = ETHERNET) -> list[tuple[int, int, int, bytes]]:
    return [(each.ts_ns, link_type, each.wire_length, each.frame) for each in frames]


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders_and_several_sections_and_interfaces_are_taken(tmp_path: Path, order: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(pcap_bytes(FRAMES, order=order))
    assert read(path) == as_read(FRAMES)
    one = pcapng_bytes([(0, FRAMES[0]), (1, FRAMES[1])], (ETHERNET, LINUX_SLL), order)
    path.write_bytes(one + pcapng_bytes([(0, FRAMES[2])]))
    assert read(path) == [*as_read(FRAMES[:1]), *as_read(FRAMES[1:2], LINUX_SLL), *as_read(FRAMES[2:3])]


def test_gzip_and_zstd_are_known_by_their_bytes_also_in_several_frames(tmp_path: Path) -> None:
    path, plain = tmp_path / "file", pcap_bytes(FRAMES)
    pack = zstandard.ZstdCompressor().compress
    for packed in (gzip.compress(plain), pack(plain), pack(plain[:500]) + pack(plain[500:])):
        path.write_bytes(packed)
        assert read(path) == as_read(FRAMES)


@given(st.integers(0, 200))
def test_a_file_that_is_cut_off_gives_what_is_whole_and_then_an_error(
    tmp_path_factory: pytest.TempPathFactory, missing: int
) -> None:
    path, plain = tmp_path_factory.getbasetemp() / "cut.pcap", pcap_bytes(FRAMES)
    path.write_bytes(plain[: len(plain) - missing])
    found = []
    try:
        for each in read_frames(path):
            found.append(tuple(each))  # noqa: PERF401 - what comes before an error counts
        is_whole = True
    except CaptureFileError as error:
        assert "it ends within a record" in str(error)  # noqa: PT017 - often there is none
        is_whole = False
    assert found == as_read(FRAMES)[: len(found)]
    ends, at = {24}, 24
    for each in FRAMES:
        at += 16 + len(each.frame)
        ends.add(at)
    assert is_whole == (len(plain) - missing in ends)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_worse_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, is_section: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes((pcapng_bytes([]) if is_section else pcap_bytes([])) + noise)
    try:
        list(read_frames(path))
    except CaptureFileError as error:
        assert "\n" not in str(error)  # noqa: PT017 - often there is none


@pytest.mark.parametrize("content", [b"", b"abc", b"no capture at all", gzip.compress(b"x")])
def test_what_is_no_capture_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(CaptureFileError, match="odd: "):
        list(read_frames(path))
