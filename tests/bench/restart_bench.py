"""What each crash and planned restart loses, and for how long. As root.

`python tests/bench/restart_bench.py [RATE]`: a service between two namespaces, one act after the other under traffic.
The figures of docs/restarts.md are its output.
"""

from __future__ import annotations

import pathlib
import platform
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

import namespaces  # noqa: E402
from deadline import wait_for  # noqa: E402
from feed_bench import steal_s  # noqa: E402
from service_rig import Rig, Wanted, make_rig  # noqa: E402
from soak_faults import CAPTURE, HOLDER, RECORDER, SUPERVISOR, World  # noqa: E402

from nanotape.capture.conservation import ring_books  # noqa: E402
from nanotape.capture.readers import list_readers  # noqa: E402

SECONDS = 6.0


def act_and_count(rig: Rig, world: World, rate: int, act: Callable[[], Any]) -> tuple[int, int, float, float]:
    """Packets sent, packets that are not recorded, seconds without a packet in the ring, and until one is recorded."""
    before = recorded_rows(rig)
    exchange = rig.exchange("--rate", str(rate), "--packets", str(round(rate * SECONDS)), lines=["A"])
    try:
        wait_for(lambda: packets(rig) > before + rate, "a second's worth")
        with Silence(rig) as silence:
            begun = time.monotonic()
            act()
            world.ensure_running()
            heard = records(rig, world)
            wait_for(lambda: records(rig, world) > heard, "a recorder that records", 60)
            back = time.monotonic() - begun
        sent = exchange.result().line("A").sent
    finally:
        exchange.stop()
    return sent, sent - (settled_rows(rig, world) - before), silence.longest_s, back


def packets(rig: Rig) -> int:
    with rig.ring() as ring:
        return ring_books(ring).last_seq


class Silence:
    """The longest time in which no packet came into the ring, as a thread sees it that looks every few milliseconds."""

    def __init__(self, rig: Rig) -> None:
        """Looks at nothing yet."""
        self._rig, self._is_over, self.longest_s = rig, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Silence:
        """Begins to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Has looked."""
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        last, at = packets(self._rig), time.monotonic()
        while not self._is_over.wait(0.002):
            now, seen = packets(self._rig), time.monotonic()
            if now != last:
                last, at = now, seen
            self.longest_s = max(self.longest_s, seen - at)


def records(rig: Rig, world: World) -> int:
    """What the recorder of now has recorded; 0: nothing yet, or there is none."""
    with rig.ring() as ring:
        readers = list_readers(ring, rig.folder / "run")
        return sum(each.recorded or 0 for each in readers if each.pid == world.pid(RECORDER))


def settled_rows(rig: Rig, world: World) -> int:
    """When the recorder has all: rows are what counts."""

    def settled() -> bool:
        with rig.ring() as ring:
            newest = ring_books(ring).last_seq
            readers = [each for each in list_readers(ring, rig.folder / "run") if each.pid == world.pid(RECORDER)]
            return bool(readers) and readers[0].lag_bytes == 0 and (readers[0].next_seq or 0) > newest

    wait_for(settled, "the recorder to have all", 60)
    world.restart_in_order()
    return recorded_rows(rig)


def recorded_rows(rig: Rig) -> int:
    return sum(batch.num_rows for batch in rig.archive().packets(["ring_seq"]))


def restarts(rate: int) -> None:
    """A table of the acts."""
    with namespaces.namespace_pair() as pair, make_rig(Wanted(), pair) as rig:
        world = World(rig, pair, random.Random(1), None)
        acts: dict[str, Callable[[], Any]] = {
            "kill -9 of the capture": lambda: world.kill(CAPTURE),
            "kill -9 of the recorder": lambda: world.kill(RECORDER),
            "kill -9 of the holder, started again": lambda: world.kill(HOLDER),
            "kill -9 of `nanotape run`, started again": lambda: world.kill(SUPERVISOR),
            "SIGTERM of the capture": lambda: end(world, CAPTURE),
            "SIGTERM of the recorder": lambda: end(world, RECORDER),
            "stop and start of `nanotape run`": world.restart_in_order,
        }
        print(f"| what | sent | not recorded | nothing came in for | recorded again after |\n{'|---' * 5}|")
        with world.running():
            for name, act in acts.items():
                sent, lost, silent, back = act_and_count(rig, world, rate, act)
                print(f"| {name} | {sent:,} | {lost:,} | {silent:.3f} s | {back:.2f} s |", flush=True)


def end(world: World, name: str) -> None:
    """Until it has ended: one that ends in order records what it has read."""
    pid = world.signal(name, signal.SIGTERM)
    wait_for(lambda: world.pid(name) != pid, f"the end of the {name}")


if __name__ == "__main__":
    stolen, since = steal_s(), time.monotonic()
    print(f"{platform.node()}, Linux {platform.release()}, 2 cores, veth, copy mode")
    restarts(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    print(f"steal time: {steal_s() - stolen:.2f} s of {time.monotonic() - since:.0f} s")
