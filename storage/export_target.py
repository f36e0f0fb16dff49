"""Where an export goes: a file that is there whole or not at all, or standard output; plain, or zstd in frames.

The zstd form is that of facebook/zstd, contrib/seekable_format: independent frames and a table of them in a skippable
frame at the end, so that a viewer can begin in the middle; any zstd reads it as one stream.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import zstandard

from nanotape.storage.errors import ExportError
from nanotape.storage.file_writes import sync_directory

FRAME_BYTES = 4 << 20
_SKIPPABLE_MAGIC, _SEEKABLE_MAGIC = 0x184D2A5E, 0x8F92EAB1
_WRITE_BYTES = 1 << 20


class SeekableZstd:
    """Compresses what is written to it into frames of `FRAME_BYTES`, and ends with the table of them."""

    def __init__(self, output: BinaryIO, level: int = 3) -> None:
        """Writes nothing yet; `output` stays open."""
        self._output = output
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
        self._held = bytearray()
        self._frames: list[tuple[int, int]] = []  # compressed and decompressed bytes

    def write(self, data: bytes) -> None:
        """Takes data; whole frames go out."""
        self._held += data
        while len(self._held) >= FRAME_BYTES:
            self._frame(bytes(self._held[:FRAME_BYTES]))
            del self._held[:FRAME_BYTES]

    def finish(self) -> None:
        """Writes the last frame and the table."""
        if self._held:
            self._frame(bytes(self._held))
            self._held.clear()
        table = b"".join(struct.pack("<II", *sizes) for sizes in self._frames)
        table += struct.pack("<IBI", len(self._frames), 0, _SEEKABLE_MAGIC)
        self._output.write(struct.pack("<II", _SKIPPABLE_MAGIC, len(table)) + table)

    def _frame(self, data: bytes) -> None:
        frame = self._compressor.compress(data)
        self._frames.append((len(frame), len(data)))
        self._output.write(frame)


class ExportTarget:
    """A context: at its end the file has its name; after an exception there is none, and an older one is as it was."""

    def __init__(self, path: Path | None, standard_output: BinaryIO, *, zstd: bool) -> None:
        """Opens nothing yet.

        Args:
            path: The file; None: standard output.
            standard_output: Used then.
            zstd: Whether to compress.
        """
        self._path, self._zstd = path, zstd
        is_named = path is not None and (
            path.is_file() or not path.exists()
        )  # else a pipe or device: nothing to rename
        self._draft = path.with_name(f".{path.name}.{os.getpid()}.new") if path is not None and is_named else None
        self._file = standard_output
        self._frames: SeekableZstd | None = None
        self._buffered = bytearray()

    def __enter__(self) -> Self:
        """Opens the draft."""
        if self._path is not None:
            with self._telling():
                self._file = (self._draft or self._path).open("wb")
        self._frames = SeekableZstd(self._file) if self._zstd else None
        return self

    def write(self, data: bytes) -> None:
        """Appends data.

        Raises:
            ExportError: The file cannot take it.
        """
        self._buffered += data
        if len(self._buffered) >= _WRITE_BYTES:
            self._pass_on()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives the file its name, or removes the draft."""
        try:
            if kind is None:
                self._finish()
        finally:
            if self._path is not None:
                with contextlib.suppress(OSError):  # told already: what is left in its buffer does not fit either
                    self._file.close()
            if self._draft is not None:
                self._draft.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._pass_on()
        with self._telling():
            if self._frames is not None:
                self._frames.finish()
            self._file.flush()
            if self._draft is not None and self._path is not None:
                os.fsync(self._file.fileno())
                self._draft.replace(self._path)
                sync_directory(self._path.absolute().parent)

    def _pass_on(self) -> None:
        data = bytes(self._buffered)
        self._buffered.clear()
        with self._telling():
            if self._frames is not None:
                self._frames.write(data)
            else:
                self._file.write(data)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """What the system refuses, in a line; but who reads our output may leave when he likes."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard output" if self._path is None else str(self._path)
            words = f"cannot be written: {error.strerror}; make room, or name another file"
            raise ExportError(f"{name}: {words}") from None
