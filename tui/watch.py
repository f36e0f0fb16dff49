"""The thread that looks, again and again, and what is to be said when it cannot: it hangs, or a look is a defect.

Nobody waits for it, also not who ends the program: a disk that does not answer may hold it for ever.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from nanotape.tui import words
from nanotape.tui.picture import Picture

_HANGS_S, _SECOND_S = 5.0, 1.0


class Watch:
    """Looks until it is ended."""

    def __init__(
        self,
        look: Callable[[], Picture],
        refresh_s: float,
        tell: Callable[[], object],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Does not look yet.

        Args:
            look: Makes the newest picture.
            refresh_s: Seconds from the end of a look to the next.
            tell: Is called in the thread when there is a newer picture, or none could be made.
            monotonic_ns: The host's clock.
        """
        self._look, self._refresh_s, self._tell, self._monotonic_ns = look, refresh_s, tell, monotonic_ns
        self._pause_s = min(refresh_s, _SECOND_S)  # of the first look neither a rate nor a loss is known
        self._ended = threading.Event()
        self._looked_ns = monotonic_ns()
        self._defect = ""
        self.picture: Picture | None = None
        """The newest; None: there is none yet."""

    @property
    def is_ended(self) -> bool:
        """Whether it is not to look any more."""
        return self._ended.is_set()

    @property
    def trouble(self) -> str:
        """Why the picture is not of now; empty: it is."""
        if self._defect:
            return f"NOT LOOKED AT: a defect, report it: {self._defect}"
        since_s = (self._monotonic_ns() - self._looked_ns) / 1e9
        if since_s < _HANGS_S + self._refresh_s:
            return ""
        return f"NOT LOOKED AT for {words.seconds(since_s)}: a look hangs, as on a disk that does not answer"

    def start(self) -> None:
        """Begins to look."""
        threading.Thread(target=self._run, name="nanotape-looks", daemon=True).start()

    def end(self) -> None:
        """Looks no more; returns at once."""
        self._ended.set()

    def _run(self) -> None:
        while not self.is_ended:
            try:
                self.picture, self._defect = self._look(), ""
            except Exception as error:  # what was seen before, and that it is old, is worth more than nothing
                self._defect = words.printable(f"{type(error).__name__}: {error}")
            self._looked_ns = self._monotonic_ns()
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more to be told
                self._tell()
            self._ended.wait(self._pause_s)
            self._pause_s = self._refresh_s
