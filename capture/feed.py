"""A capture file on its way to the capture process: opened as whoever started us, and decompressed where need be.

The capture process reads it from standard input: it needs no right on the file, and parses nothing but packets.
"""

import contextlib
import os
import stat
import subprocess
from collections.abc import Sequence
from typing import IO, Any

from nanotape.capture.child import ending
from nanotape.capture.errors import FileUnusable, ServiceError
from nanotape.capture.unpack import compression_of

_LAST_WORDS_S = 10.0  # a decompressor that nobody reads any more ends at its next write


class Feed:
    """One file, for one capture process after the other: each reads it from its beginning."""

    def __init__(self, file: str, unpack: Sequence[str], talk: IO[Any] | None) -> None:
        """Opens the file; all read this very one, whatever comes to stand in its place.

        Args:
            file: Its path.
            unpack: The decompressor's command.
            talk: Where its standard error goes; None: to ours.

        Raises:
            FileUnusable: It cannot be opened, or is none.
        """
        self._file, self._unpack, self._talk = file, unpack, talk
        self._source = _open(file)
        self._process: subprocess.Popen[bytes] | None = None

    def stream(self) -> int:
        """The file's bytes, decompressed, from the first on; the descriptor is the caller's.

        Raises:
            ServiceError: It cannot be read, or the decompressor cannot be started.
        """
        self._end_process()
        try:
            if compression_of(os.pread(self._source, 4, 0)) is not None:
                return self._decompressed()
            os.lseek(self._source, 0, os.SEEK_SET)
            return os.dup(self._source)
        except OSError as error:
            advice = "see to its disk, or correct source.file"
            raise ServiceError(
                f"{self._file}: expected a capture file, cannot read it: {error.strerror}; {advice}", 2
            ) from None

    def _decompressed(self) -> int:
        out, into = os.pipe2(os.O_CLOEXEC)
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone.
            self._process = subprocess.Popen(
                self._unpack, stdin=self._source, stdout=into, stderr=self._talk, start_new_session=True
            )
        except OSError as error:
            os.close(out)
            raise ServiceError(f"{self._file}: {self._unpack[0]} cannot be started: {error.strerror}") from None
        finally:
            os.close(into)
        return out

    def failure(self) -> str | None:
        """How the decompressor failed, once the capture has read all that it gave; None: it did not."""
        if self._process is None:
            return None
        try:
            status = self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return None  # it has more, which the capture did not want
        return ending(status) if status else None

    def close(self) -> None:
        """Ends the decompressor and closes the file. May be called twice."""
        self._end_process()
        if self._source >= 0:
            os.close(self._source)
            self._source = -1

    def _end_process(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None


def _open(file: str) -> int:
    advice = "correct source.file, or run as a user who may read it"
    try:
        source = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us up
    except OSError as error:
        raise FileUnusable(f"{file}: expected a capture file, cannot open it: {error.strerror}; {advice}") from None
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise FileUnusable(f"{file}: expected a capture file, found something else; {advice}")
    os.set_blocking(source, True)
    return source
