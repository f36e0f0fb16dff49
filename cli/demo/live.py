"""The table that moves while the demo runs: what is sent, in the ring, recorded, lost, and what was killed."""

from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nanotape.capture.conservation import ring_books
from nanotape.capture.errors import CaptureError
from nanotape.capture.readers import list_readers
from nanotape.capture.ring import Ring


class LiveTable:
    """A table on standard error; nothing at all when quiet."""

    def __init__(self, title: str, quiet: bool) -> None:
        """Shows nothing yet."""
        self._title, self._quiet = title, quiet
        self._live = Live(console=Console(stderr=True), refresh_per_second=5, transient=True)
        self._news: list[str] = []

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
        self._news.append(news)
        if not self._quiet:
            self._live.console.print(news, markup=False, highlight=False)

    def show(self, ring: Ring, run_directory: str, sent: dict[str, int]) -> None:
        """One frame."""
        if self._quiet:
            return
        table = Table(title=self._title, title_justify="left", box=None)
        for column in (
            "sent",
            "in the ring",
            "recorded",
            "lost before the ring",
            "lost by the recorder",
            "recorder behind",
        ):
            table.add_column(column, justify="right")
        try:
            books = ring_books(ring)
        except CaptureError:
            return  # between two writers: the next frame shows it
        readers = list_readers(ring, Path(run_directory))
        recorded = "-" if not readers or readers[0].recorded is None else f"{readers[0].recorded:,}"
        lost = "-" if not readers else f"{readers[0].lost:,}"
        behind = "-" if not readers or readers[0].lag_share is None else f"{readers[0].lag_share:.1%} of the ring"
        table.add_row(f"{sum(sent.values()):,}", f"{books.in_ring:,}", recorded, f"{books.lost:,}", lost, behind)
        self._live.update(table)
