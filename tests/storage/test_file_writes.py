"""Whole writes: what is nought becomes a hole, and reads as what it was."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage.file_writes import write_summed
from nanotape.storage.sidecar import checksum

LONG = 64 << 10


def written(folder: Path, pieces: list[bytes], offset: int = 8) -> tuple[bytes, int, int]:
    """What the file holds behind `offset`, how many bytes it takes on the disk, and the sum."""
    path = folder / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.pwrite(fd, b"x" * offset, 0)
        crc = write_summed(fd, [pa.py_buffer(piece) for piece in pieces], offset)
        os.fsync(fd)
        return path.read_bytes()[offset:], os.fstat(fd).st_blocks * 512, crc
    finally:
        os.close(fd)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 7, 4096, LONG, 3 << 20]), st.booleans()), min_size=1, max_size=8))
def test_whatever_the_pieces_are_the_file_holds_them(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, bool]]
) -> None:
    pieces = [bytes(size) if nought else os.urandom(size) for size, nought in drawn]
    whole = b"".join(pieces)
    found, _, crc = written(tmp_path_factory.mktemp("holes"), pieces)
    assert found == whole
    assert crc == checksum(whole)


def test_noughts_take_no_room_but_the_last_piece_does(tmp_path: Path) -> None:
    data = os.urandom(LONG)
    _, sparse, _ = written(tmp_path, [data, bytes(16 * LONG), data])
    assert sparse < 4 * LONG
    found, full, _ = written(tmp_path, [data, bytes(16 * LONG)])
    assert len(found) == 17 * LONG  # a reader would find a file that ends too early
    assert full >= 17 * LONG


def test_one_byte_at_the_end_of_noughts_is_not_lost(tmp_path: Path) -> None:
    almost = bytes((2 << 20) - 1) + b"\1"
    found, _, _ = written(tmp_path, [almost, b"end"])
    assert found == almost + b"end"
