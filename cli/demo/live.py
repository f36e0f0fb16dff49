"""The table that moves while the demo runs: what is sent, in the ring, recorded, lost.

It moves on a terminal only; news are told in any case.
"""

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nanotape.capture.conservation import ring_books
from nanotape.capture.errors import CaptureError
from nanotape.capture.readers import ReaderFacts
from nanotape.capture.ring import Ring

_COLUMNS = ("sent", "in the ring", "recorded", "lost before\nthe ring", "lost by the\nrecorder", "recorder\nbehind")


class LiveTable:
    """A table on standard error; nothing at all when quiet."""

    def __init__(self, quiet: bool) -> None:
        """Shows nothing yet."""
        self._quiet = quiet
        self._live = Live(console=Console(stderr=True), refresh_per_second=5, transient=True)
        self._recorder = 0
        self._lost = self._lost_by_earlier = 0

    def __enter__(self) -> "LiveTable":
        """Itself, on the screen."""
        if not self._quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clears the table; the news stay."""
        if not self._quiet:
            self._live.stop()

    def tell(self, news: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._live.console.print(news, markup=False, highlight=False, soft_wrap=True)

    def show(self, ring: Ring, recorder: ReaderFacts | None, sent: dict[str, int]) -> None:
        """One frame."""
        if self._quiet:
            return
        try:
            books = ring_books(ring)
        except CaptureError:
            return  # between two writers: the next frame shows it
        recorded, lost = self._recorded(recorder)
        behind = "-" if recorder is None or recorder.lag_share is None else f"{recorder.lag_share:.1%}"
        table = Table(box=None, pad_edge=False, padding=(0, 1))
        for column in _COLUMNS:
            table.add_column(column, justify="right", min_width=11, no_wrap=True, vertical="bottom")
        table.add_row(f"{sum(sent.values()):,}", f"{books.in_ring:,}", recorded, f"{books.lost:,}", lost, behind)
        self._live.update(table)

    def _recorded(self, recorder: ReaderFacts | None) -> tuple[str, str]:
        """Recorded and lost since the demo began: a recorder's own figures begin with its own first record."""
        if recorder is None:
            return "-", "-"
        if recorder.pid != self._recorder:
            self._recorder, self._lost_by_earlier = recorder.pid, self._lost
        self._lost = self._lost_by_earlier + recorder.lost
        if recorder.recorded is None or recorder.first_seq is None:
            return "-", f"{self._lost:,}"
        return f"{recorder.first_seq - 1 - self._lost_by_earlier + recorder.recorded:,}", f"{self._lost:,}"
