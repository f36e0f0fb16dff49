"""A private ring that capture files are read into, one after the other: by the capture process, as any other source.

What parses the files has no right on them, nor as root any right at all. It waits for whoever reads the ring, so that
nothing is lost; memory is the ring's. What a killed import left of its ring the next one removes.
"""

import contextlib
import fcntl
import os
import re
import select
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self

from nanotape.capture.accounts import Accounts
from nanotape.capture.child import Child, ending
from nanotape.capture.commands import CAPTURE, Commands, ServiceOptions
from nanotape.capture.errors import ServiceError
from nanotape.capture.feed import Feed
from nanotape.capture.footprint import Footprint
from nanotape.capture.places import prepare
from nanotape.capture.plan import write_plan
from nanotape.config import Settings
from nanotape.config.channel import Channel
from nanotape.config.settings import Paths, RingSettings
from nanotape.config.source import SourceSettings
from nanotape.storage.capture_files import CaptureFile
from nanotape.storage.errors import ImportRefusedError
from nanotape.storage.import_options import Damage
from nanotape.storage.log import Log

READER_NAME = "import"
_PREFIX = "nanotape-import-"
_LOCK_NAME = "lock"
_NOBODY = 65534
_READY_TIMEOUT_S = 60.0
_FINITE, _DAMAGED = 4, 5  # exit statuses, native/capture/main.c
_NAME = "file"  # what the file is called in the plan, so that the messages about it can be told apart from its name
_SAID_PACKET = re.compile(rf"nanotape-capture: {_NAME}: packet \d+ at byte (\d+): (.*); the \d+ packets before")
_SAID_COMPRESSED = re.compile(rf"nanotape: {_NAME}: byte (\d+) of the compressed file: .* found it damaged \((.*)\)")
_SAID = re.compile(rf"nanotape(?:-capture)?: (?:{_NAME}: )?(.*)")


class FileReading:
    """One file on its way into the ring."""

    def __init__(self, file: CaptureFile, commands: Commands, said: IO[Any]) -> None:
        """Starts the capture process, and waits until it has seen the first packet.

        Args:
            file: Which.
            commands: Of the ring, whose plan stands.
            said: An empty file for what the processes say.

        Raises:
            ImportRefusedError: Nothing can be read of this file.
            CaptureError: It cannot be opened, or no process be started.
        """
        self.file = file
        self._said = said
        self._feed = Feed(str(file.path), commands.unpack(_NAME), said)
        try:
            self._stream = self._feed.stream()
            try:
                self._child = Child(CAPTURE, commands.of(CAPTURE), said, self._stream)
            finally:
                if file.compression:  # the capture's alone: with it the decompressor loses its reader
                    self._close_stream()
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def _wait_ready(self) -> None:
        try:
            self._child.wait_ready(_READY_TIMEOUT_S)
        except ServiceError as error:
            if not error.told:
                raise
            raise ImportRefusedError(f"{self.file.path}: {'; '.join(self._reasons()) or error}") from None

    def wait(self, timeout_s: float) -> bool:
        """Waits for the end of the file; whether all of it is in the ring now."""
        if self._child.status is None:
            select.select([self._child.pidfd], [], [], timeout_s)
        return self._child.status is not None

    @property
    def read_bytes(self) -> int | None:
        """How much of the file was read, as it lies on the disk; None: unknown, as for compressed ones."""
        return os.lseek(self._stream, 0, os.SEEK_CUR) if self._stream >= 0 else None

    def damage(self) -> Damage | None:
        """Once it has ended: where the file is damaged; None: it is whole.

        Raises:
            ImportRefusedError: The capture process broke.
        """
        status, failure = self._child.status, self._feed.failure()
        words = self._words()
        if status not in (_FINITE, _DAMAGED):
            said = "; ".join(self._reasons()) or ending(status or 0)
            raise ImportRefusedError(f"{self.file.path}: its reading broke off: {said}; import it again")
        if status == _FINITE and failure is None:
            return None
        for pattern in (_SAID_COMPRESSED, _SAID_PACKET):
            for match in filter(None, map(pattern.search, words)):
                return Damage(int(match[1]), match[2], pattern is _SAID_COMPRESSED)
        return Damage(None, "; ".join(self._reasons()) or failure or ending(status))

    def close(self) -> None:
        """Ends what still runs. May be called twice."""
        child: Child | None = getattr(self, "_child", None)
        if child:
            child.stop()
        self._close_stream()
        self._feed.close()

    def _reasons(self) -> list[str]:
        return [match[1] for line in self._words() if (match := _SAID.match(line))]

    def _words(self) -> list[str]:
        self._said.seek(0)
        said: bytes = self._said.read()
        return said.decode("utf-8", "replace").splitlines()

    def _close_stream(self) -> None:
        stream, self._stream = getattr(self, "_stream", -1), -1
        if stream >= 0:
            os.close(stream)


class ImportRing:
    """The ring and its folder; use it in a `with`, which removes both."""

    def __init__(self, name: str, channels: Sequence[Channel], capacity_bytes: int) -> None:
        """Makes the folder; the first file makes the ring.

        Args:
            name: Of the ring.
            channels: Names of flows; on the one interface `pcap`.
            capacity_bytes: Of the ring.

        Raises:
            ImportRefusedError: No room for it.
        """
        is_root = os.geteuid() == 0
        self._owners = (
            Accounts(_NOBODY, 0, _NOBODY, switches=True)
            if is_root
            else Accounts(os.geteuid(), os.geteuid(), os.getegid(), switches=False)
        )
        self._folder = _Folder(capacity_bytes, 0o711 if is_root else 0o700)
        try:
            settings = _settings(self._folder.path, name, channels, capacity_bytes)
            self._places = prepare(settings, self._owners, False, Footprint())
            self._settings = settings
        except BaseException:
            self._folder.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Removes it."""
        self._folder.close()

    @property
    def shm_directory(self) -> Path:
        """Where the ring is."""
        return self._places.shm

    @property
    def run_directory(self) -> Path:
        """Where its reader is to be seen as `READER_NAME`, without which no packet comes."""
        return self._places.folder.parent

    @contextlib.contextmanager
    def reading(self, file: CaptureFile) -> Iterator[FileReading]:
        """Reads a file into the ring, which is there from then on; ends the reading when left.

        Raises:
            ImportRefusedError: Nothing can be read of this file; the ring is as it was.
            CaptureError: Something failed.
        """
        write_plan(self._settings, self._places, self._owners, records=True)
        with tempfile.TemporaryFile() as said:
            commands = Commands(self._settings, ServiceOptions(talk=said), self._owners, self._places)
            reading = FileReading(file, commands, said)
            try:
                yield reading
            finally:
                reading.close()


def without_interfaces(channels: Sequence[Channel], log: Log) -> tuple[Channel, ...]:
    """Channels as a capture file needs them, for it does not tell where a packet arrived.

    Args:
        channels: Of a configuration, of all its rings.
        log: Told of lines that are left out, since only their interface sets them apart from another one.
    """
    seen: dict[tuple[object, ...], str] = {}
    found = []
    for channel in channels:
        lines = []
        for line in channel.line:
            key = (line.vlan, line.group, line.port, line.source)
            if key in seen:
                log(f"channel {channel.name} line {line.name}: without its interface the same as {seen[key]}; left out")
                continue
            seen[key] = f"channel {channel.name} line {line.name}"
            lines.append(line.model_copy(update={"interface": None, "ring": None}))
        if lines:
            found.append(channel.model_copy(update={"ring": None, "line": tuple(lines)}))
    return tuple(found)


def _settings(folder: Path, name: str, channels: Sequence[Channel], capacity_bytes: int) -> Settings:
    base = Settings()
    source = SourceSettings().model_copy(update={"kind": "pcap", "file": _NAME, "speed": 0, "select": "all"})
    ring = RingSettings().model_copy(update={"name": name, "capacity": capacity_bytes, "hugepages": "off"})
    paths = Paths().model_copy(update={"run_dir": str(folder / "run"), "shm_dir": str(folder / "shm")})
    recorder = base.recorder.model_copy(update={"name": READER_NAME})
    changes = {"paths": paths, "source": source, "ring_tables": ring, "recorder": recorder, "channel": tuple(channels)}
    return base.model_copy(update=changes)


class _Folder:
    """A private folder in memory where there is room, else on the disk; locked for as long as we live."""

    def __init__(self, capacity_bytes: int, mode: int) -> None:
        parent = _roomy(capacity_bytes)
        _remove_left_behind(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self.path / (_LOCK_NAME + ".new"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(self.path / (_LOCK_NAME + ".new"), self.path / _LOCK_NAME)  # there only once it is held
        os.chmod(self.path, mode)

    def close(self) -> None:
        """Removes it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _roomy(capacity_bytes: int) -> Path:
    needed = capacity_bytes + capacity_bytes // 8
    candidates = [Path("/dev/shm"), Path(tempfile.gettempdir())]  # noqa: S108
    for path in candidates:
        with contextlib.suppress(OSError):
            room = os.statvfs(path)
            if room.f_bavail * room.f_frsize >= needed and os.access(path, os.W_OK | os.X_OK):
                return path
    raise ImportRefusedError(
        f"{candidates[0]}, {candidates[1]}: expected room for {needed / 2**20:.0f} MiB of packets on their way, found "
        "less; make room, or set TMPDIR to a folder that has it"
    )


def _remove_left_behind(parent: Path) -> None:
    """Folders of ours whose import was killed: nobody holds their lock."""
    for folder in parent.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
