"""Whole writes and syncs of a segment's files.

The kernel may take less of a write than it was given: here all of it is written, or an OSError says why not.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from nanotape.storage.sidecar import checksum

_RUN_BYTES = 512 << 10  # written, then summed: a share of the processor's own cache
_RUN_PIECES = 512  # the kernel takes 1024 at once
_HOLE_BYTES = 16 << 10  # a few pages: less is not worth a call of its own
_NOUGHT = pa.py_buffer(bytes(1 << 20))


def write_summed(fd: int, pieces: Iterable[pa.Buffer], offset: int) -> int:
    """Writes all pieces, one after the other, at the end of a file, and sums each while it is in the processor's cache.

    Long stretches of noughts, such as columns in which all is null, are left out: the file has holes there, which read
    as noughts and cost neither pages nor disk.

    Returns:
        The crc32c of all of them.
    """
    crc = 0
    for run, is_hole in _runs([piece for piece in pieces if len(piece)]):
        if not is_hole:
            _write_run(fd, run, offset)
        for piece in run:
            crc = checksum(piece, crc)
            offset += len(piece)
    return crc


def _runs(pieces: Sequence[pa.Buffer]) -> Iterator[tuple[list[pa.Buffer], bool]]:
    """The same bytes in runs of at most `_RUN_BYTES`, each of few enough pieces for one call of the system; or holes.

    The last piece is never one: with it the file becomes as long as it has to be.
    """
    run: list[pa.Buffer] = []
    room = _RUN_BYTES
    for number, piece in enumerate(pieces, 1):
        if number < len(pieces) and _is_nought(piece):
            if run:
                yield run, False
            yield [piece], True
            run, room = [], _RUN_BYTES
            continue
        begin = 0
        while begin < len(piece):
            run.append(piece.slice(begin, min(room, len(piece) - begin)))
            begin += len(run[-1])
            room -= len(run[-1])
            if not room or len(run) == _RUN_PIECES:
                yield run, False
                run, room = [], _RUN_BYTES
    if run:
        yield run, False


def _is_nought(piece: pa.Buffer) -> bool:
    """Whether it is long and all nought; what is not is found out by its first bytes, as a rule."""
    if len(piece) < _HOLE_BYTES:
        return False
    steps = range(0, len(piece), len(_NOUGHT))
    parts = ((piece.slice(at, min(len(_NOUGHT), len(piece) - at))) for at in steps)
    return all(part.equals(_NOUGHT.slice(0, len(part))) for part in parts)


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
