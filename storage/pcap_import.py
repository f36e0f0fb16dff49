"""Imports capture files into an archive: through a ring of their own and the recorder that writes any other ring.

Each file is taken up to its end or its damage; in order, each packet once, over kills and repetitions. What one file is
refused for does not hold up the others. Memory is that of the ring and of one batch, whatever the size.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.errors import FileUnusable
from nanotape.storage.archive import RING_NAME_PATTERN
from nanotape.storage.capture_files import CaptureFile, capture_file
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.errors import ImportRefusedError
from nanotape.storage.import_log import Held, ImportLog
from nanotape.storage.import_options import Imported, ImportOptions, ImportReport, Progress
from nanotape.storage.import_ring import FileReading
from nanotape.storage.import_session import Session, Taken, ring_bytes
from nanotape.storage.log import Log, log_to_stderr

OnProgress = Callable[[Progress], None]

_PROGRESS_NS = 100_000_000


def import_captures(
    paths: Sequence[Path],
    archive: Path,
    options: ImportOptions | None = None,
    *,
    on_progress: OnProgress = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
    clock: Clock | None = None,
    log: Log = log_to_stderr,
) -> ImportReport:
    """Imports files, in order.

    Args:
        paths: Of files; see `capture_files.capture_paths` for folders.
        archive: Its root, made if its parent exists, but not before there is something to write.
        options: None: the defaults.
        on_progress: Told now and then.
        is_stopped: Whether to end in order, soon: what was read stays, and a repetition goes on behind it.
        clock: None: the host's.
        log: Takes one line at a time.

    Raises:
        ImportRefusedError: The ring's name is none.
        StorageError: The archive cannot be written, or another import writes this ring.
        CaptureError: No ring can be made.
    """
    options = options or ImportOptions()
    if not RING_NAME_PATTERN.fullmatch(options.ring):
        raise ImportRefusedError(
            f'ring name: expected up to 63 letters, digits, ".", "_" or "-", found "{options.ring}"; choose another'
        )
    return _Import(archive, options, on_progress, is_stopped, clock or SystemClock(), log).run(paths)


class _StoppedError(Exception):
    """Raised within an import that is told to end."""


class _Import:
    """One call of `import_captures`."""

    def __init__(
        self,
        archive: Path,
        options: ImportOptions,
        on_progress: OnProgress,
        is_stopped: Callable[[], bool],
        clock: Clock,
        log: Log,
    ) -> None:
        self._archive, self._options, self._clock, self._log = archive, options, clock, log
        self._on_progress, self._is_stopped = on_progress, is_stopped
        self._import_log = ImportLog(archive)
        self._session: Session | None = None
        self._results: list[Imported | Taken] = []
        self._files: list[CaptureFile | Imported] = []
        self._bytes_before = self._packets_before = self._told_ns = 0

    def run(self, paths: Sequence[Path]) -> ImportReport:
        self._files = [_looked_at(path) for path in paths]
        stopped = False
        try:
            for file in self._files:
                self._tick(None)
                self._results.append(self._take(file) if isinstance(file, CaptureFile) else file)
                self._bytes_before += _size(file)
                result = self._results[-1]
                if result.error:
                    self._log(result.error)
                if isinstance(result, Taken) and result.is_refused:
                    break
        except _StoppedError:
            stopped = True
        finally:
            self._end_session()
        outcomes = tuple(_outcome(each) if isinstance(each, Taken) else each for each in self._results)
        return ImportReport(outcomes, len(paths), stopped)

    def _take(self, file: CaptureFile) -> Imported | Taken:
        try:
            sha256 = file.sha256(lambda: self._tick(None))
            held = self._held(sha256)
            if self._session and (not self._session.is_sound or (held and not held.is_whole)):
                self._end_session()  # who goes on in the middle of a file begins a ring with it
                held = self._held(sha256)  # it may have been the one before
            if held and held.is_whole and held.packets:
                return _refused(file, _twice(file, held))
            session = self._session = self._session or self._new_session()
            return self._take_into(session, file, sha256)
        except (ImportRefusedError, FileUnusable) as error:
            return _refused(file, str(error))

    def _new_session(self) -> Session:
        left = [file for file in self._files[len(self._results) :] if isinstance(file, CaptureFile)]
        return Session(self._archive, self._options, ring_bytes(left), self._clock, self._log)

    def _held(self, sha256: str) -> Held | None:
        return None if self._options.again else self._import_log.held(sha256)

    def _take_into(self, session: Session, file: CaptureFile, sha256: str) -> Taken:
        known = len(session.taken)
        try:
            session.take(file, sha256, self._tick)
        except _StoppedError:
            self._results += session.taken[known:]
            raise
        return session.taken[-1]

    def _tick(self, reading: FileReading | None) -> None:
        if self._is_stopped():
            raise _StoppedError
        now = self._clock.monotonic_ns()
        if now - self._told_ns < _PROGRESS_NS:
            return
        self._told_ns = now
        at = min(len(self._results), len(self._files) - 1)
        file = self._files[at]
        self._on_progress(
            Progress(
                file=file.file if isinstance(file, Imported) else str(file.path),
                files_done=len(self._results),
                files=len(self._files),
                bytes_read=self._bytes_before + ((reading.read_bytes or 0) if reading else 0),
                bytes=sum(map(_size, self._files)),
                packets=self._packets_before + (self._session.packets if self._session else 0),
            )
        )

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session:
            self._packets_before += session.packets
            session.close()


def _looked_at(path: Path) -> CaptureFile | Imported:
    try:
        return capture_file(path)
    except ImportRefusedError as error:
        return Imported(str(path), None, error=str(error))


def _size(file: CaptureFile | Imported) -> int:
    return file.size_bytes if isinstance(file, CaptureFile) else 0


def _refused(file: CaptureFile, error: str) -> Imported:
    return Imported(str(file.path), file.size_bytes, error=error)


def _twice(file: CaptureFile, held: Held) -> str:
    begun = held.begun
    was = "" if begun.file == str(file.path.absolute()) else f" as {begun.file}"
    return (
        f"{file.path}: expected a file that is not in this archive, found its {held.packets} packets there already: "
        f"imported {begun.at}{was} into ring {begun.ring}; leave it out, or give --again to have it twice"
    )


def _outcome(taken: Taken) -> Imported:
    begun, span = taken.begun, taken.span
    return Imported(
        file=begun.file,
        bytes=begun.bytes,
        packets=taken.packets,
        ring_id=begun.ring_id,
        first_seq=span.first_seq if taken.packets else None,
        last_seq=span.first_seq + taken.packets - 1 if taken.packets else None,
        first_ts_ns=span.first_ts_ns if taken.packets else None,
        last_ts_ns=span.last_ts_ns if taken.packets else None,
        packets_before=begun.skipped,
        is_whole=taken.is_done,
        damage=taken.damage,
        error=taken.error,
    )
