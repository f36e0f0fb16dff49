"""A file that a user asked for: whole, or not at all."""

import os
from pathlib import Path

from nanotape.storage.errors import QueryError


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step.

    Raises:
        QueryError: It cannot be written; what was there before still is.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise QueryError(f"{path}: cannot be written: {error.strerror}; name another file, or make room") from error
    finally:
        draft.unlink(missing_ok=True)
