"""Part `record`: the real recorder, from a ring full of simulated ITCH into an archive in memory and on disk."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options, PartResult, Target, Tell
from nanotape.cli.bench.native import cores, run_native
from nanotape.cli.bench.recorder_memory import anonymous_bytes
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.summary import by_contender, median
from nanotape.cli.bench.targets import judge
from nanotape.cli.bench.workspace import Workspace, size_of, workspace

NAME, TITLE, NEEDS_ROOT = "record", "From the ring to Arrow, Mpps of one core", False
COMPRESSIONS = {"none": "none", "lz4": "lz4", "zstd 1": "zstd:1", "zstd 3": "zstd:3"}
PLACES = ("tmpfs", "disk")
FLOOR = "zstd 1 alone"
_PACKETS, _QUICK_PACKETS = 2_000_000, 100_000
_RING_BYTES, _QUICK_RING_BYTES = 512 << 20, 64 << 20
_SAMPLE_S = 0.005


def contender(compression: str, place: str) -> str:
    """The name of one row."""
    return f"{compression}, {place}"


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Raises:
        BenchError: The ring cannot be filled, or a recorder failed.
    """
    repetitions: list[dict[str, Any]] = []
    with workspace(options.folder) as place:
        filled = _fill(options, place)
        for number in range(options.repetitions):
            tell(f"record: repetition {number + 1} of {options.repetitions}")
            for name, how in COMPRESSIONS.items():
                repetitions += [_one(place, filled, contender(name, where), how, where) for where in PLACES]
            repetitions.append(_one(place, filled, FLOOR, "floor:1", "tmpfs"))
    summary = by_contender(repetitions, ("mpps", "wall_mpps", "bytes_per_packet", "rss_mib", "steal"))
    return PartResult(NAME, TITLE, repetitions, summary, _targets(summary), _notes(filled))


def _fill(options: Options, place: Workspace) -> dict[str, Any]:
    size = _QUICK_RING_BYTES if options.quick else _RING_BYTES
    packets = _QUICK_PACKETS if options.quick else _PACKETS
    return run_native("fill", "--shm", str(place.memory), "--capacity", size, "--packets", packets)


def _one(place: Workspace, filled: dict[str, Any], name: str, how: str, where: str) -> dict[str, Any]:
    archive = (place.memory if where == "tmpfs" else place.disk) / "archive"
    try:
        with Steal() as steal:
            found, rss_bytes = _run(place.memory, filled["ring"], archive, how)
        archived = size_of(archive, "*.arrow")
    finally:
        shutil.rmtree(archive, ignore_errors=True)
    rows = found["rows"]
    return {
        "contender": name,
        **found,
        "mpps": round(rows / found["cpu_s"] / 1e6, 3),
        "wall_mpps": round(rows / found["wall_s"] / 1e6, 3),
        "bytes_per_packet": round((archived or found.get("compressed_bytes", 0)) / rows, 2) if rows else None,
        "rss_mib": round(rss_bytes / 2**20, 1) if archived else None,
        "exact": rows == filled["packets"] and not found["lost"] and not found["write_failures"],
        "steal": round(steal.share, 4),
    }


def _run(shm: Path, ring: str, archive: Path, how: str) -> tuple[dict[str, Any], int]:
    """What a run says of itself, and the most memory of its own that it was seen with, in bytes."""
    command = [sys.executable, "-P", "-m", "nanotape.cli.bench.record_run"]
    command += [str(shm), ring, str(archive), how, str(cores()[0])]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid) or 0)
            time.sleep(_SAMPLE_S)
        said, complaint = process.communicate()
    if process.returncode:
        raise BenchError(f"recorder ({how}): {(complaint.strip().splitlines() or ['failed'])[-1]}")
    found: dict[str, Any] = json.loads(said)
    return found, peak


def _targets(summary: dict[str, Any]) -> list[Target]:
    zstd = judge("record zstd 1", median(summary, contender("zstd 1", "tmpfs"), "mpps"), _beside_floor(summary))
    peaks = [figures["rss_mib"]["max"] for figures in summary.values() if figures["rss_mib"]["max"] is not None]
    plain = judge("record uncompressed", median(summary, contender("none", "tmpfs"), "mpps"), _beside_disk(summary))
    return [
        zstd if not zstd.met else judge(zstd.name, zstd.value),
        plain if not plain.met else judge(plain.name, plain.value),
        judge("memory", max(peaks, default=None)),
    ]


def _beside_floor(summary: dict[str, Any]) -> str:
    """How much of the time is zstd's own."""
    alone = median(summary, FLOOR, "mpps")
    whole = median(summary, contender("zstd 1", "tmpfs"), "mpps")
    if not alone or not whole:
        return ""
    return (
        f"zstd 1 alone takes {1000 / alone:,.0f} ns of the {1000 / whole:,.0f} ns a packet: "
        f"{alone:.1f} Mpps if all else were free"
    )


def _beside_disk(summary: dict[str, Any]) -> str:
    """How far the repetitions lie apart, and what the same comes to without tmpfs."""
    here = summary.get(contender("none", "tmpfs"), {}).get("mpps", {})
    disk = median(summary, contender("none", "disk"), "mpps")
    if not disk or not here.get("median"):
        return ""
    return f"{here['min']:.2f} to {here['max']:.2f} Mpps in the repetitions; to the disk the median is {disk:.2f}"


def _notes(filled: dict[str, Any]) -> list[str]:
    frame = filled["frame_bytes"] / filled["packets"]
    return [
        f"{filled['packets']:,} packets of a simulated ITCH feed wait in the ring, {frame:.0f} bytes each on average. "
        "The recorder reads them from the first to the last, in a process of its own, pinned to one core.",
        "Mpps: rows by CPU seconds of the process, with all of its threads. On disk the wall clock may say less: see "
        "wall_mpps. Memory: the process's own at its most, seen from outside every 5 ms, without the ring that it "
        "maps.",
        f'"{FLOOR}": the same columns, in the same batches, through pyarrow\'s zstd and nothing else.',
    ]
