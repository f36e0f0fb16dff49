"""Capture files as an import takes them: recognised by their first bytes, never by their names.

A folder stands for the capture files in it and below, sorted. Nothing here parses a packet.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from nanotape.capture.unpack import compression_of
from nanotape.storage.errors import NotACaptureError

_PCAP_MAGICS = frozenset(
    magic.to_bytes(4, order) for magic in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34) for order in ("big", "little")
)
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_MAGIC_BYTES = 4
_HEAD_BYTES = 1 << 18  # of a compressed file: zstd gives nothing before it has a block, of 128 KiB at most
_HASHED_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """One file that is a capture by its first bytes."""

    path: Path
    size_bytes: int
    """As it lies on the disk, compressed or not."""
    compression: str | None
    """`gzip` or `zstd`; None: neither."""

    def sha256(self, on_piece: Callable[[], None] = lambda: None) -> str:
        """Of its bytes as they lie on the disk, in hexadecimal; reads all of it.

        Args:
            on_piece: Called now and then; may raise.

        Raises:
            NotACaptureError: It cannot be read.
        """
        digest = hashlib.sha256()
        try:
            with self.path.open("rb", buffering=0) as file:
                while piece := file.read(_HASHED_PIECE_BYTES):
                    digest.update(piece)
                    on_piece()
        except OSError as error:
            raise NotACaptureError(f"{self.path}: cannot be read: {error.strerror}; see to its disk") from None
        return digest.hexdigest()


def capture_file(path: Path) -> CaptureFile:
    """A file that is a capture.

    Args:
        path: Of a regular file, plain or compressed by gzip or zstd.

    Raises:
        NotACaptureError: It cannot be read, or is no capture file.
    """
    found = _look(path)
    if isinstance(found, str):
        raise NotACaptureError(
            f"{path}: expected a capture file (pcap or pcapng, plain, gzip or zstd), found {found}; "
            "leave it out, or correct the path"
        )
    return found


def capture_paths(given: Iterable[Path]) -> list[Path]:
    """The files that are meant: those given, in their order, and for a folder the captures in it and below, sorted.

    Raises:
        NotACaptureError: A folder cannot be listed, or has no capture file.
    """
    paths: list[Path] = []
    for path in given:
        if not path.is_dir():
            paths.append(path)
            continue
        found = [each for each in _below(path) if isinstance(_look(each), CaptureFile)]
        if not found:
            raise NotACaptureError(f"{path}: expected capture files in this folder, found none; correct the path")
        paths += found
    return paths


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise NotACaptureError(f"{error.filename}: this folder cannot be listed: {error.strerror}; see to it")

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _look(path: Path) -> CaptureFile | str:
    """The capture file, or what is found instead."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us up
    except FileNotFoundError:
        return "nothing"
    except OSError as error:
        return f"one that cannot be opened ({error.strerror})"
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return "something that is no file"
        head = os.pread(descriptor, _HEAD_BYTES, 0)
    except OSError as error:
        return f"one that cannot be read ({error.strerror})"
    finally:
        os.close(descriptor)
    if not head:
        return "an empty one"
    compression = compression_of(head[:_MAGIC_BYTES])
    begins = head[:_MAGIC_BYTES] if compression is None else _first_bytes(head, compression)
    if begins in _PCAP_MAGICS or begins == _PCAPNG_MAGIC:
        return CaptureFile(path, facts.st_size, compression)
    inside = f"{compression} data of " if compression else ""
    return f"{inside}one that begins with {begins.hex(' ') or 'nothing that can be decompressed'}"


def _first_bytes(head: bytes, compression: str) -> bytes:
    """What the decompressed data begin with, as far as the head of the file tells."""
    try:
        if compression == "gzip":
            return zlib.decompressobj(wbits=31).decompress(head, _MAGIC_BYTES)
        with zstandard.ZstdDecompressor().stream_reader(head, read_across_frames=True) as reader:
            return reader.read(_MAGIC_BYTES)
    except (zlib.error, zstandard.ZstdError):
        return b""
