"""A whole service between two namespaces, for integration tests: configuration, holder, capture, recorder, exchange.

Everything it makes is named after this process and removed at the end, whatever happened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import namespaces
from deadline import wait_for
from fork_server import fork_server

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.ring import Ring
from nanotape.capture.sent_log import SentLog
from nanotape.capture.service import CAPTURE, Service, ServiceOptions
from nanotape.config import Settings, load
from nanotape.storage.archive import Archive

RING = "test"
LINES = {"A": "239.192.7.1:31001", "B": "239.192.7.2:31001"}
CAPTURE_UID, RING_GID, NOBODY = 64_201, 64_201, 65_534

TEMPLATE = """
[paths]
run_dir = "{folder}/run"
archive = "{folder}/archive"
shm_dir = "{shm}"
hugepage_dir = "{hugepages}"

[user]
capture = "{uid}"
record = "nobody"
group = "{gid}"

[ring]
name = "test"
capacity = "{capacity}"
hugepages = "{tristate}"

[source]
kind = "{kind}"
interface = "{interface}"
zerocopy = "off"
descriptors = {descriptors}
umem_hugepages = "{tristate}"
receive_buffer = "64 MiB"
{source}

[recorder]
flush_interval = "200ms"
{recorder}

{tables}
{channels}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration says, where it differs from test to test."""

    kind: str = "afxdp"
    interface: str = "veth-r"
    capacity: str = "512 MiB"
    descriptors: int = 262_144
    recorder: str = ""
    lines: tuple[tuple[str, str], ...] = tuple(LINES.items())
    hugepages: pathlib.Path | None = None
    source: str = ""
    tables: str = ""
    """Further tables, as TOML."""
    channels: str = ""
    """The channels as TOML, instead of those of `lines`."""


@dataclasses.dataclass(slots=True)
class Rig:
    """A folder, a configuration and the processes made from it."""

    folder: pathlib.Path
    shm: pathlib.Path
    config: pathlib.Path
    settings: Settings
    capture_side: tuple[str, ...]
    exchange_side: tuple[str, ...]
    exchange_interface: str
    news: list[str] = dataclasses.field(default_factory=list)

    @property
    def talk(self) -> pathlib.Path:
        """Standard error of all processes."""
        return self.folder / "talk.log"

    @contextlib.contextmanager
    def service(self, record: bool = True, recorder_options: Sequence[str] = ()) -> Iterator[Service]:
        """The running service; stopped at the end."""
        with self.talk.open("a", encoding="utf-8") as talk:
            options = ServiceOptions(record=record, record_options=recorder_options, wrap=self.capture_side, talk=talk)
            with Service(self.settings, options, self.news.append) as service:
                yield service

    def ring(self) -> Ring:
        """The ring, opened as a reader."""
        return Ring.open(RING, self.shm)

    def archive(self) -> Archive:
        """The archive."""
        return Archive(self.folder / "archive")

    def exchange(self, *options: str, lines: Sequence[str] = ("A", "B")) -> Exchange:
        """A simulated exchange that begins to send."""
        return Exchange(self, options, lines)

    def wait_taken(self, service: Service, seconds: float = 60.0) -> RingBooks:
        """Until nothing waits in any RX ring and the books have stood still for three looks.

        All the while somebody must have kept them: those of a capture that died stand still, too.
        """
        seen: list[tuple[RingBooks, tuple[int | None, ...]]] = []

        def still() -> RingBooks | None:
            service.wait(0.2)
            with self.ring() as ring:
                books, kept = ring_books(ring), tuple(source.stats.updated_ns for source in ring.sources())
            if seen and seen[-1][0] != books:
                seen.clear()
            seen.append((books, kept))
            moved = all(now is None or now != then for now, then in zip(kept, seen[0][1], strict=True))
            quiet = service.pid(CAPTURE) is not None and len(seen) > 2 and moved
            return books if quiet and not any(source.waiting for source in books.sources) else None

        return wait_for(still, "the capture to take all that was sent", seconds)


class Exchange:
    """A `nanotape simulate` process in the sending namespace."""

    def __init__(self, rig: Rig, options: Sequence[str], lines: Sequence[str]) -> None:
        """Starts it."""
        self.log = rig.folder / f"sent-{len(list(rig.folder.glob('sent-*')))}.json"
        words = ["simulate", "--interface", rig.exchange_interface, "--log", str(self.log), "--json", *options]
        for name in lines:
            words += ["--line", f"{name}={LINES[name]}"]
        self.process = fork_server().start(words, namespace=namespaces.entered_by(rig.exchange_side) or "")

    def running(self) -> bool:
        """Whether it still sends."""
        return self.process.poll() is None

    def result(self) -> SentLog:
        """What it sent, when it has ended."""
        _, said = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said.decode()
        return SentLog.read(self.log)

    def stop(self) -> None:
        """Ends it, if it still runs."""
        if self.running():
            self.process.kill()
        self.process.communicate()


def remove_leftovers() -> None:
    """Removes folders of test runs that are no more."""
    for base in (pathlib.Path("/var/tmp"), pathlib.Path("/dev/shm")):
        for path in base.glob(f"{namespaces.PREFIX}*"):
            if namespaces.owner_is_gone(path.name):
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def make_rig(wanted: Wanted, pair: namespaces.NamespacePair | None) -> Iterator[Rig]:
    """A rig between the sides of a pair, or on loopback without one."""
    remove_leftovers()
    stem = f"{namespaces.PREFIX}{os.getpid()}-"
    folder = pathlib.Path(tempfile.mkdtemp(prefix=stem, dir="/var/tmp"))
    shm = pathlib.Path(tempfile.mkdtemp(prefix=stem, dir="/dev/shm"))
    try:
        folder.chmod(0o755)
        shm.rmdir()  # the service makes it, for its own account
        config = folder / "nanotape.toml"
        config.write_text(_configuration(wanted, folder, shm), encoding="utf-8")
        if pair is None:
            yield Rig(folder, shm, config, load(config), (), (), "lo")
        else:
            inside = [tuple(side.command()) for side in (pair.right, pair.left)]
            yield Rig(folder, shm, config, load(config), inside[0], inside[1], pair.left.interface)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(shm, ignore_errors=True)


def _configuration(wanted: Wanted, folder: pathlib.Path, shm: pathlib.Path) -> str:
    channels = wanted.channels
    for number, (name, where) in enumerate(() if channels else wanted.lines):
        group, _, port = where.rpartition(":")
        if number == 0 or not name.isalpha():
            channels += f'\n[[channel]]\nname = "channel-{number}"\nfeed = "simulated"\nframing = "moldudp64"\n'
        channels += f'\n[[channel.line]]\nname = "{name}"\ngroup = "{group}"\nport = {port}\n'
    return TEMPLATE.format(
        folder=folder,
        shm=shm,
        hugepages=wanted.hugepages / "rings" if wanted.hugepages else "",
        tristate="require" if wanted.hugepages else "off",
        uid=CAPTURE_UID,
        gid=RING_GID,
        capacity=wanted.capacity,
        kind=wanted.kind,
        interface=wanted.interface,
        descriptors=wanted.descriptors,
        recorder=wanted.recorder,
        source=wanted.source,
        tables=wanted.tables,
        channels=channels,
    )
