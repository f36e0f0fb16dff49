"""Part `path`: each stage from source to disk by itself, and which of them is the bottleneck of this box."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from nanotape.cli.bench import path_wire
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.path_service import Wanted, running
from nanotape.cli.bench.plot import number
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.bench.workspace import Workspace, size_of, workspace
from nanotape.storage.recorder import RecorderOptions

NAME, TITLE, NEEDS_ROOT = "path", "Each stage by itself, and the bottleneck", False
RING, RECORDER, TOGETHER = "the ring", "the recorder", "ring and recorder together"
SINKS = {"disk": "the disk", "tmpfs": "tmpfs"}
FRAME_BYTES = 242
_RING_BYTES, _QUICK_RING_BYTES = 512 << 20, 128 << 20
_BATCH_ROWS = RecorderOptions().batch_rows
_BATCHES, _QUICK_BATCHES = 24, 4
"""Whole batches: what fills none would wait for the flush interval."""
_SECONDS, _QUICK_SECONDS = 3.0, 0.4
_EASE = 0.75
"""Of what recorder and sink take by themselves, when all runs together."""
_WRITTEN_BYTES, _QUICK_WRITTEN_BYTES = 1 << 30, 32 << 20
_BLOCK_BYTES = 4 << 20


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Raises:
        CaptureError: A service cannot be run here, or there is no wire to be had.
    """
    if options.source == "wire" and os.geteuid():
        raise BenchError("path: a wire needs root, for network namespaces and XDP; run as root or with --source memory")
    repetitions: list[dict[str, Any]] = []
    ring_bytes = _QUICK_RING_BYTES if options.quick else _RING_BYTES
    with workspace(options.folder, ring_bytes + (4 << 20)) as place:
        measured = _Stages(options, place, ring_bytes)
        for number in range(options.repetitions):
            tell(f"path: repetition {number + 1} of {options.repetitions}")
            repetitions += measured.memory()
    if options.source == "wire":
        repetitions += path_wire.measure(options, tell)
    summary = by_contender(repetitions, ("mpps", "lost", "bytes_per_packet", "mb_s", "steal"))
    return PartResult(NAME, TITLE, repetitions, summary, [], [bottleneck(summary), *_notes(options)])


class _Stages:
    """One after the other, with dummies for what is not measured."""

    def __init__(self, options: Options, place: Workspace, ring_bytes: int) -> None:
        self._options, self._place, self._ring_bytes = options, place, ring_bytes
        self._seconds = _QUICK_SECONDS if options.quick else _SECONDS
        folders = {"null": None, "tmpfs": place.memory, "disk": place.disk}
        self._sink = folders[options.sink]

    def memory(self) -> list[dict[str, Any]]:
        """From memory on; without a sink, only into the ring."""
        found = [_timed(self._ring)]
        if self._sink is not None:
            recorder = _timed(self._recorder)
            sink = _timed(lambda: self._written(recorder["bytes_per_packet"]))
            slowest = min(each["mpps"] for each in (found[0], recorder, sink))
            found += [recorder, sink, _timed(lambda: self._together(slowest * _EASE))]
        return found

    def _wanted(self, **more: Any) -> Wanted:
        return Wanted(frame_bytes=FRAME_BYTES, ring_bytes=self._ring_bytes, **more)

    def _ring(self) -> dict[str, Any]:
        with running(self._place, self._wanted()) as stage:
            before, began = stage.captured(), time.monotonic()
            stage.wait(self._seconds)
            taken, seconds = stage.captured() - before, time.monotonic() - began
            books = stage.end()
        return {"contender": RING, "mpps": taken / seconds / 1e6, "exact": books.unexplained == 0}

    def _recorder(self) -> dict[str, Any]:
        """The ring holds all of it: what the recorder takes is up to the recorder and the sink."""
        count = _BATCH_ROWS * (_QUICK_BATCHES if self._options.quick else _BATCHES)
        archive = self._archive()
        try:
            with running(self._place, self._wanted(count=count, archive=archive)) as stage:
                rate_pps = stage.recording_pps(count)
                lost = stage.lost()
                books = stage.end()
            size = size_of(archive, "*.arrow")
        finally:
            shutil.rmtree(archive, ignore_errors=True)
        return {
            "contender": RECORDER,
            "mpps": rate_pps / 1e6,
            "lost": lost,
            "bytes_per_packet": round(size / count, 2),
            "exact": not lost and books.unexplained == 0 and books.in_ring == count,
        }

    def _written(self, bytes_per_packet: float) -> dict[str, Any]:
        """As many bytes as packets would take, written and synced, and nothing else."""
        seconds, size = write_plainly(self._archive(), _QUICK_WRITTEN_BYTES if self._options.quick else _WRITTEN_BYTES)
        return {
            "contender": SINKS[self._options.sink],
            "mpps": size / bytes_per_packet / seconds / 1e6,
            "bytes_per_packet": bytes_per_packet,
            "mb_s": round(size / seconds / 1e6, 1),
        }

    def _together(self, mpps: float) -> dict[str, Any]:
        """All at once, and evenly: what was captured before the recorder was there is not asked of it."""
        archive, rate_pps = self._archive(), max(1000, int(mpps * 1e6))
        try:
            with running(self._place, self._wanted(rate_pps=rate_pps, archive=archive, start="latest")) as stage:
                stage.wait(self._seconds)
                books = stage.end()
                told = stage.recorder_account()
        finally:
            shutil.rmtree(archive, ignore_errors=True)
        asked = books.in_ring + 1 - told["begin_seq"]
        found = sum(told[name] for name in ("recorded", "lost", "write_failures", "backlog", "left_out"))
        exact = books.unexplained == 0 and asked == found
        return {"contender": TOGETHER, "mpps": rate_pps / 1e6, "lost": told["lost"], "exact": exact}

    def _archive(self) -> Path:
        assert self._sink is not None  # noqa: S101 - only asked where there is one
        return self._sink / "archive"


def _timed(stage: Any) -> dict[str, Any]:
    with Steal() as steal:
        found: dict[str, Any] = stage()
    return found | {"mpps": round(found["mpps"], 3), "steal": round(steal.share, 4)}


def write_plainly(path: Path, size: int) -> tuple[float, int]:
    """Seconds for `size` bytes, in large blocks, until the disk has them; and the bytes."""
    block = os.urandom(_BLOCK_BYTES)
    began = time.monotonic()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(size // _BLOCK_BYTES):
            os.write(descriptor, block)
        os.fdatasync(descriptor)
        return time.monotonic() - began, size // _BLOCK_BYTES * _BLOCK_BYTES
    finally:
        os.close(descriptor)
        path.unlink()


def bottleneck(summary: dict[str, Any]) -> str:
    """The slowest stage, beside what the others take, and what became of all of them together."""
    known = {
        name: summary[name]["mpps"]["median"]
        for name in (RING, RECORDER, *SINKS.values(), path_wire.CAPTURE)
        if name in summary and summary[name]["mpps"]["median"] is not None
    }
    slowest = min(known, key=lambda name: float(known[name]))
    others = ", ".join(f"{name} {number(value)}" for name, value in known.items() if name != slowest)
    if not others:
        return f"Only {slowest} was measured: {number(known[slowest])} Mpps."
    said = f"The bottleneck is {slowest}: {number(known[slowest])} Mpps. By themselves, in Mpps: {others}."
    return said + "".join(_whole(summary, name) for name in (TOGETHER, path_wire.WHOLE) if name in summary)


def _whole(summary: dict[str, Any], name: str) -> str:
    found = summary[name]
    lost = found["lost"]["max"]
    return f" {name.capitalize()}: {number(found['mpps']['median'])} Mpps, " + (
        f"{number(lost)} packets lost at the worst." if lost else "nothing lost."
    )


def _notes(options: Options) -> list[str]:
    notes = [f'"{RING}": the memory source, as fast as it goes, {FRAME_BYTES}-byte frames, nobody reads.']
    if options.sink != "null":
        notes += [
            f'"{RECORDER}": everything waits in the ring already; zstd 1, to {options.sink}.',
            f'"{SINKS[options.sink]}": as many bytes as the recorder makes of a packet, written plainly and synced. '
            "The packets here repeat themselves: yours will compress less, and the disk take fewer of them.",
            f'"{TOGETHER}": at {_EASE:.0%} of the slowest of the others; `lost` is what the recorder was too slow for.',
        ]
    if options.source == "memory":
        return [*notes, "The packets came from memory: what the NIC, its driver and XDP take is not in these figures."]
    notes.append(f'"{path_wire.CAPTURE}": veth, as fast as the generator goes on one core; it may be the slower one.')
    if options.sink != "null":
        notes.append(
            f'"{path_wire.WHOLE}": a burst, by the time that it was sent in: what the ring holds of it may be recorded '
            "later, and a longer one be too much for the recorder."
        )
    return notes
