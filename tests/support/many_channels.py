"""A service of 200 channels under traffic, and how long it takes from the command to the first packet recorded."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
import time

import namespaces
from deadline import wait_for
from service_rig import Rig, Wanted
from soak_faults import CAPTURE, HOLDER, RECORDER, World

from nanotape.capture.errors import CaptureError
from nanotape.capture.readers import list_readers

CHANNELS = 200
RATE_PPS = 1_000
LINES = tuple((f"line-{each}", f"239.192.8.{each}:{31_000 + each}") for each in range(1, CHANNELS + 1))
SENT_LINE = "A=239.192.8.7:31007"


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """What was seen of one start."""

    recorded_after_s: float
    began_ticks: dict[str, int]
    """By process: when the kernel started it (proc(5), starttime)."""
    first_seq: int
    """Of the archive's first row."""


def many_channels(capacity: str, descriptors: int, recorder: str = "") -> Wanted:
    """The configuration."""
    return Wanted(lines=LINES, capacity=capacity, descriptors=descriptors, recorder=recorder)


def timed_start(rig: Rig, pair: namespaces.NamespacePair) -> Start:
    """Starts the service while packets come, and stops it again."""
    pair.right.run("sysctl", "-qw", "net.ipv4.igmp_max_memberships=1000", check=False)
    world = World(rig, pair, random.Random(1), None)
    exchange = rig.exchange("--line", SENT_LINE, "--rate", str(RATE_PPS), "--seconds", "60", lines=[])
    try:
        wait_for(exchange.log.exists, "the exchange, whose start takes a core")
        begun = time.monotonic()
        process = world.begin()
        wait_for(lambda: _recorded(rig) > 0 or process.poll() is not None, "a packet", 60)
        assert process.poll() is None, rig.talk.read_text(encoding="utf-8")[-3000:]
        seconds = time.monotonic() - begun
        with world.running():
            began = {name: _started_ticks(world.pid(name)) for name in (RECORDER, HOLDER, CAPTURE)}
    finally:
        exchange.stop()
    first = min(min(batch.column("ring_seq").to_pylist()) for batch in rig.archive().packets(["ring_seq"]))
    return Start(seconds, began, first)


def unready_recorder(rig: Rig) -> list[str]:
    """What the log says of a recorder that had to be started again, or did not begin."""
    lines = rig.talk.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "recorder: " in line and not line.startswith("{")]


def report(rig: Rig) -> dict[str, object]:
    """The books at the end."""
    lines = rig.talk.read_text(encoding="utf-8").splitlines()
    found: dict[str, object] = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return found


def _recorded(rig: Rig) -> int:
    if not (rig.shm / "test.ring").exists():
        return 0
    try:
        with rig.ring() as ring:
            return sum(each.recorded or 0 for each in list_readers(ring, rig.folder / "run"))
    except CaptureError:  # the ring is just being made
        return 0


def _started_ticks(pid: int | None) -> int:
    words = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(words[19])
