"""Whole writes and syncs of a segment's files.

The kernel may take less of a write than it was given: here all of it is written, or an OSError says why not.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from nanotape.storage.sidecar import checksum

_RUN_BYTES = 512 << 10  # written, then summed: a share of the processor's own cache
_RUN_PIECES = 512  # the kernel takes 1024 at once


def write_summed(fd: int, pieces: Iterable[pa.Buffer], offset: int) -> int:
    """Writes all pieces, one after the other, and sums each while the processor still has it in its cache.

    Returns:
        The crc32c of all of them.
    """
    crc = 0
    for run in _runs(pieces):
        _write_run(fd, run, offset)
        for piece in run:
            crc = checksum(piece, crc)
            offset += len(piece)
    return crc


def _runs(pieces: Iterable[pa.Buffer]) -> Iterator[list[pa.Buffer]]:
    """The same bytes in runs of at most `_RUN_BYTES`, each of few enough pieces for one call of the system."""
    run: list[pa.Buffer] = []
    room = _RUN_BYTES
    for piece in pieces:
        begin = 0
        while begin < len(piece):
            run.append(piece.slice(begin, min(room, len(piece) - begin)))
            begin += len(run[-1])
            room -= len(run[-1])
            if not room or len(run) == _RUN_PIECES:
                yield run
                run, room = [], _RUN_BYTES
    if run:
        yield run


def _write_run(fd: int, pieces: list[pa.Buffer], offset: int) -> None:
    """Writes all of a run; the kernel may take a part."""
    written = os.pwritev(fd, pieces, offset)
    for piece in pieces:
        if written < len(piece):
            write_at(fd, memoryview(piece)[written:], offset + written)
        offset += len(piece)
        written = max(0, written - len(piece))


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Writes all of `data`; the kernel may take it in pieces."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def sync_file(path: Path) -> None:
    """Has the disk keep a file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Has the disk keep the names in a directory."""
    sync_file(path)
