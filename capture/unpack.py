"""Decompresses a gzip or zstd file from standard input to standard output: `python -m nanotape.capture.unpack`.

Several members or frames follow each other. Of damaged data, all before the damage comes out; then one line says where
it was noticed, and the exit status is 1. Runs as whoever it is told to: what it reads, strangers have written.
"""

import argparse
import fcntl
import os
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Protocol

import zstandard

from nanotape.capture.accounts import give_up_privilege
from nanotape.capture.processes import end_with_parent

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a first byte 0x50 to 0x5f
_PIECE_BYTES = 1 << 12  # zstd may make 128 KiB of any four bytes, and all of a piece has to fit into memory
_PIPE_BYTES = 1 << 20
_TOO_WIDE = "too much memory"  # a window of more than 128 MiB: zstd's own words, since there is no number
_BAD_DATA = (zlib.error, zstandard.ZstdError)

Write = Callable[[bytes], object]


class _Part(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class DamagedError(Exception):
    """Raised when compressed data cannot be read further.

    Attributes:
        offset: Byte of the compressed data at which it was noticed.
    """

    def __init__(self, offset: int, reason: str) -> None:
        """With the decompressor's own words."""
        super().__init__(reason)
        self.offset = offset


def compression_of(head: bytes) -> str | None:
    """`gzip` or `zstd`, by the first four bytes of a file; None: neither."""
    if head[:2] == _GZIP_MAGIC:
        return "gzip"
    is_skippable = head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F
    return "zstd" if head[:4] == _ZSTD_MAGIC or is_skippable else None


def unpack(source: int, write: Write) -> None:
    """Decompresses a whole file.

    Args:
        source: Descriptor of a regular file.
        write: Takes what comes out, in order.

    Raises:
        DamagedError: The file is damaged, and all that could be read has been written.
    """
    kind = compression_of(os.pread(source, 4, 0))
    if kind is None:
        raise DamagedError(0, "neither gzip nor zstd")
    make = _gzip_member if kind == "gzip" else zstandard.ZstdDecompressor().decompressobj
    at = _unpack_part(source, 0, make, write)
    while (at := _next_part(source, at, kind)) < os.fstat(source).st_size:
        at = _unpack_part(source, at, make, write)


def _gzip_member() -> _Part:
    return zlib.decompressobj(wbits=31)


def _next_part(source: int, at: int, kind: str) -> int:
    """Where the next part begins; gzip allows zeros behind the last one."""
    while kind == "gzip" and os.pread(source, 1, at) == b"\0":
        at += 1
    return at


def _unpack_part(source: int, begin: int, make: Callable[[], _Part], write: Write) -> int:
    """Decompresses the part at an offset; returns where it ends."""
    part, at = make(), begin
    while piece := os.pread(source, _PIECE_BYTES, at):
        try:
            out = part.decompress(piece)
        except _BAD_DATA:
            _unpack_to_damage(source, begin, at, make, write)
        write(out)
        at += len(piece)
        if part.eof:
            return at - len(part.unused_data)
    raise DamagedError(at, "it ends in the middle")


def _unpack_to_damage(source: int, begin: int, bad: int, make: Callable[[], _Part], write: Write) -> NoReturn:
    """Once more up to the bad piece, and that byte by byte: an error swallows what the same call had decompressed."""
    part = make()
    for at in range(begin, bad, _PIECE_BYTES):
        part.decompress(os.pread(source, _PIECE_BYTES, at))
    at = bad
    while byte := os.pread(source, 1, at):
        try:
            out = part.decompress(byte)
        except _BAD_DATA as error:
            raise DamagedError(at, str(error)) from None
        write(out)
        at += 1
    raise DamagedError(at, "it changed while it was read")


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> int:
    """Decompresses standard input; a reader that goes away is no error."""
    parser = argparse.ArgumentParser(prog="nanotape-unpack")
    parser.add_argument("--name", required=True, help="of the file, for messages")
    parser.add_argument("--parent", type=int, help="end with this process")
    parser.add_argument("--user", type=int, help="as root: go over to this user")
    parser.add_argument("--group", type=int, help="as root: go over to this group")
    options = parser.parse_args()
    if options.user is not None and options.group is not None:
        give_up_privilege(options.user, options.group)  # only now: our own code may lie where that user cannot read
    if options.parent is not None:
        end_with_parent(options.parent)
    with suppress(OSError):  # fewer switches; not allowed where a user has too many pipes
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        unpack(0, _write_all)
    except BrokenPipeError:
        return 0
    except (DamagedError, OSError) as error:
        where = f"byte {error.offset} of the compressed file" if isinstance(error, DamagedError) else "reading"
        advice = "decompress it first (zstd -d --long=31)" if _TOO_WIDE in str(error) else "get the file anew"
        sys.stderr.write(
            f"nanotape: {options.name}: {where}: expected more data, found it damaged ({error}); "
            f"all before that is captured: {advice} for the rest\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
