"""Compacts an archive: segments become sorted Parquet files, small Parquet files of days that are over large ones.

One at a time for an archive; recorders and readers go on meanwhile. It may be killed at any instant and repeated.
Memory is bounded by `budget_bytes`, see there, however large the archive is.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.compact_piece import PieceWriter
from nanotape.storage.compact_plan import Piece, merge_pieces, segment_pieces
from nanotape.storage.errors import CompactionError, StorageError
from nanotape.storage.log import Log, log_to_stderr
from nanotape.storage.parquet_writing import DEFAULT_LEVEL
from nanotape.storage.segment_facts import check_segment
from nanotape.storage.tidy import tidy
from nanotape.storage.views import write_sql

WORK_FOLDER = ".compact"
_LOCK_NAME = "lock"

Progress = Callable[[int, int], None]
"""Takes rows done and rows in all."""


@dataclass(frozen=True, slots=True)
class CompactOptions:
    """How an archive is compacted."""

    date: str | None = None
    """Only this day, YYYY-MM-DD, whose small files are merged even if it is not over; None: all days."""
    merge: bool = True
    """Whether small Parquet files are merged."""
    level: int = DEFAULT_LEVEL
    """Of zstd; from 9 on headers too are compressed as far as they can be, which takes several times as long."""
    grace_ns: int = 600 * 10**9
    """For so long what was compacted stays on the disk, for those who are reading it."""
    budget_bytes: int = 128 << 20
    """Rows that are sorted at once. About four times as much is used in all, and 200 MiB besides."""


@dataclass(slots=True)
class DayReport:
    """What was done for a table's day."""

    table: str
    date: str
    inputs: int = 0
    """Segments and Parquet files."""
    files: int = 0
    """Parquet files made of them."""
    rows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class CompactReport:
    """What was done."""

    days: list[DayReport] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    """New files."""
    freed_bytes: int = 0
    """Of files that had been out of force for long enough."""
    errors: list[str] = field(default_factory=list)
    """Pieces that were left as they are, and why."""


def compact(
    archive: Archive,
    options: CompactOptions | None = None,
    *,
    clock: Clock | None = None,
    log: Log = log_to_stderr,
    progress: Progress | None = None,
) -> CompactReport:
    """Compacts all that there is to compact.

    Args:
        archive: Where.
        options: None: the defaults.
        clock: None: the host's.
        log: Takes one line at a time.
        progress: Told after each batch.

    Raises:
        CompactionError: Another compaction is at work.
        StorageError: The archive cannot be read or written; pieces that alone are wrong are in the report.
    """
    options, clock = options or CompactOptions(), clock or SystemClock()
    work = archive.path / WORK_FOLDER
    with _Lock(work):
        report = CompactReport()
        try:
            report.freed_bytes += tidy(archive, clock.utc_ns(), options.grace_ns)
            run = _Run(archive, options, clock, log, progress, report, work)
            run.all(segment_pieces(archive, options.date))
            if options.merge:
                today = datetime.fromtimestamp(clock.utc_ns() / 1e9, UTC).strftime("%Y-%m-%d")
                while run.all(merge_pieces(archive, today, options.date)):
                    pass  # a day of very many files takes several rounds
            report.freed_bytes += tidy(archive, clock.utc_ns(), options.grace_ns)
            write_sql(archive)
        except OSError as error:
            raise StorageError(f"{archive.path}: cannot compact: {error.strerror or error}; see to it") from error
        return report


class _Run:
    """One run over a list of pieces."""

    def __init__(
        self,
        archive: Archive,
        options: CompactOptions,
        clock: Clock,
        log: Log,
        progress: Progress | None,
        report: CompactReport,
        work: Path,
    ) -> None:
        self._archive, self._options, self._clock, self._log = archive, options, clock, log
        self._progress, self._report, self._work = progress, report, work
        self._done = self._total = 0

    def all(self, pieces: list[Piece]) -> int:
        """Does them; how many were done."""
        self._total += sum(piece.rows for piece in pieces)
        return sum(self._one(piece) for piece in pieces)

    def _one(self, piece: Piece) -> int:
        begin = self._clock.monotonic_ns()
        writer = PieceWriter(
            self._archive, piece, self._work, self._options.level, self._options.budget_bytes, self._tell
        )
        try:
            outcome = writer.run(self._clock.utc_ns())
        except (StorageError, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            return self._without_damaged(piece, error)
        if outcome is None:
            return 0
        self._report.paths += outcome.paths
        day = self._day(piece)
        day.inputs += len(piece.segments) + len(piece.parquet)
        day.files += len(outcome.paths)
        day.rows += outcome.rows
        day.bytes_in += piece.bytes
        day.bytes_out += outcome.bytes
        day.seconds += (self._clock.monotonic_ns() - begin) / 1e9
        return 1

    def _without_damaged(self, piece: Piece, error: Exception) -> int:
        """All but one of several segments are fine, as a rule, and still go together."""
        whole = []
        for each in piece.segments if len(piece.segments) > 1 else ():
            try:
                check_segment(each)
                whole.append(each)
            except StorageError as damage:
                self._complain(damage)
        if 0 < len(whole) < len(piece.segments):
            return self._one(replace(piece, segments=tuple(whole)))
        if len(whole) > 1:  # no checksum tells which of them it is
            return sum(self._one(replace(piece, segments=(each,))) for each in whole)
        if len(piece.segments) < 2:
            self._complain(error)
        return 0

    def _complain(self, error: Exception) -> None:
        if str(error) not in self._report.errors:
            self._report.errors.append(str(error))
            self._log(f"{error}; left as it is")

    def _day(self, piece: Piece) -> DayReport:
        for day in self._report.days:
            if (day.table, day.date) == (piece.table, piece.date):
                return day
        self._report.days.append(DayReport(piece.table, piece.date))
        return self._report.days[-1]

    def _tell(self, rows: int) -> None:
        self._done += rows
        if self._progress:
            self._progress(self._done, self._total)


class _Lock:
    """The work folder, for one compaction at a time; what a dead one left in it is removed."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def __enter__(self) -> None:
        try:
            self._work.mkdir(exist_ok=True)
            self._fd = os.open(self._work / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"{self._work}: cannot be made: {error.strerror}; see to it") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise CompactionError(
                f"{self._work.parent}: already compacted by process {holder}; wait for it, or stop it"
            ) from None
        with suppress(OSError):  # a full disk: the lock holds all the same, only its holder goes unnamed
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        for entry in self._work.iterdir():
            if entry.name != _LOCK_NAME:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
