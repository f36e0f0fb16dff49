"""Faults at each call by which a process changes files: refused, or the last thing it did before it was killed.

A write may have been done in part by then. Works in one thread: use it with Fsync.NEVER.
"""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALLS = ("pwritev", "pwrite", "rename", "replace", "ftruncate", "unlink", "mkdir")
NEVER_REFUSED = ("ftruncate", "unlink")  # they need no room


class Killed(BaseException):
    """Nothing of the process runs after it; what runs on the way out changes no file."""


class WriteFaults:
    """Of this process, from construction to the end of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> None:
        self.chance = chance
        self.calls_left: int | None = None
        """Calls until the process is killed in one; None: it is not."""
        self.refused_share = 0.0
        """Of calls that need room."""
        self.is_on = False
        self.is_dead = False
        for name in CALLS:
            monkeypatch.setattr(os, name, self._faulty(name, getattr(os, name)))
        self._write_text = Path.write_text
        monkeypatch.setattr(Path, "write_text", self._faulty("write_text", Path.write_text))
        self._pwrite = os.pwrite.__wrapped__  # type: ignore[attr-defined]

    def begin(self, calls_left: int | None, refused_share: float) -> None:
        """From now on."""
        self.calls_left, self.refused_share, self.is_on, self.is_dead = calls_left, refused_share, True, False

    def _faulty(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            fault = self._fault(name) if self.is_on else None
            if fault is None:
                return real(*arguments, **options)
            if name in ("pwrite", "pwritev"):
                pieces = arguments[1] if name == "pwritev" else [arguments[1]]
                data = b"".join(bytes(piece) for piece in pieces)
                self._pwrite(arguments[0], data[: self.chance.randint(0, len(data))], arguments[2])
            elif isinstance(fault, Killed) and self.chance.random() < 0.5:
                real(*arguments, **options)
            raise fault

        call.__wrapped__ = real  # type: ignore[attr-defined]
        return call

    def _fault(self, name: str) -> BaseException | None:
        if self.is_dead:
            return Killed()
        if self.calls_left is not None:
            self.calls_left -= 1
            self.is_dead = self.calls_left < 0
            if self.is_dead:
                return Killed()
        if name not in NEVER_REFUSED and self.chance.random() < self.refused_share:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return None
