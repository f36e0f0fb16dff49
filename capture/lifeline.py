"""A pipe that ends with whoever started a process: unlike a signal at a parent's death it outlives an exec.

The kernel sends that signal when the thread ends that started the process, as all but one do when a process executes
another program.
"""

import contextlib
import os
from collections.abc import Iterator


class Lifeline:
    """Of one process."""

    def __init__(self, ours: int, theirs: int = -1) -> None:
        """Takes the two ends of a pipe: what is written, never, and what the process watches."""
        self.ours, self._theirs = ours, theirs

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator["Lifeline"]:
        """One for a process that is started meanwhile; closed where that fails."""
        theirs, ours = os.pipe()
        made = cls(ours, theirs)
        try:
            yield made
        except BaseException:
            made.close()
            raise
        finally:
            os.close(theirs)

    @property
    def passed(self) -> tuple[int, ...]:
        """What the process is to have."""
        return (self._theirs,)

    @property
    def options(self) -> list[str]:
        """Of its command."""
        return ["--lifeline", str(self._theirs)]

    def close(self) -> None:
        """A process that still runs ends. May be called twice."""
        if self.ours >= 0:
            os.close(self.ours)
            self.ours = -1
