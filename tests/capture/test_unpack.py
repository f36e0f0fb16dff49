"""What is compressed comes out whole, in several members or frames; of what is damaged, all before the damage."""

from __future__ import annotations

import contextlib
import gzip
import os
import pathlib
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from nanotape.capture.unpack import DamagedError, compression_of, unpack

ROUGH = random.Random(5).randbytes(300_000) + bytes(300_000) + random.Random(6).randbytes(300_000)
SMALL = random.Random(7).randbytes(600) + bytes(900)
COMPRESS = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
PART = {"gzip": lambda: zlib.decompressobj(31), "zstd": lambda: zstandard.ZstdDecompressor().decompressobj()}
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


def unpacked(folder: pathlib.Path, data: bytes) -> tuple[bytes, DamagedError | None]:
    """What comes out, and the damage that ended it."""
    file = folder / "file"
    file.write_bytes(data)
    out = bytearray()
    source = os.open(file, os.O_RDONLY)
    try:
        unpack(source, out.extend)
    except DamagedError as error:
        return bytes(out), error
    finally:
        os.close(source)
    return bytes(out), None


@pytest.mark.parametrize("kind", COMPRESS)
def test_what_was_compressed_comes_out_whole(kind: str, tmp_path: pathlib.Path) -> None:
    packed = COMPRESS[kind](ROUGH)
    assert compression_of(packed[:4]) == kind
    assert unpacked(tmp_path, packed) == (ROUGH, None)
    assert unpacked(tmp_path, COMPRESS[kind](b"")) == (b"", None)


@pytest.mark.parametrize("kind", COMPRESS)
def test_several_parts_follow_each_other(kind: str, tmp_path: pathlib.Path) -> None:
    parts = [b"a", b"", ROUGH, SMALL]
    packed = b"".join(COMPRESS[kind](part) for part in parts)
    assert unpacked(tmp_path, packed) == (b"".join(parts), None)


def test_zeros_behind_the_last_gzip_member_are_padding(tmp_path: pathlib.Path) -> None:
    assert unpacked(tmp_path, gzip.compress(SMALL) + bytes(1000)) == (SMALL, None)


def test_a_zstd_frame_to_skip_is_skipped(tmp_path: pathlib.Path) -> None:
    frame = COMPRESS["zstd"](SMALL)
    assert compression_of(SKIPPABLE[:4]) == "zstd"
    assert unpacked(tmp_path, SKIPPABLE + frame + SKIPPABLE + frame) == (SMALL + SMALL, None)


@pytest.mark.parametrize("kind", COMPRESS)
def test_what_stands_behind_the_end_is_damage_that_costs_nothing(kind: str, tmp_path: pathlib.Path) -> None:
    packed = COMPRESS[kind](SMALL)
    out, damage = unpacked(tmp_path, packed + b"garbage and more")
    assert out == SMALL
    assert damage is not None
    assert len(packed) <= damage.offset <= len(packed) + 16


@pytest.mark.parametrize("kind", COMPRESS)
def test_cut_anywhere_all_before_the_cut_comes_out(kind: str, tmp_path: pathlib.Path) -> None:
    """The oracle feeds a decompressor byte by byte, without a cut."""
    data = SMALL * 3
    packed = COMPRESS[kind](data)
    came = _by_the_byte(kind, packed)
    assert came[-1] == data
    for cut in range(4, len(packed)):
        out, damage = unpacked(tmp_path, packed[:cut])
        assert out == came[cut], cut
        assert damage is not None
        assert damage.offset == cut


def _by_the_byte(kind: str, packed: bytes) -> list[bytes]:
    """What has come out after so many bytes."""
    part = PART[kind]()
    came = [b""]
    for at in range(len(packed)):
        came.append(came[-1] + part.decompress(packed[at : at + 1]))
    return came


@pytest.mark.parametrize("kind", COMPRESS)
def test_flipped_bits_are_noticed_and_cost_nothing_before_them(kind: str, tmp_path: pathlib.Path) -> None:
    chance = random.Random(11)
    packed = COMPRESS[kind](ROUGH)
    came_before = 0
    for _ in range(40):
        at = chance.randrange(40, len(packed))
        bad = bytearray(packed)
        bad[at] ^= 1 << chance.randrange(8)
        out, damage = unpacked(tmp_path, bytes(bad))
        if damage is None:
            assert out == ROUGH  # a bit that means nothing
            continue
        assert damage.offset >= at
        before = len(PART[kind]().decompress(packed[:at]))
        assert out[:before] == ROUGH[:before]
        came_before += bool(before)
    assert came_before > 20


def test_what_is_neither_is_said(tmp_path: pathlib.Path) -> None:
    assert compression_of(b"\xd4\xc3\xb2\xa1") is None
    assert compression_of(b"") is None
    out, damage = unpacked(tmp_path, b"\xd4\xc3\xb2\xa1")
    assert (out, str(damage)) == (b"", "neither gzip nor zstd")


def run(data: bytes, folder: pathlib.Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    file = folder / "file"
    file.write_bytes(data)
    command = [sys.executable, "-P", "-m", "nanotape.capture.unpack", "--name", "/data/x.gz", *options]
    with file.open("rb") as source:
        return subprocess.run(command, stdin=source, capture_output=True, timeout=60, check=False)


def test_the_command_ends_with_0_or_with_a_line_and_1(tmp_path: pathlib.Path) -> None:
    packed = gzip.compress(ROUGH)
    fine = run(packed, tmp_path)
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, ROUGH, b"")
    cut = run(packed[:1000], tmp_path)
    assert cut.returncode == 1
    assert ROUGH.startswith(cut.stdout)
    assert cut.stdout
    (line,) = cut.stderr.decode().splitlines()
    assert line.startswith(
        "nanotape: /data/x.gz: byte 1000 of the compressed file: expected more data, found it damaged"
    )


def test_a_window_that_takes_too_much_memory_is_not_called_a_bad_copy(tmp_path: pathlib.Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    each = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    told = run(each.compress(SMALL) + each.flush(), tmp_path)
    assert told.returncode == 1
    assert b"decompress it first (zstd -d --long=31)" in told.stderr
    assert b"anew" not in told.stderr


@pytest.fixture
def endless(tmp_path: pathlib.Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A function that starts the command on more than a pipe holds."""
    (tmp_path / "file").write_bytes(zstandard.compress(bytes(50_000_000)))
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> subprocess.Popen[bytes]:
            source = stack.enter_context((tmp_path / "file").open("rb"))
            command = [sys.executable, "-P", "-m", "nanotape.capture.unpack", "--name", "x", *options]
            pipe = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(command, stdin=source, stdout=pipe, stderr=pipe))
            stack.callback(process.kill)
            return process

        yield start


def test_a_reader_that_goes_away_is_no_error(endless: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = endless()
    assert process.stdout
    assert process.stderr
    assert process.stdout.read(1000) == bytes(1000)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""


def test_it_ends_with_its_parent(tmp_path: pathlib.Path) -> None:
    """The parent named is not ours: it has ended, as far as one can tell."""
    done = run(gzip.compress(ROUGH), tmp_path, "--parent", str(os.getppid()))
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.root
def test_started_by_root_it_works_as_another_user_without_privilege(
    endless: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = endless("--user", "65534", "--group", "65534")
    assert process.stdout
    assert process.stdout.read(1000) == bytes(1000)
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    assert facts["Uid"].split() == facts["Gid"].split() == ["65534"] * 4
    assert (facts["Groups"].strip(), int(facts["CapPrm"], 16), int(facts["CapEff"], 16)) == ("", 0, 0)
    assert facts["NoNewPrivs"].strip() == "1"
