"""The demo's course: stage, service, exchange, a kill of recorder and capture, the account."""

import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.errors import PlaceUnusable, ServiceError
from nanotape.capture.ring import Ring
from nanotape.capture.service import CAPTURE, RECORDER, Service, ServiceOptions, StopSignals, recorder_command
from nanotape.cli.demo import configuration
from nanotape.cli.demo.exchange import Exchange, link_drops
from nanotape.cli.demo.live import LiveTable
from nanotape.cli.demo.scene import Scene, scene
from nanotape.cli.demo.verdict import (
    Verdict,
    folder_bytes,
    line_verdict,
    losses,
    percentiles,
    read_archive,
    unexplained_packets,
)
from nanotape.config import load
from nanotape.storage.archive import Archive

ROOT_RATE, USER_RATE = 50_000, 5_000
_TICK_S = 0.2
_QUIET_S = 10.0
_MARK = ".nanotape-demo"
QUERY = "SELECT line, count(*) AS packets, sum(payload_len) AS bytes FROM packets GROUP BY line ORDER BY line"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for."""

    seconds: float
    rate: int | None
    """Packets a second and line; None: what fits the source."""
    archive: Path
    quiet: bool


def tell(options: DemoOptions) -> Verdict:
    """Runs the whole demo.

    Raises:
        CaptureError: It could not run, or was interrupted; nothing of it is left then.
    """
    _check_destination(options.archive)
    with StopSignals() as signals, scene(configuration.huge_bytes()) as stage:
        with (stage.folder / "talk.log").open("w+", encoding="utf-8") as talk:
            try:
                return _play(options, stage, signals, talk)
            except ServiceError as error:
                talk.seek(0)
                said = " | ".join(line.strip() for line in talk.readlines()[-4:])
                raise ServiceError(f"{error}: {said}" if said else str(error), error.status) from None


def _play(options: DemoOptions, stage: Scene, signals: StopSignals, talk: IO[str]) -> Verdict:
    config = configuration.write(stage)
    settings = load(config)
    rate = options.rate or (ROOT_RATE if stage.root else USER_RATE)
    where = "AF_XDP on veth between two network namespaces" if stage.root else "plain UDP on loopback, without root"
    service = Service(
        settings,
        ServiceOptions(record=recorder_command(config), wrap=stage.capture, talk=talk),
        lambda line: table.tell(f"  {line}"),
    )
    with LiveTable(f"nanotape demo: {where}", options.quiet) as table:
        if not stage.root:
            table.tell(
                "not root: the socket source on loopback is shown instead of AF_XDP; run as root for the whole story"
            )
        with service:
            assert service.places is not None  # noqa: S101 - it has started
            exchange = Exchange(stage, rate, options.seconds)
            try:
                with Ring.open(configuration.RING, service.places.shm) as ring:
                    _watch(options, stage, signals, service, exchange, ring, table)
                    sent = exchange.result()
                    _wait_quiet(service, signals, ring)
                    memory = ring.memory
                    link = link_drops(stage)
                    service.stop()
                    books = ring_books(ring)
            finally:
                exchange.stop()
    archive = Archive(settings.paths.archive)
    recorded = read_archive(archive)
    lost = losses(books, recorded, link, 0)
    unexplained = unexplained_packets(sent, books, recorded, lost)
    lines = tuple(line_verdict(line, recorded.lines[line.name]) for line in sent.lines if line.name in recorded.lines)
    complete = len(lines) == len(sent.lines) and (sum(lost.values()) > 0 or all(line.same_bytes for line in lines))
    answer = [list(row) for row in archive.sql(QUERY).fetchall()]
    size = folder_bytes(archive.path)
    _leave(archive.path, options.archive)
    return Verdict(
        source=settings.source.kind,
        sent=sum(line.sent for line in sent.lines),
        captured=books.in_ring,
        recorded=recorded.rows,
        lost=lost,
        unexplained=unexplained,
        balanced=unexplained == 0 and complete,
        lines=lines,
        rx_delay_ns=percentiles(recorded.delays_ns),
        kills=dict(service.restarts),
        memory={"shm": "ordinary pages", "huge_2m": "2 MiB huge pages", "huge_1g": "1 GiB huge pages"}[memory],
        archive=str(options.archive),
        archive_bytes=size,
        payload_bytes=sum(tally.bytes for tally in recorded.lines.values()),
        query=QUERY,
        answer=answer,
    )


def _watch(
    options: DemoOptions,
    stage: Scene,
    signals: StopSignals,
    service: Service,
    exchange: Exchange,
    ring: Ring,
    table: LiveTable,
) -> None:
    """Until the exchange has sent all, with a kill of the recorder at a third and of the capture at two thirds."""
    assert service.places is not None  # noqa: S101 - it has started
    exchange.wait_sending()
    began = time.monotonic()
    kills = [(options.seconds / 3, RECORDER), (options.seconds * 2 / 3, CAPTURE)]
    if not stage.root:
        kills.pop()  # a plain socket dies with its process: nothing holds the packets meanwhile
    while not exchange.ended:
        if kills and time.monotonic() - began >= kills[0][0]:
            _kill(service, kills.pop(0)[1], table)
        service.wait(_TICK_S, signals.fileno())
        if signals.caught:
            raise ServiceError("interrupted: everything that the demo made is removed", 130)
        table.show(ring, str(service.places.folder.parent), exchange.sent)


def _kill(service: Service, name: str, table: LiveTable) -> None:
    pid = service.pid(name)
    if pid is not None:
        table.tell(f"  kill -9 {pid}, the {name}")
        os.kill(pid, signal.SIGKILL)


def _wait_quiet(service: Service, signals: StopSignals, ring: Ring) -> RingBooks:
    """Until nothing moves any more, from the RX rings to the ring."""
    deadline = time.monotonic() + _QUIET_S
    before = ring_books(ring)
    while True:
        service.wait(2 * _TICK_S, signals.fileno())
        if signals.caught:
            raise ServiceError("interrupted: everything that the demo made is removed", 130)
        now = ring_books(ring)
        if (now == before and not any(source.waiting for source in now.sources)) or time.monotonic() > deadline:
            return now
        before = now


def _check_destination(path: Path) -> None:
    """Only what an earlier demo left is replaced."""
    if not path.parent.is_dir():
        raise PlaceUnusable(f"{path}: expected its parent folder {path.parent}, which does not exist; make it first")
    if path.exists() and not (path / _MARK).exists() and (not path.is_dir() or any(path.iterdir())):
        raise PlaceUnusable(
            f"{path}: expected nothing or an earlier demo's archive, found something else; "
            "choose another with --archive"
        )


def _leave(archive: Path, destination: Path) -> None:
    """Moves the archive out of the scene, to who called us."""
    if destination.exists():
        shutil.rmtree(destination)
    shutil.move(archive, destination)
    (destination / _MARK).touch()
    owner, group = int(os.environ.get("SUDO_UID", os.getuid())), int(os.environ.get("SUDO_GID", os.getgid()))
    if os.geteuid() == 0:
        for path in (destination, *destination.rglob("*")):
            os.chown(path, owner, group)
