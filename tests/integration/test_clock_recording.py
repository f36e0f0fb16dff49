"""A whole service whose recorder is killed again and again, and a clock service's journal that a test writes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest
from clock_lines import SECOND_NS, JournalWriter, change, sample
from clock_twin import bound_of
from service_rig import Rig

from nanotape.capture.service import RECORDER
from nanotape.storage.archive import Archive
from nanotape.storage.clock_entries import ClockSample
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.verify import verify

pytestmark = pytest.mark.root

AHEAD_S = 120
RATE = 3000
SECONDS = 4


@pytest.fixture(params=["packet", "afxdp"])
def rig(make_service_rig: Callable[..., Rig], request: pytest.FixtureRequest) -> Rig:
    """A service that leaves the host's clocks alone; its packets are stamped by the kernel, or by the XDP program."""
    return make_service_rig(kind=request.param, descriptors=16_384, capacity="256 MiB", tables='[clock]\nmode = "none"')


def two_minutes(chance: random.Random) -> list[ClockSample]:
    """Of the system clock from a while ago on, so that no bound depends on when a packet was written."""
    begin = time.time_ns()
    said = []
    for second in range(-10, AHEAD_S):
        error = chance.choice((80, 300, 1500, 40_000)) if second % 3 else None  # so that any few seconds have all kinds
        said.append(sample(begin + second * SECOND_NS + chance.randrange(SECOND_NS // 2), error, growth_ppb=700))
    return said


def rows_of(archive: Archive) -> Counter[tuple[str, int, int | None]]:
    rows = archive.rows("clock", ["ts", "clock", "error_ns"])
    stamps = rows.column("ts").cast(pa.int64()).to_pylist()
    return Counter(zip(rows.column("clock").to_pylist(), stamps, rows.column("error_ns").to_pylist(), strict=True))


def changes_of(archive: Archive) -> Counter[tuple[int, int | None, str]]:
    events = archive.rows("events", ["ts_start", "ts_end", "kind", "detail"])
    events = events.filter(pa.compute.field("kind") == "clock")
    stamps = (events.column(name).cast(pa.int64()).to_pylist() for name in ("ts_start", "ts_end"))
    return Counter(zip(*stamps, events.column("detail").to_pylist(), strict=True))


def expected_bounds(samples: Sequence[ClockSample], packets: Sequence[tuple[int, str]]) -> list[int | None]:
    """The twin's, given only the samples that can matter."""
    by_second: dict[int, list[ClockSample]] = {}
    for each in samples:
        for second in range(each.at_ns // SECOND_NS - 3, each.at_ns // SECOND_NS + 8):
            by_second.setdefault(second, []).append(each)
    return [bound_of(by_second.get(ts // SECOND_NS, []), ts, kind, "veth-r") for ts, kind in packets]


def test_a_recorder_that_is_killed_tells_of_clocks_once_and_each_packet_has_its_bound(rig: Rig) -> None:
    chance = random.Random(20261128)
    writer = JournalWriter(rig.folder / "run" / "clock")
    ahead = two_minutes(chance)
    writer.write(*ahead)
    with rig.service() as service:
        exchange = rig.exchange("--rate", str(RATE), "--packets", str(SECONDS * RATE))
        try:
            kills, number, due, killed = 0, 0, time.monotonic() + 0.5, None
            while exchange.running():
                service.wait(0.02)
                number += 1
                now = time.time_ns()
                writer.write(sample(now, number, "ptp0"), change(now, f"number {number}", what="step", end_ns=now))
                pid = service.pid(RECORDER)
                if time.monotonic() >= due and pid not in (None, killed):
                    os.kill(pid, signal.SIGKILL)
                    kills, killed, due = kills + 1, pid, time.monotonic() + chance.uniform(0.3, 1.2)
            exchange.result()
        finally:
            exchange.stop()
        rig.wait_taken(service)
        service.stop()
    assert kills >= 3
    archive = rig.archive()
    for _ in range(2):
        assert rows_of(archive) == Counter((each.clock, each.at_ns, each.error_ns) for each in writer.samples)
        expected = Counter((each.at_ns, each.end_ns, f"{each.clock}: {each.detail}") for each in writer.changes)
        assert changes_of(archive) == expected
        assert verify(archive).findings == []
        table = archive.table(["ts", "ts_kind", "ts_error_ns"])
        stamps, kinds = table.column("ts").cast(pa.int64()).to_pylist(), table.column("ts_kind").to_pylist()
        assert set(kinds) <= {"xdp", "kernel"}
        found = table.column("ts_error_ns").to_pylist()
        assert len(found) > 2 * RATE
        assert found == expected_bounds(ahead, list(zip(stamps, kinds, strict=True)))
        assert None in found
        assert len(set(found)) > 100
        compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)
