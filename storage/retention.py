"""Keeps an archive below its size and its file system from filling up: deletes the packets recorded first.

Never the newest file of a ring, never one in use, never what is beside the packets. What is out of force anyway goes
first. Each deletion is an event; see `deletion` for how, `holdings` for the order. Several processes may try at once.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock
from nanotape.storage.deletion import Deletion, Doomed, doomed_parquet, stamp_range
from nanotape.storage.errors import ArchiveError, StorageError
from nanotape.storage.holdings import Holding, deletable, holdings
from nanotape.storage.log import Log
from nanotape.storage.manifest import RingRange, dates, day_folder, read_manifest
from nanotape.storage.reserve import Reserve
from nanotape.storage.retired import disk_bytes, remove_retired, segment_key, unlink_file
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment_facts import read_segment, segment_facts
from nanotape.storage.segment_names import SEGMENT_SUFFIX
from nanotape.storage.table_schemas import TABLES
from nanotape.storage.views import write_sql

WORK_FOLDER = ".retention"
_T = TypeVar("_T")
_RESERVE_BYTES = 1 << 20
_AT_ONCE = 256  # files: what is noted, and told, together
_BEYOND_SHARE = 100  # of the limit, so that not each pass has something to delete
_RETIRED_EVERY_NS = 60 * 10**9
FREE, SIZE = "free space", "size of the archive"
"""Reasons."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What an archive may take."""

    keep_free: Callable[[int], int] = lambda total_bytes: total_bytes // 10
    """Bytes to be kept free on a file system of so many bytes; 0: none."""
    max_bytes: int | None = None
    """Bytes of disk that all of the archive may take; None: no limit."""
    grace_ns: int = 600 * 10**9
    """For so long files that are out of force stay, unless less than half of what is to be free is."""
    host: str = ""
    """Who deletes, for the events."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """By how much an archive is above what it may take."""

    bytes: int
    """0: it is not."""
    reason: str
    is_dire: bool = False
    """Less than half of what is to be free is."""
    beyond_bytes: int = 0
    """What is freed besides, if anything is."""


@dataclass(frozen=True, slots=True)
class Room:
    """A file system."""

    total_bytes: int
    free_bytes: int
    """For an unprivileged process."""


def room(path: Path) -> Room:
    """The room that there is where a path lies.

    Raises:
        OSError: It is not there.
    """
    found = os.statvfs(path)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class Retention:
    """Of one archive, by one process."""

    def __init__(
        self,
        archive: Archive,
        policy: RetentionPolicy,
        clock: Clock,
        log: Log,
        room_of: Callable[[Path], Room] = room,
    ) -> None:
        """Touches nothing yet.

        Args:
            archive: What is kept in bounds.
            policy: The bounds.
            clock: For what is too old, and the time of deletion.
            log: Takes one line at a time.
            room_of: How the room on a file system is found out.
        """
        self._archive, self._policy, self._clock, self._log, self._room = archive, policy, clock, log, room_of
        self._work = archive.path / WORK_FOLDER
        self._reserve = Reserve(self._work / "reserve", _RESERVE_BYTES)
        self._deletion = Deletion(archive, policy.host, self._work / "note.json")
        self._retired_look_ns: int | None = None
        self._untold: list[Doomed] = []
        self.is_exhausted = False
        """The last pass found nothing more that may be deleted, and too little room."""

    def enforce(self) -> list[Doomed]:
        """One pass: cheap where there is nothing to do.

        Returns:
            What was deleted.

        Raises:
            StorageError: The archive cannot be read or written.
            OSError: The system refused.
        """
        if not any((self._archive.path / name).is_dir() for name in ("segments", "packets")):
            return []  # nothing yet, or its file system is gone: nothing is to be made below the next mount
        with self._locked() as is_mine:
            if not is_mine:
                return []
            with suppress(OSError):
                self._work.mkdir(exist_ok=True)
            self._reserve.keep()
            deleted = self._unless_full(lambda: self._delete_and_tell([])) or []
            deleted += self._make_room()
            if any(segment_key(each.path) is None for each in deleted):
                self._unless_full(lambda: write_sql(self._archive))  # it names each file
            return deleted

    def _make_room(self) -> list[Doomed]:
        short = self._shortage()
        now = self._clock.utc_ns()
        if short.bytes or self._is_retired_due():
            waiting = self._unless_full(lambda: self._remove_retired(now, 0 if short.is_dire else None)) or 0
            short = self._shortage()  # what waits out its time will be free without us
            short = replace(short, bytes=max(0, short.bytes - (0 if short.is_dire else waiting)))
        self.is_exhausted = False
        if not short.bytes:
            return []
        chosen = self._choose(short, now)
        batches = (chosen[begin : begin + _AT_ONCE] for begin in range(0, len(chosen), _AT_ONCE))
        return [each for batch in batches for each in self._delete(batch, short.reason, now)]

    def _choose(self, short: Shortage, now_ns: int) -> list[Holding]:
        found, live = holdings(self._archive.path)
        wanted = short.bytes + short.beyond_bytes
        chosen: list[Holding] = []
        for each in deletable(found, live, now_ns):
            if wanted <= 0:
                break
            chosen.append(each)
            wanted -= each.bytes
        self.is_exhausted = wanted > short.beyond_bytes
        return chosen

    def _unless_full(self, action: Callable[[], _T]) -> _T | None:
        """What a full disk refuses must not keep us from making room on it."""
        try:
            return action()
        except (OSError, StorageError) as error:
            if not _is_full(error):
                raise
            return None

    def _shortage(self) -> Shortage:
        found = self._room(self._archive.path)
        keep = self._policy.keep_free(found.total_bytes)
        free = Shortage(
            max(0, keep - found.free_bytes), FREE, found.free_bytes < keep // 2, found.total_bytes // _BEYOND_SHARE
        )
        limit = self._policy.max_bytes
        if limit is None:
            return free
        size = Shortage(max(0, used_bytes(self._archive.path) - limit), SIZE, free.is_dire, limit // _BEYOND_SHARE)
        return max(free, size, key=lambda each: each.bytes)

    def _is_retired_due(self) -> bool:
        now, last = self._clock.monotonic_ns(), self._retired_look_ns
        if last is not None and now - last < _RETIRED_EVERY_NS:
            return False
        self._retired_look_ns = now
        return True

    def _remove_retired(self, now_ns: int, grace_ns: int | None) -> int:
        """Returns the bytes of files that are out of force and stay for a while."""
        waiting, grace_ns = 0, self._policy.grace_ns if grace_ns is None else grace_ns
        for table in TABLES:
            for date in dates(self._archive.path, table):
                retired = read_manifest(self._archive.path, table, date).retired
                # A clock that was set back is no reason to keep them for ever.
                due = {each for each in retired if not 0 <= now_ns - each.since_ns < grace_ns}
                if due:
                    remove_retired(self._archive.path, table, date, due.__contains__)
                waiting += sum(disk_bytes(self._archive.path / each.path) for each in retired if each not in due)
        return waiting

    def _delete(self, chosen: list[Holding], reason: str, now_ns: int) -> list[Doomed]:
        doomed = [found for each in chosen if (found := self._doom(each, reason, now_ns)) is not None]
        try:
            return self._delete_and_tell(doomed)
        except (OSError, StorageError) as error:
            if not _is_full(error) or not doomed:
                raise
        # Nothing can be written at all: the first goes without a word, and what that frees is for the words.
        unlink_file(self._archive.path / doomed[0].path)
        try:
            return self._delete_and_tell(doomed)
        except (OSError, StorageError) as error:
            if not _is_full(error):
                raise
            self._log(f"{doomed[0].path}: deleted on a full disk, which leaves no room to say so in the archive yet")
            self._untold.append(doomed[0])
            return doomed[:1]

    def _delete_and_tell(self, doomed: list[Doomed]) -> list[Doomed]:
        try:
            deleted = self._deletion.delete([*self._untold, *doomed])
        except (OSError, StorageError) as error:
            if not _is_full(error) or not self._reserve.release():
                raise
            deleted = self._deletion.delete([*self._untold, *doomed])
        self._untold.clear()
        self._reserve.keep()
        return deleted

    def _doom(self, held: Holding, reason: str, now_ns: int) -> Doomed | None:
        """All that is to be known of a file once it is gone; None: it is gone already."""
        if held.is_segment:
            return self._doom_segment(held, reason, now_ns)
        folder = day_folder(Path(), "packets", held.date).as_posix()
        for entry in read_manifest(self._archive.path, "packets", held.date).files:
            if f"{folder}/{entry.path}" == held.path:
                return doomed_parquet(entry, held.date, held.path, reason, now_ns)
        return None

    def _doom_segment(self, held: Holding, reason: str, now_ns: int) -> Doomed | None:
        path = self._archive.path / held.path
        [(ring, ring_id)] = held.rings
        try:
            facts = segment_facts(path.parent, ring, path.name.removesuffix(SEGMENT_SUFFIX))
        except ArchiveError:  # damaged: that must not fill the disk
            return Doomed(held.date, held.path, None, held.bytes, None, None, {}, reason, now_ns)
        if facts is None:
            return None
        stamps: tuple[int | None, int | None] = (None, None)
        with suppress(ArchiveError):
            stamps = stamp_range(read_segment(facts, pa.schema([packets_schema().field("ts")])))
        rings = {ring_id: RingRange(ring, facts.first_seq, facts.last_seq, facts.rows)}
        return Doomed(held.date, held.path, facts.rows, held.bytes, *stamps, rings, reason, now_ns)

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether nobody else is at it, and will be. The archive's folder is the lock: a full disk has that too."""
        lock = os.open(self._archive.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)


def used_bytes(folder: Path) -> int:
    """Bytes of disk that all files below a folder take."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += used_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _is_full(error: BaseException) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
