"""The files of one recorder: its ring's folder, the segments in it, the tables beside them.

Recovers what a dead recorder left, and gets over it when somebody takes folder or file away: it goes on in new ones,
and says what is lost with the old.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock
from nanotape.storage.cut_back import recover_beside
from nanotape.storage.errors import SegmentWriteError, StorageError
from nanotape.storage.log import Log
from nanotape.storage.packets import RingFacts
from nanotape.storage.recorder_options import RecorderOptions
from nanotape.storage.recovery import Outcome, Recovery, recover_directory
from nanotape.storage.resume import archive_end
from nanotape.storage.ring_folder import RingFolder
from nanotape.storage.rotation import OnFinished, OpenSegment, RotationOptions, SegmentRotation
from nanotape.storage.rotation_times import RotationTimes
from nanotape.storage.segment import SegmentIdentity
from nanotape.storage.side_tables import SideTables
from nanotape.storage.stamp_facts import stamps_text
from nanotape.storage.table_schemas import RECORDED_TABLES

Range = tuple[int, int, int]
"""First and last ring sequence, and number of rows."""


@dataclass(frozen=True, slots=True)
class TakenAway:
    """Something was, and we have gone over to something new."""

    what: str
    lost: tuple[Range, ...]
    """Segments with rows that nobody will find again."""
    recorded_seq: int
    """Last ring sequence that is in the archive now; 0: none."""
    is_folder: bool
    """All was in it, not only the open segment."""


class RecordingFiles:
    """Held from `take` to `let_go`."""

    def __init__(
        self,
        archive: Archive,
        ring: RingFacts,
        options: RecorderOptions,
        clock: Clock,
        log: Log,
        on_segment: OnFinished | None = None,
    ) -> None:
        """Touches nothing yet.

        Raises:
            StorageError: `options.rotate_at` is no time, or its zone is not known.
        """
        self._rotate_at = RotationTimes(options.rotate_at, options.rotate_zone) if options.rotate_at else None
        self._on_segment = on_segment
        self._archive, self._ring, self._options, self._clock, self._log = archive, ring, options, clock, log
        self._folder: RingFolder | None = None
        self._rotation: SegmentRotation | None = None
        self._adrift: list[Range] = []
        self.tables = SideTables(archive.path / "segments" / ring.name, self._opened, clock, log)
        """What is written beside the packets."""
        self.is_away = False
        """The archive is gone, for the moment."""

    @property
    def directory(self) -> Path:
        """ARCHIVE/segments/RING."""
        return self._archive.path / "segments" / self._ring.name

    @property
    def grows(self) -> OpenSegment | None:
        """The open segment of packets; None: there is none."""
        return self._rotation.grows if self._rotation else None

    def take(self) -> list[Recovery]:
        """Locks the folder, which is made if need be, and recovers the packets in it.

        Raises:
            StorageError: It cannot be made, locked or recovered.
        """
        self._folder = RingFolder(self._archive, self._ring.name)
        return self._recover()

    def open(self) -> None:
        """Recovers what is beside the packets, and makes what writes. Once all that is in the folder is settled."""
        for table in RECORDED_TABLES:
            try:
                self._in_some_room(partial(recover_beside, self.directory, table, self._options.fsync))
            except StorageError as error:
                self._log(f"{error}; recording all the same")
        self._rotation = self._opened(self.directory)

    def write(self, rows: pa.RecordBatch) -> int:
        """Appends packets.

        Returns:
            Bytes written.

        Raises:
            SegmentWriteError: None of the rows is in the archive.
        """
        if self._rotation is None or self.is_away:
            raise SegmentWriteError(f"{self._archive.path}: is gone; put it back")
        return self._rotation.write(rows)

    def look_after(self) -> TakenAway | None:
        """Looks whether all is where it was; if not goes over to something new, at once or at a later call."""
        if self._rotation is None or self._folder is None:
            return None
        if not self.is_away and self._folder.is_there():
            return self._look_after_segment(self._rotation)
        self._adrift += self._rotation.give_up()
        self.tables.give_up()
        self.is_away = not self._folder.retake()
        if self.is_away:
            return None
        self._rotation.let_go()
        try:
            self._recover()
            self.open()
            end = archive_end(self.directory, self._ring.ring_id).last_seq or 0
        except StorageError as error:
            self._log(f"{error}; trying again")
            self.is_away = True
            return None
        lost, self._adrift = tuple(each for each in self._adrift if each[1] > end), []
        return TakenAway(f"{self.directory}: was taken away", lost, end, is_folder=True)

    def _look_after_segment(self, rotation: SegmentRotation) -> TakenAway | None:
        if not rotation.is_missing():
            return None
        held = rotation.give_up()  # those that could not be ended too, which may still be there
        end = archive_end(self.directory, self._ring.ring_id).last_seq or 0
        lost = tuple(each for each in held if each[1] > end)
        return TakenAway(f"{self.directory}: the open segment was taken away", lost, end, is_folder=False)

    def tick(self) -> None:
        """Ends what is old, syncs, and tries again what was refused."""
        if self._rotation:
            self._rotation.tick()

    def is_at_boundary(self) -> bool:
        """Whether the open segment is to end because of the time of day, so that what was read belongs into it."""
        return self._rotation is not None and self._rotation.is_at_boundary()

    def rotate(self) -> None:
        """Ends the open segment."""
        if self._rotation:
            self._rotation.rotate()

    def finish(self) -> None:
        """Ends the open segment, and what waits to be ended."""
        if self._rotation:
            self._rotation.finish()

    def let_go(self) -> None:
        """Waits for what the disk was told, and lets the next recorder in. May be called twice."""
        if self._rotation:
            self._rotation.let_go()  # before another recorder may recover what it still writes
            self._rotation = None
        self.tables.let_go()
        if self._folder:
            self._folder.release()
            self._folder = None

    def _recover(self) -> list[Recovery]:
        reports = self._in_some_room(partial(recover_directory, self.directory, self._options.fsync))
        for report in reports:
            self._log(str(report))
            if self._on_segment and report.outcome == Outcome.FINISHED:
                self._on_segment(report.path)
        return reports

    def _in_some_room(self, recover: Callable[[], list[Recovery]]) -> list[Recovery]:
        """Recovers on a full disk too: a few bytes must not keep a recorder from reading its ring."""
        try:
            return recover()
        except StorageError:
            if not self.tables.give_room():
                raise
            return recover()

    def _opened(self, directory: Path) -> SegmentRotation:
        options = self._options
        return SegmentRotation(
            directory,
            SegmentIdentity(self._ring.name, self._ring.ring_id, self._ring.host),
            self._clock,
            self._log,
            RotationOptions(
                options.rotate_bytes, options.rotate_interval_s, options.fsync, options.compression, self._rotate_at
            ),
            self._on_segment if directory == self.directory else None,
            (lambda: stamps_text(self._ring.sources())) if directory == self.directory else None,
        )
