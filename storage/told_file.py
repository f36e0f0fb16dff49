"""A small file for others, replaced whole or not at all, in a folder where others may write too."""

import os
from contextlib import suppress
from pathlib import Path


def tell_file(path: Path, content: str, *, durable: bool = False) -> None:
    """Replaces a file's content.

    Args:
        path: The file; readable as the umask allows.
        content: What it is to hold.
        durable: Whether it has to outlive the host.

    Raises:
        OSError: It cannot be written; what was there is there still.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    # Exclusively, following no link: one that somebody put there would have us overwrite a file of ours.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o666)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
