"""Two captures of the same traffic, each with its own ring, merged by `nanotape tail` while they run."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest
from command_line import NANOTAPE
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

pytestmark = [pytest.mark.root, pytest.mark.shared]

WANTED = Wanted(kind="socket", interface="lo", capacity="64 MiB")


def test_two_live_rings_come_out_as_one_by_time_and_what_does_not_is_counted(tmp_path: Path) -> None:
    with make_rig(WANTED, None) as first, make_rig(WANTED, None) as second:
        with first.service(record=False) as one, second.service(record=False) as other:
            rings = [str(rig.shm / "test.ring") for rig in (first, second)]
            command = [*NANOTAPE, "tail", *rings, "--json", "--start", "oldest"]
            with (tmp_path / "out").open("wb") as out:
                tail = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
                try:
                    exchange = first.exchange("--rate", "4000", "--seconds", "0.5")
                    wait_for(lambda: (one.wait(0.05), other.wait(0.05), not exchange.running())[2], "the exchange", 30)
                    exchange.stop()
                    lasts = [first.wait_taken(one).last_seq, second.wait_taken(other).last_seq]
                    wait_for(lambda: (tmp_path / "out").read_bytes().count(b"\n") == sum(lasts), "all in tail", 30)
                    tail.terminate()
                    _, said = tail.communicate(timeout=30)
                finally:
                    tail.kill()
                    tail.wait()
        assert tail.returncode == 0
        rows = [json.loads(line) for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
        check(rows, [first, second], lasts, said.decode())


def check(rows: list[dict[str, object]], rigs: list[Rig], lasts: list[int], said: str) -> None:
    """Every row of each ring once, and in order but for so many as `tail` itself says came late."""
    assert lasts[0] == lasts[1] > 1000
    order = []
    for rig in rigs:
        with rig.ring() as ring:
            order.append(ring.ring_id)
    for ring_id, last in zip(order, lasts, strict=True):
        assert sorted(row["ring_seq"] for row in rows if row["ring_id"] == ring_id) == list(range(1, last + 1))  # type: ignore[type-var]
    keys = [(row["ts_ns"], order.index(str(row["ring_id"]))) for row in rows]
    late = sum(key < highest for key, highest in zip(keys, itertools.accumulate(keys, max), strict=True))
    told = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) of ring", said)]
    assert sum(told) == late < len(rows) // 2
    changes = sum(one["ring_id"] != next_["ring_id"] for one, next_ in itertools.pairwise(rows))
    assert changes > 100  # they do interleave
