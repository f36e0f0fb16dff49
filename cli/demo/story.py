"""The demo's course: stage, service, exchange, a kill of recorder and capture, the account."""

import os
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.errors import CaptureError, PlaceUnusable, ServiceError
from nanotape.capture.readers import ReaderFacts, list_readers
from nanotape.capture.ring import Ring
from nanotape.capture.sent_log import SentLog
from nanotape.capture.service import CAPTURE, RECORDER, Service, ServiceOptions, StopSignals
from nanotape.cli.demo import configuration
from nanotape.cli.demo.exchange import Exchange, link_drops
from nanotape.cli.demo.live import LiveTable
from nanotape.cli.demo.recorded import folder_bytes, foreign_payloads, percentiles, read_archive
from nanotape.cli.demo.verdict import Counted, Verdict, judge
from nanotape.cli.scene import Scene, scene
from nanotape.config import Settings, load
from nanotape.storage import open_archive
from nanotape.storage.archive import Archive

ROOT_RATE, USER_RATE = 50_000, 5_000
_TICK_S = 0.2
_QUIET_S = 10.0
_MARK = ".nanotape-demo"
QUERY = "SELECT line, count(*) AS packets, sum(payload_len) AS bytes FROM packets GROUP BY line ORDER BY line"
_MEMORY = {"shm": "ordinary pages", "huge_2m": "2 MiB huge pages", "huge_1g": "1 GiB huge pages"}


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for."""

    seconds: float
    rate: int | None
    """Packets a second and line; None: what fits the source."""
    archive: Path
    quiet: bool


class Interrupted(ServiceError):
    """Raised when a signal ended the demo: no fault of anybody's."""

    def __init__(self) -> None:
        """With the exit status that a shell gives to Ctrl-C."""
        super().__init__("interrupted: everything that the demo made is removed", 130)


def tell(options: DemoOptions) -> Verdict:
    """Runs the whole demo.

    Raises:
        CaptureError: It could not run, or was interrupted; nothing of it is left then.
    """
    _check_destination(options.archive)
    with StopSignals() as signals:
        try:
            return _perform(options, signals)
        except CaptureError:
            if signals.caught:  # whatever it broke off
                raise Interrupted from None
            raise


def _perform(options: DemoOptions, signals: StopSignals) -> Verdict:
    with (
        scene("demo", configuration.huge_bytes()) as stage,
        (stage.folder / "talk.log").open("w+", encoding="utf-8") as talk,
    ):
        try:
            verdict = _Play(options, stage, signals, talk).run()
        except ServiceError as error:
            said = _last_words(talk)
            raise ServiceError(f"{error}: {said}" if said else str(error), error.status) from None
        if not verdict.balanced:
            sys.stderr.write(f"nanotape: not balanced; the processes said last: {_last_words(talk) or 'nothing'}\n")
        return verdict


def _last_words(talk: IO[str]) -> str:
    """What holder, capture and recorder said last, in one line."""
    talk.seek(0)
    return " | ".join(line.strip() for line in talk.readlines()[-4:])


class _Play:
    """One performance."""

    def __init__(self, options: DemoOptions, stage: Scene, signals: StopSignals, talk: IO[str]) -> None:
        self._options, self._stage, self._signals = options, stage, signals
        config = configuration.write(stage)
        self._settings: Settings = load(config)
        self._title = (
            "AF_XDP on veth between two network namespaces" if stage.root else "plain UDP on loopback, without root"
        )
        self._table = LiveTable(options.quiet)
        self._service = Service(
            self._settings,
            ServiceOptions(record=True, wrap=stage.capture, talk=talk),
            lambda line: self._table.tell(f"  {line}"),
        )
        self._kills: Counter[str] = Counter()

    def run(self) -> Verdict:
        with self._table:
            self._table.tell(f"nanotape demo: {self._title}")
            if not self._stage.root:
                self._table.tell("not root: the socket source stands in for AF_XDP; run as root for the whole story")
            try:
                self._service.start(self._signals.fileno())
                exchange = Exchange(self._stage, self._rate, self._options.seconds)
                try:
                    sent, counted, memory = self._capture(exchange)
                finally:
                    exchange.stop()
            finally:
                self._service.stop()
        return self._verdict(sent, counted, memory)

    @property
    def _rate(self) -> int:
        return self._options.rate or (ROOT_RATE if self._stage.root else USER_RATE)

    def _capture(self, exchange: Exchange) -> tuple[SentLog, Counted, str]:
        """The exchange from its first packet to its last, and the books at the end."""
        assert self._service.places is not None  # noqa: S101 - it has started
        with Ring.open(configuration.RING, self._service.places.shm) as ring:
            while not exchange.is_sending(_TICK_S):
                self._check_signals()
            self._watch(exchange, ring)
            sent = exchange.result()
            self._wait_quiet(ring)
            reader = self._recorder(ring)
            link = link_drops(self._stage)
            self._service.stop()
            unwritten = reader.write_failures or 0 if reader else 0
            return sent, Counted(ring_books(ring), link, unwritten), ring.memory

    def _watch(self, exchange: Exchange, ring: Ring) -> None:
        """Until the exchange has sent all, with a kill of the recorder at a third and of the capture at two thirds."""
        began = time.monotonic()
        kills = [(self._options.seconds / 3, RECORDER), (self._options.seconds * 2 / 3, CAPTURE)]
        if not self._stage.root:
            kills.pop()  # a plain socket dies with its process: nothing holds the packets meanwhile
        while not exchange.ended:
            if kills and time.monotonic() - began >= kills[0][0]:
                self._kill(kills.pop(0)[1])
            self._service.wait(_TICK_S, self._signals.fileno())
            self._check_signals()
            self._table.show(ring, self._recorder(ring), exchange.sent)

    def _kill(self, name: str) -> None:
        pid = self._service.pid(name)
        if pid is not None:
            self._table.tell(f"  kill -9 {pid}, the {name}")
            os.kill(pid, signal.SIGKILL)
            self._kills[name] += 1

    def _wait_quiet(self, ring: Ring) -> None:
        """Until nothing moves any more, and a recorder that was killed late has caught up."""
        deadline = time.monotonic() + _QUIET_S
        before: RingBooks | None = None
        while time.monotonic() < deadline:
            self._service.wait(2 * _TICK_S, self._signals.fileno())
            self._check_signals()
            now, reader = ring_books(ring), self._recorder(ring)
            at_rest = now == before and not any(source.waiting for source in now.sources)
            if at_rest and reader and reader.alive and not reader.lag_bytes:
                return
            before = now

    def _recorder(self, ring: Ring) -> ReaderFacts | None:
        assert self._service.places is not None  # noqa: S101 - it has started
        readers = list_readers(ring, self._service.places.folder.parent)
        return next((reader for reader in readers if reader.name == self._settings.recorder.name), None)

    def _check_signals(self) -> None:
        if self._signals.caught:
            raise Interrupted

    def _verdict(self, sent: SentLog, counted: Counted, memory: str) -> Verdict:
        archive = Archive(self._settings.paths.archive)
        recorded = read_archive(archive)
        account = judge(sent, counted, recorded, lambda: foreign_payloads(archive, sent))
        answer = [list(row) for row in open_archive(archive.path).sql(QUERY).fetchall()]
        size = folder_bytes(archive.path)
        _leave(archive.path, self._options.archive)
        return Verdict(
            title=self._title,
            source=self._settings.source.kind,
            sent=sum(line.sent for line in sent.lines),
            captured=counted.books.in_ring,
            recorded=recorded.rows,
            lost=account.lost,
            unexplained=account.unexplained,
            balanced=account.balanced,
            lines=account.lines,
            rx_delay_ns=percentiles(recorded.delays_ns),
            kills=dict(self._kills),
            restarts=dict(self._service.restarts),
            memory=_MEMORY[memory],
            archive=str(self._options.archive),
            archive_bytes=size,
            payload_bytes=sum(tally.bytes for tally in recorded.lines.values()),
            query=QUERY,
            answer=answer,
        )


def _check_destination(path: Path) -> None:
    """Only what an earlier demo left is replaced; said now, not after the demo."""
    parent = path.parent
    if not parent.is_dir():
        raise PlaceUnusable(f"{path}: expected its parent folder {parent}, which does not exist; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PlaceUnusable(
            f"{path}: expected to be allowed to write to its parent folder {parent.resolve()}; "
            "choose another with --archive"
        )
    if path.exists() and not (path / _MARK).exists() and (not path.is_dir() or any(path.iterdir())):
        raise PlaceUnusable(
            f"{path}: expected nothing or an earlier demo's archive, found something else; "
            "choose another with --archive"
        )


def _leave(archive: Path, destination: Path) -> None:
    """Moves the archive out of the scene, to who called us; marked first, so that half a move is replaced as well."""
    if destination.exists():
        shutil.rmtree(destination)
    destination.mkdir()
    (destination / _MARK).touch()
    for entry in archive.iterdir():
        shutil.move(entry, destination / entry.name)
    if os.geteuid() == 0:
        owner, group = (int(os.environ.get(f"SUDO_{kind}", "0")) for kind in ("UID", "GID"))
        for path in (destination, *destination.rglob("*")):
            os.chown(path, owner, group, follow_symlinks=False)
