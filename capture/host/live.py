"""This host as the checks see it: its root, its NICs by the kernel, its clocks, and the captures that run here."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from nanotape.capture.clock.kernel_clock import read_kernel_clock
from nanotape.capture.clock.status import ClockStatus, told_status
from nanotape.capture.errors import RingError
from nanotape.capture.host.ethtool import KernelNics
from nanotape.capture.host.facts import Captured, ClockAnswer, Host, Measured
from nanotape.capture.host.measure import disk_speed, measure, nearest_folder
from nanotape.capture.host.needs import Needs
from nanotape.capture.host.root import HostRoot, Unreadable
from nanotape.capture.listing import RingFacts, UnreadableRing, list_rings
from nanotape.config import Settings

_PAGE_BYTES = {"huge_2m": 2 << 20, "huge_1g": 1 << 30}
"""By the ring's word for its memory."""


def this_host(settings: Settings, seconds: float) -> Host:
    """Looks at this host.

    Args:
        settings: The configuration, in whose terms it is judged.
        seconds: How long to measure what happens; 0: nothing is measured.
    """
    root, needs = HostRoot(), Needs.of(settings)
    try:
        rings = list_rings(settings.paths.shm_dir, settings.paths.run_dir)
    except RingError:  # not for this user to see: as if none ran
        rings = ()
    return Host(
        root=root,
        needs=needs,
        nics=KernelNics(),
        clock=lambda: clock_answer(told_status(settings, time.time_ns())),
        captured=_captured(rings),
        held_pages=_held(rings),
        measured=_measured(root, needs, rings, seconds) if seconds else None,
        free_bytes=_free_bytes,
    )


def clock_answer(told: ClockStatus | None) -> ClockAnswer:
    """What a clock service tells; where none runs, what the kernel says of itself.

    Raises:
        Unreadable: The kernel does not say.
    """
    try:
        kernel = read_kernel_clock()
    except OSError as error:
        raise Unreadable(f"adjtimex: {error.strerror}") from None
    if told is None:
        word = "synchronised" if kernel.is_synchronised else "not synchronised"
        return ClockAnswer(
            kernel.is_synchronised, f"the kernel says: {word}; no clock service tells more", kernel.tai_s
        )
    states = ", ".join(f"{each['clock']} {each['state']}" for each in told.clocks)
    line = "; ".join([states, *told.findings])
    return ClockAnswer(told.is_fine, line, kernel.tai_s)


def _captured(rings: Sequence[RingFacts | UnreadableRing]) -> tuple[Captured, ...]:
    return tuple(
        Captured(ring.name, source.interface, source.kind, source.zero_copy, source.skb_mode, source.queue)
        for ring in rings
        if isinstance(ring, RingFacts) and ring.writer_alive
        for source in ring.sources
    )


def _held(rings: Sequence[RingFacts | UnreadableRing]) -> dict[int, int]:
    held: dict[int, int] = {}
    for ring in rings:
        size = _PAGE_BYTES.get(ring.memory) if isinstance(ring, RingFacts) else None
        if size is not None and isinstance(ring, RingFacts):
            held[size] = held.get(size, 0) + -(-ring.capacity_bytes // size)
    return held


def _measured(root: HostRoot, needs: Needs, rings: Sequence[RingFacts | UnreadableRing], seconds: float) -> Measured:
    busy = [ring.name for ring in rings if isinstance(ring, RingFacts) and ring.writer_alive]

    def disk(limit_s: float) -> tuple[float | None, str]:
        if busy:
            return None, f"ring {busy[0]} is being captured: trying the disk would slow its recorder"
        return disk_speed(Path(needs.archive), limit_s, time.monotonic)

    return measure(root, needs.interfaces, seconds, time.monotonic, time.sleep, disk, KernelNics(), needs.cores)


def _free_bytes(path: str) -> tuple[int, int]:
    place = nearest_folder(Path(path))
    try:
        room = os.statvfs(place)
    except OSError as error:
        raise Unreadable(f"{place}: {error.strerror}") from None
    return room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
