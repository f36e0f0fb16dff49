"""Where an export goes: a file that is there whole or not at all, or standard output; plain, or zstd in frames.

The zstd form is that of facebook/zstd, contrib/seekable_format: independent frames and a table of them in a skippable
frame at the end, so that a viewer can begin in the middle; any zstd reads it as one stream.
"""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import zstandard

from nanotape.storage.atomic_file import written_whole
from nanotape.storage.errors import ExportError

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
        self._file = standard_output
        self._named = contextlib.ExitStack()
        self._frames: SeekableZstd | None = None
        self._buffered = bytearray()

    def __enter__(self) -> Self:
        """Opens the draft."""
        if self._path is not None:
            with self._telling():
                self._file = self._named.enter_context(written_whole(self._path))
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
        if kind is None:
            try:
                self._finish()
            except BaseException as broken:
                self._leave(broken)
                raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Gives the file its name; after an error removes the draft, which may say again what was told already."""
        with self._telling() if error is None else contextlib.suppress(OSError, type(error)):
            self._named.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)

    def _finish(self) -> None:
        self._pass_on()
        with self._telling():
            if self._frames is not None:
                self._frames.finish()
            self._file.flush()

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
