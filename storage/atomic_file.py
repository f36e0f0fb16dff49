"""A file that a user asked for: whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nanotape.storage.errors import QueryError
from nanotape.storage.file_writes import sync_directory


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Yields a draft; at the end it has the name, after an exception what was there before still is.

    A pipe or a device is written straight: it must never be replaced by a file.

    Raises:
        OSError: It cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(path.absolute().parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def asked_for(path: Path) -> Iterator[BinaryIO]:
    """The same, for an answer.

    Raises:
        QueryError: It cannot be written, in a line.
    """
    try:
        with written_whole(path) as file:
            yield file
    except OSError as error:
        raise QueryError(f"{path}: cannot be written: {error.strerror}; name another file, or make room") from error
