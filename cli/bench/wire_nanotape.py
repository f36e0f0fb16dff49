"""nanotape on the wire, as a user would run it: holder, capture and recorder, every packet accounted for by stage."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.readers import read_status, status_path
from nanotape.capture.ring import Ring
from nanotape.capture.service import CAPTURE, HOLDER, RECORDER, Service, ServiceOptions
from nanotape.cli.bench import numbers
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.processor_time import ended_children_s, of_process_s
from nanotape.cli.bench.veth import CHANNEL, Wire
from nanotape.cli.bench.wire_tools import figures
from nanotape.cli.bench.workspace import size_of
from nanotape.cli.demo.configuration import unused_account
from nanotape.cli.scene import shared_memory
from nanotape.config import loads
from nanotape.storage.archive import Archive

RING = "bench"
DESCRIPTORS = 262_144
UMEM_FRAME_BYTES = 2048
RING_BYTES = 512 << 20
_LOOK_S, _QUIET_LOOKS, _DRAIN_S = 0.05, 3, 120.0
_BEFORE_RING = ("passed_no_socket", "rx_dropped", "rx_ring_full", "lost_with_holder", "oversize")


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run it."""

    name: str
    """As the report names it."""
    compression: str = "zstd"
    fsync: str = "interval"
    """As it is by default; the other tools ask for none."""
    varied: bool = False
    """Whether a third of the payload differs from packet to packet."""
    idle: str = "sleep"


def huge_bytes() -> int:
    """Huge pages for ring and packet memory."""
    return RING_BYTES + DESCRIPTORS * UMEM_FRAME_BYTES + (4 << 20)


def run(
    setting: Setting,
    wire: Wire,
    folder: Path,
    packets: int,
    rate: int,
    watch: Callable[[int], contextlib.AbstractContextManager[object]] | None = None,
) -> dict[str, Any]:
    """One run; its archive is removed.

    Args:
        setting: How it is configured.
        wire: What it captures from.
        folder: Where the archive lies meanwhile.
        packets: How many to offer.
        rate: Packets a second; 0: as fast as it goes.
        watch: Given the recorder's process id, it watches it while packets come.

    Raises:
        CaptureError: It does not start, or breaks.
    """
    place = Path(tempfile.mkdtemp(prefix="wire-", dir=folder))
    place.chmod(0o755)  # the recorder is another user's
    try:
        with (place / "talk.log").open("w+", encoding="utf-8") as talk:
            service = _service(setting, wire, place, talk)
            with _pinned(wire.core):
                service.start()
            try:
                measured = _measure(service, wire, packets, rate, watch, varied=setting.varied)
            finally:
                service.stop()
        return {"contender": setting.name} | _settle(measured, place / "archive")
    finally:
        # The ring too: the next run's recorder would take what this one left in it for its own.
        for path in (place, *_ring_folders(wire)):
            shutil.rmtree(path, ignore_errors=True)


def _ring_folders(wire: Wire) -> list[Path]:
    pages = wire.scene.hugepages
    return [shared_memory(wire.scene.folder), *([pages / wire.scene.folder.name] if pages else [])]


@dataclass(frozen=True, slots=True)
class _Measured:
    sending: dict[str, Any]
    books: RingBooks
    cpu_s: float
    """All processes, to their end."""
    cpu_of_s: dict[str, float]
    """Each of them, until nothing waited any more."""
    account: dict[str, int]


def _measure(service: Service, wire: Wire, packets: int, rate: int, watch: Any, *, varied: bool) -> _Measured:
    """Packets from first to last, and the end of the service: it has written and closed all then."""
    assert service.places is not None  # noqa: S101 - it has started
    pids = {name: service.pid(name) for name in (HOLDER, CAPTURE, RECORDER)}
    with Ring.open(RING, service.places.shm) as ring:
        before_s = _spent_s(pids)
        with watch(pids[RECORDER] or 0) if watch else contextlib.nullcontext():
            offered = wire.offer(packets, rate, varied=varied)
            _wait_idle(service, ring)
        cpu_of_s = {name: spent_s - before_s[name] for name, spent_s in _spent_s(pids).items()}
        restarted = sum(service.restarts.values())
        spent = ended_children_s()
        service.stop()
        cpu_s = ended_children_s() - spent - sum(before_s.values())
        if restarted:
            raise BenchError(f"nanotape: a process died and was started anew {restarted} times; see its messages")
        try:
            account: dict[str, int] = json.loads(service.recorder_words)
        except ValueError:
            raise BenchError("recorder: expected its account at its end, found none") from None
        return _Measured(figures(offered), ring_books(ring), max(0.0, cpu_s), cpu_of_s, account)


def _spent_s(pids: dict[str, int | None]) -> dict[str, float]:
    return {name: of_process_s(pid) for name, pid in pids.items() if pid is not None}


def _wait_idle(service: Service, ring: Ring) -> None:
    """Until nothing waits in RX ring or ring any more: as with the other tools, what is still to do is done."""
    assert service.places is not None  # noqa: S101 - it has started
    status = status_path(service.places.folder.parent, RING, "recorder")
    deadline, quiet, before = time.monotonic() + _DRAIN_S, 0, None
    while time.monotonic() < deadline and quiet < _QUIET_LOOKS:
        service.wait(_LOOK_S)
        facts = read_status(status, ring)
        waiting = sum(source.stats.rx_occupancy or 0 for source in ring.sources())
        now = (sum(source.loop.packets for source in ring.sources()), facts.records if facts else None)
        still = now == before and not waiting and facts is not None and not facts.lag_bytes
        before, quiet = now, quiet + 1 if still else 0


def _settle(measured: _Measured, folder: Path) -> dict[str, Any]:
    """Follows the packets from the generator to the rows."""
    books, sent = measured.books, measured.sending["sent"]
    archive = Archive(folder)
    tally = numbers.of_archive(archive)
    stages = {"link": measured.sending["link_lost"]}
    for stage in _BEFORE_RING:
        stages[stage] = sum(getattr(source, stage) or 0 for source in books.sources)
    stages["recorder_overrun"] = max(0, measured.account["lost"])
    stages["write_failures"] = measured.account.get("write_failures", 0)
    unexplained = sent - tally.packets - sum(stages.values())
    return measured.sending | {
        "captured": tally.packets,
        "lost": sent - tally.packets,
        "lost_at": {stage: count for stage, count in stages.items() if count},
        "unexplained": abs(unexplained) + books.unexplained,
        "exact": tally.is_within(sent) and not unexplained,
        "cpu_us": measured.cpu_s / max(1, tally.packets) * 1e6,
        "cpu_us_of": {name: spent / max(1, tally.packets) * 1e6 for name, spent in measured.cpu_of_s.items()},
        "bytes": size_of(folder),
    }


def _service(setting: Setting, wire: Wire, place: Path, talk: Any) -> Service:
    options = ServiceOptions(record=True, wrap=wire.scene.capture, talk=talk)
    return Service(loads(_configuration(setting, wire, place)), options, lambda _line: None)


def _configuration(setting: Setting, wire: Wire, place: Path) -> str:
    scene = wire.scene
    shared, *huge = _ring_folders(wire)
    level = "compression_level = 1" if setting.compression == "zstd" else ""
    return f"""
[paths]
run_dir = "{place}/run"
archive = "{place}/archive"
shm_dir = "{shared}"
hugepage_dir = "{huge[0] if huge else ""}"

[user]
capture = "{unused_account()}"
record = "nobody"
group = "{unused_account()}"

[ring]
name = "{RING}"
capacity = {RING_BYTES}
hugepages = "{"prefer" if huge else "off"}"

[source]
kind = "afxdp"
interface = "{scene.interface}"
zerocopy = "off"
descriptors = {DESCRIPTORS}
umem_hugepages = "{"prefer" if huge else "off"}"

[loop]
core = {wire.core}
idle = "{setting.idle}"

[recorder]
compression = "{setting.compression}"
{level}
fsync = "{setting.fsync}"

{CHANNEL}"""


@contextlib.contextmanager
def _pinned(core: int) -> Iterator[None]:
    """What is started meanwhile inherits the core, with all threads that it will have."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
