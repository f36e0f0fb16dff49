"""Part `tuning`: what the loop's settings cost, where their defaults come from.

Packets pile up in the RX ring while the capture is stopped; then it drains them at once, as after a stall.
"""

import os
import signal
from typing import Any

import numpy as np

from nanotape.capture.service import CAPTURE
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.path_service import Stage, Wanted, huge_bytes, running
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.bench.veth import FRAME_BYTES, Wire, wire
from nanotape.cli.bench.workspace import Workspace, workspace
from nanotape.config.source import LoopSettings, SourceSettings

NAME, TITLE, NEEDS_ROOT = "tuning", "settings of the loop, ns a packet of a backlog", True
_BATCHES, _PREFETCHES, _DEPTHS = (8, 16, 32, 64, 128, 256), (0, 2, 4, 8, 16, 32), (4096, 16384, 65536, 262_144)
_RING_BYTES = 256 << 20
_FULL = 0.9
"""Of the RX ring: so much piles up."""


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Raises:
        CaptureError: There are no namespaces or no XDP to be had.
    """
    repetitions = []
    with wire(huge_bytes(_RING_BYTES)) as line, workspace(options.folder) as place:
        for number in range(options.repetitions):
            tell(f"tuning: repetition {number + 1} of {options.repetitions}")
            repetitions += [_one(name, line, place, wanted) for name, wanted in _settings(line, quick=options.quick)]
    summary = by_contender(repetitions, ("ns", "steal"))
    return PartResult(NAME, TITLE, repetitions, summary, [], _notes())


def _settings(line: Wire, *, quick: bool) -> list[tuple[str, Wanted]]:
    """One at a time differs from its default, but for the RX ring's depth, which decides how much piles up."""
    loop, depth = LoopSettings(), 4096 if quick else SourceSettings().descriptors
    batches, prefetches, depths = (_BATCHES, _PREFETCHES, _DEPTHS) if not quick else ((loop.batch,), (0,), ())
    chosen = [(f"batch {batch}", batch, loop.prefetch, depth) for batch in batches]
    chosen += [(f"prefetch {prefetch}", loop.batch, prefetch, depth) for prefetch in prefetches]
    chosen += [(f"descriptors {wanted}", loop.batch, loop.prefetch, wanted) for wanted in depths]
    return [
        (
            name,
            Wanted(
                FRAME_BYTES,
                _RING_BYTES,
                interface=line.scene.interface,
                wrap=line.scene.capture,
                descriptors=descriptors,
                loop=f"batch = {batch}\nprefetch = {prefetch}",
            ),
        )
        for name, batch, prefetch, descriptors in chosen
    ]


def _one(name: str, line: Wire, place: Workspace, wanted: Wanted) -> dict[str, Any]:
    packets = int(wanted.descriptors * _FULL)
    with Steal() as steal, running(place, wanted) as stage:
        capture = stage.pid(CAPTURE)
        os.kill(capture, signal.SIGSTOP)
        try:
            offered = line.offer(packets, 0)
        finally:
            os.kill(capture, signal.SIGCONT)
        stage.wait_quiet(offered.sent)
        nanoseconds, records = _drained(stage)
        books = stage.end()
    return {
        "contender": name,
        "ns": round(nanoseconds, 1),
        "packets": records,
        "exact": records == offered.sent - offered.link_lost - books.lost and not books.unexplained,
        "steal": round(steal.share, 4),
    }


def _drained(stage: Stage) -> tuple[float, int]:
    """Nanoseconds a packet from the first poll to the last, by the packets' own stamps and delays; and their number."""
    polled = []
    with stage.reader() as reader:
        while (batch := reader.read()) is not None:
            stamps = batch.column("ts").cast("int64").to_numpy()
            polled.append(stamps + batch.column("rx_delay_ns").to_numpy(zero_copy_only=False))
    if not polled:
        raise BenchError("tuning: expected packets in the ring, found none")
    times = np.concatenate(polled)
    after_first = int((times > times[0]).sum())  # what the first poll brought was there before the clock ran
    return float(times[-1] - times[0]) / max(1, after_first), len(times)


def _notes() -> list[str]:
    loop, source = LoopSettings(), SourceSettings()
    return [
        f"The RX ring is filled to {_FULL:.0%} while the capture stands still: its frames have left every cache "
        "that is near. The capture spins on a core of its own. One setting at a time differs from the defaults: "
        f"batch {loop.batch}, prefetch {loop.prefetch}, descriptors {source.descriptors}.",
        "Descriptors are the RX ring's depth, and each has a frame of packet memory (UMEM) of 2 KiB: a deeper ring "
        "rides out a longer stall (65,536 descriptors: 24 ms at 2.7 Mpps) and costs memory, and cache where it is "
        "drained late.",
    ]
