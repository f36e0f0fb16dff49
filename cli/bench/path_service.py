"""The real service for the part `path`, on memory or on a wire: capture alone, or capture and recorder."""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.reader import RingReader
from nanotape.capture.readers import read_status, status_path
from nanotape.capture.ring import Ring
from nanotape.capture.service import Service, ServiceOptions
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.native import cores
from nanotape.cli.bench.veth import CHANNEL
from nanotape.cli.bench.workspace import Workspace
from nanotape.cli.demo.configuration import unused_account
from nanotape.config import Settings, loads

RING = "bench"
DESCRIPTORS = 262_144  # ride out what other tenants take
_UMEM_FRAME_BYTES = 2048
_LOOK_S = 0.01
_PATIENCE_S, _QUIET_S = 120.0, 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stage runs."""

    frame_bytes: int
    ring_bytes: int
    count: int = 0
    """Packets that the memory source makes; 0: endless."""
    rate_pps: int = 0
    """Of the memory source; 0: as fast as it goes."""
    interface: str | None = None
    """To take packets from by AF_XDP; None: from memory."""
    wrap: tuple[str, ...] = ()
    """Put before the command of what opens sockets and interfaces: `ip netns exec NAME`."""
    descriptors: int = DESCRIPTORS
    """Of the RX ring."""
    loop: str = ""
    """Further settings of the loop, as TOML."""
    archive: Path | None = None
    """None: no recorder."""
    start: str = "oldest"
    """Where the recorder begins."""


def settings(folder: Path, huge: Path | None, wanted: Wanted) -> Settings:
    """An ordinary configuration; its recorder's batches are written when they are full, or soon.

    Args:
        folder: For all that is not the archive.
        huge: For the ring's data, on hugetlbfs; None: they lie in `folder`.
        wanted: What is to run.
    """
    return loads(f"""
[paths]
run_dir = "{folder}/run"
archive = "{wanted.archive or folder / "archive"}"
shm_dir = "{folder}/rings"
hugepage_dir = "{huge or ""}"

[user]
capture = "{unused_account()}"
record = "nobody"
group = "{unused_account()}"

[ring]
name = "{RING}"
capacity = {wanted.ring_bytes}
hugepages = "{"prefer" if huge else "off"}"

[source]
{_source(huge, wanted)}

[loop]
core = {cores()[0]}
{wanted.loop}

[recorder]
flush_interval = "250ms"
compression = "zstd"
compression_level = 1
start = "{wanted.start}"

{CHANNEL}""")


def huge_bytes(ring_bytes: int) -> int:
    """Huge pages for ring and packet memory of a capture on a wire."""
    return ring_bytes + DESCRIPTORS * _UMEM_FRAME_BYTES + (4 << 20)


def _source(huge: Path | None, wanted: Wanted) -> str:
    if wanted.interface is None:
        return f"""kind = "synthetic"
interface = "memory"
synthetic_frame_size = {wanted.frame_bytes}
synthetic_count = {wanted.count}
synthetic_rate = {wanted.rate_pps}"""
    return f"""kind = "afxdp"
interface = "{wanted.interface}"
zerocopy = "off"
descriptors = {wanted.descriptors}
umem_hugepages = "{"prefer" if huge else "off"}"
"""


class Stage:
    """A running service, and what can be seen of it."""

    def __init__(self, service: Service, ring: Ring, run_directory: Path) -> None:
        """Takes over what runs already."""
        self._service, self._ring = service, ring
        self._status = status_path(run_directory, ring.name, "recorder")

    def pid(self, name: str) -> int:
        """Process id of a part of the service.

        Raises:
            BenchError: It does not run.
        """
        found = self._service.pid(name)
        if found is None:
            raise BenchError(f"{name}: expected it to run, it has died; see its messages")
        return found

    def reader(self) -> RingReader:
        """A reader of all that is in the ring; the caller closes it."""
        return self._ring.reader("oldest")

    def captured(self) -> int:
        """Packets in the ring by now."""
        return sum(source.loop.packets for source in self._ring.sources())

    def recorded(self) -> int:
        """Rows that the recorder has written by now."""
        facts = read_status(self._status, self._ring)
        return (facts.recorded or 0) if facts else 0

    def wait_quiet(self, sent: int) -> None:
        """Until all that was sent is in the ring or lost, or nothing comes any more."""
        deadline = time.monotonic() + _QUIET_S
        while time.monotonic() < deadline:
            books = ring_books(self._ring)
            if books.in_ring + books.lost >= sent:
                return
            self.wait(_LOOK_S)

    def lost(self) -> int:
        """Packets that the recorder was too slow for."""
        facts = read_status(self._status, self._ring)
        return facts.lost if facts else 0

    def wait(self, seconds: float) -> None:
        """Lets it run, and sees to what happens."""
        self._service.wait(seconds)

    def recording_pps(self, count: int) -> float:
        """How fast `count` packets that wait in the ring, or soon will, are recorded, once it has begun.

        Raises:
            BenchError: It takes longer than anybody would wait.
        """
        deadline = time.monotonic() + _PATIENCE_S
        began, first = time.monotonic(), 0
        while (recorded := self.recorded()) < count:
            if not first and recorded:
                began, first = time.monotonic(), recorded
            if time.monotonic() > deadline:
                raise BenchError(f"recorder: expected {count:,} packets in its archive, found {recorded:,}")
            self.wait(_LOOK_S)
        return (count - first) / (time.monotonic() - began)

    def recorder_account(self) -> dict[str, int]:
        """What the recorder said of itself when it ended, see RecorderTotals.

        Raises:
            BenchError: It said nothing.
        """
        try:
            told: dict[str, int] = json.loads(self._service.recorder_words)
        except ValueError:
            raise BenchError("recorder: expected its account at its end, found none") from None
        return told

    def end(self) -> RingBooks:
        """Ends it in order; its books."""
        self._service.stop()
        return ring_books(self._ring)


@contextlib.contextmanager
def running(place: Workspace, wanted: Wanted) -> Iterator[Stage]:
    """A service that runs; at the end nothing of it is left but the archive.

    Raises:
        CaptureError: It cannot start.
    """
    folder = Path(tempfile.mkdtemp(dir=place.memory))
    huge = place.hugepages / folder.name if place.hugepages else None
    folder.chmod(0o755)  # its processes are of other users
    try:
        with (folder / "talk.log").open("w+", encoding="utf-8") as talk:
            options = ServiceOptions(record=wanted.archive is not None, wrap=wanted.wrap, talk=talk)
            with Service(settings(folder, huge, wanted), options, lambda _line: None) as service:
                assert service.places is not None  # noqa: S101 - it has started
                with Ring.open(RING, service.places.shm) as ring:
                    yield Stage(service, ring, service.places.folder.parent)
    finally:
        for path in (folder, huge):
            if path:
                shutil.rmtree(path, ignore_errors=True)
