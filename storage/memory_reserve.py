"""Address space that a process keeps for its last words: where no memory is granted any more, it gives this back first.

Costs no memory, since nobody touches it. Helps where a limit is set for the process (ulimit -v): a control group kills.
"""

import mmap
from contextlib import suppress

RESERVE_BYTES = 64 << 20
"""Enough to end a segment in order: some stacks of threads, a batch, its compressed form."""


class MemoryReserve:
    """Held until it is released."""

    def __init__(self, size_bytes: int = RESERVE_BYTES) -> None:
        """Takes it; nothing where it is refused already."""
        self._held: mmap.mmap | None = None
        with suppress(OSError, MemoryError):
            self._held = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)

    def release(self) -> None:
        """Gives it back. May be called twice."""
        if self._held is not None:
            self._held.close()
            self._held = None
