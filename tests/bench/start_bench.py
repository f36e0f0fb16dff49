"""How long from `nanotape run` to the first packet recorded, with 200 channels under traffic. As root.

`python tests/bench/start_bench.py [TIMES]`: each size of ring and packet memory so many times, in turns. The figures
of docs/restarts.md are its output. Run it on what is installed: uncompiled sources take half a second more.
"""

from __future__ import annotations

import os
import pathlib
import platform
import statistics
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "support")]

import namespaces  # noqa: E402
from many_channels import CHANNELS, many_channels, timed_start  # noqa: E402
from service_rig import make_rig  # noqa: E402

from nanotape.cli.bench.steal import Steal  # noqa: E402

SIZES = {"256 MiB, 128 MiB": ("256 MiB", 65_536), "512 MiB, 512 MiB": ("512 MiB", 262_144)}
"""Ring and packet memory: the defaults, and those of an example for a lab."""


def start_once(capacity: str, descriptors: int) -> float:
    """Seconds."""
    with namespaces.namespace_pair() as pair, make_rig(many_channels(capacity, descriptors), pair) as rig:
        return timed_start(rig, pair).recorded_after_s


def main(times: int) -> None:
    """Prints a table."""
    print(
        f"{platform.node()}, Linux {platform.release()}, {os.cpu_count()} cores, veth, copy mode, {CHANNELS} channels"
    )
    found: dict[str, list[float]] = {name: [] for name in SIZES}
    stolen = dict.fromkeys(SIZES, 0.0)
    for _ in range(times):
        for name, size in SIZES.items():
            with Steal() as steal:
                found[name].append(start_once(*size))
            stolen[name] += steal.stolen_s
    print(f"| ring, packet memory | median | best | worst of {times} | steal time |\n{'|---' * 5}|")
    for name, seconds in found.items():
        figures = (statistics.median(seconds), min(seconds), max(seconds))
        print(f"| {name} | " + " | ".join(f"{each:.2f} s" for each in figures) + f" | {stolen[name]:.2f} s |")
    print(f"load before the last: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
