"""Whether the loops of rings, and the clock service, go on.

Polls, which a quiet feed does not stop, are counted in shared memory. A ring that cannot be read has no progress: that
it was made anew or is gone for a moment ends nobody's patience. One whose writer is gone holds nobody up: it is for the
supervisor to start another, which may have to wait until its interface is there again.
"""

from collections.abc import Iterable
from pathlib import Path

from nanotape.capture.clock.journal import read_state
from nanotape.capture.errors import RingError
from nanotape.capture.notify import Notifier
from nanotape.capture.ring import Ring

_NOBODY_POLLS = (0, -1)


class LoopProgress:
    """Looks at the loops of some rings again and again."""

    def __init__(self, shm_directory: Path | str) -> None:
        """Has seen none yet."""
        self._shm_directory = Path(shm_directory)
        self._seen: dict[str, tuple[int, int]] = {}

    def has_moved(self, names: Iterable[str]) -> bool:
        """Whether each of these rings that has a writer was polled since this was last answered yes."""
        now: dict[str, tuple[int, int]] = {}
        for name in names:
            polls = self._polls(name)
            if polls is None or (polls != _NOBODY_POLLS and polls == self._seen.get(name)):
                return False
            now[name] = polls
        self._seen = now
        return True

    def _polls(self, name: str) -> tuple[int, int] | None:
        """The writer's epoch, and the polls of its sources in all."""
        try:
            with Ring.open(name, self._shm_directory) as ring:
                if not ring.writer_alive:
                    return _NOBODY_POLLS
                loops = [source.loop for source in ring.sources()]
                return ring.epoch, sum(loop.polls_busy + loop.polls_idle for loop in loops)
        except RingError:
            return None


class ClockProgress:
    """Looks at what a clock service tells: each of its looks has a time of its own."""

    def __init__(self, run_directory: Path | str) -> None:
        """Has seen none yet."""
        self._run_directory = Path(run_directory)
        self._seen: object = None

    def has_moved(self) -> bool:
        """Whether anything was told since this was last answered yes, by this process or by whoever looks for it."""
        state = read_state(self._run_directory)
        told = state.get("at_ns") if state else None
        moved = told is not None and told != self._seen
        self._seen = told
        return moved


class Watchdog:
    """Feeds the service manager's watchdog as long as the loops of all rings that run go on."""

    def __init__(self, notifier: Notifier, shm_directory: Path | str) -> None:
        """Feeds nothing yet."""
        self.notifier = notifier
        self._progress = LoopProgress(shm_directory)

    def look(self, names: Iterable[str]) -> None:
        """Feeds it if that is due and all have moved.

        Args:
            names: Of the rings that have not ended.
        """
        if self.notifier.is_due() and self._progress.has_moved(names):
            self.notifier.feed()
