"""The stages of the part `path` that begin on a wire: veth, as fast as the generator in the kernel goes."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from nanotape.cli.bench.model import Options, Tell
from nanotape.cli.bench.path_service import Wanted, huge_bytes, running
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.veth import FRAME_BYTES, Wire, wire
from nanotape.cli.bench.workspace import Workspace, workspace

CAPTURE, WHOLE = "the wire into the ring", "the wire into the archive"
_PACKETS, _QUICK_PACKETS = 5_000_000, 50_000
_RING_BYTES, _QUICK_RING_BYTES = 512 << 20, 64 << 20


def measure(options: Options, tell: Tell) -> list[dict[str, Any]]:
    """Repetitions of both stages, or of the first alone where nothing is to be recorded.

    Raises:
        CaptureError: There are no namespaces or no XDP to be had.
    """
    found = []
    ring_bytes = _QUICK_RING_BYTES if options.quick else _RING_BYTES
    with wire(huge_bytes(ring_bytes)) as line, workspace(options.folder) as folders:
        place = replace(folders, hugepages=_own(line))
        sink = {"null": None, "tmpfs": place.memory, "disk": place.disk}[options.sink]
        for number in range(options.repetitions):
            tell(f"path, on the wire: repetition {number + 1} of {options.repetitions}")
            sinks = (None, sink) if sink else (None,)
            found += [_one(options, line, place, ring_bytes, where) for where in sinks]
    return found


def _own(line: Wire) -> Path | None:
    """The scene takes a folder of this name away at its end."""
    if line.scene.hugepages is None:
        return None
    folder = line.scene.hugepages / line.scene.folder.name
    folder.mkdir(exist_ok=True)
    return folder


def _one(options: Options, line: Wire, place: Workspace, ring_bytes: int, sink: Path | None) -> dict[str, Any]:
    archive = sink / "archive" if sink else None
    wanted = Wanted(FRAME_BYTES, ring_bytes, archive=archive, interface=line.scene.interface, wrap=line.scene.capture)
    told: dict[str, int] = {}
    try:
        with Steal() as steal, running(place, wanted) as stage:
            offered = line.offer(_QUICK_PACKETS if options.quick else _PACKETS, 0)
            stage.wait_quiet(offered.sent - offered.link_lost)
            books = stage.end()
            if archive:
                told = stage.recorder_account()
    finally:
        if archive:
            shutil.rmtree(archive, ignore_errors=True)
    taken = told.get("recorded", books.in_ring)
    late = sum(told.get(name) or 0 for name in ("lost", "write_failures", "backlog", "left_out"))
    return {
        "contender": WHOLE if archive else CAPTURE,
        "mpps": round(taken / offered.seconds / 1e6, 3),
        "sent": offered.sent,
        "lost": offered.sent - taken,
        "exact": not books.unexplained and offered.sent == taken + offered.link_lost + books.lost + late,
        "steal": round(steal.share, 4),
    }
