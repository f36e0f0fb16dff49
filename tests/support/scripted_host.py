"""One moment of a host that never was, with something to see on every screen: the same each time, to be compared."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import crafted_clock
from crafted_looks import MIB, NOW_NS, RING, SECOND_NS, later, loop, recorder, stats
from crafted_segments import TOLD
from pictures import picture, ring_picture

from nanotape.capture.counters import Flow, LoopGaps
from nanotape.capture.host.check import Result
from nanotape.capture.listing import RingFacts
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine, RecordedTraffic
from nanotape.config import Settings, loads
from nanotape.tui.clock_around import ClockAround
from nanotape.tui.host_rows import HostExamined
from nanotape.tui.picture import Picture, RateHistory, SourceLoad

AT_NS = NOW_NS + SECOND_NS
CHANNELS = 30
BEFORE = (0,) * 9 + (900, 90, 9, 1) + (0,) * 27
AFTER = (0,) * 9 + (1400, 290, 19, 2) + (0,) * 27
AROUND = ClockAround(37, "TAI-UTC 37 s, synchronised", ("phc2sys (process 9) steers the system clock",))
EXAMINED = HostExamined(
    (
        Result(
            "memory.hugepages", "fail", "none are reserved", "512 of 2 MiB", "packets wait for memory", "sysctl ..."
        ),
        Result("cores.governor:3", "warn", "powersave", "performance", "a core that sleeps is late", "cpupower ..."),
        Result("limits.memlock", "ok", "unlimited", "unlimited", "memory is locked", None),
    )
)
_EVENT = dict.fromkeys(
    ("channel", "line", "stage", "cause", "filled_by", "seq_kind", "seq_first", "seq_last", "packets_lost",
     "messages_lost", "detail", "ts_end")
)  # fmt: skip


def event(name: str, at_s: int, kind: str, severity: str, **facts: Any) -> dict[str, Any]:
    """One of the archive's, so many seconds before the moment."""
    told = {"id": name, "ts_start": AT_NS - at_s * SECOND_NS, "kind": kind, "severity": severity}
    return {**_EVENT, **told, "host": "host-1", "ring": "main", **facts}


EVENTS = (
    event("1", 900, "restart", "info", detail="recorder begins"),
    event("2", 300, "link", "warning", detail="eth1 is down"),
    event("3", 60, "feed_gap", "error", channel="chan-007", line="A", cause="upstream", seq_kind="feed", seq_first=5,
          seq_last=9, messages_lost=5),
)  # fmt: skip


def settings(folder: Path) -> Settings:
    """Of a host whose rings and archive lie below a folder."""
    paths = f'[paths]\nrun_dir = "{folder}/run"\narchive = "{folder}/archive"\nshm_dir = "{folder}"\n'
    return loads(f'host = "host-1"\n{paths}')


def scripted_picture(configured: Settings) -> Picture:
    """A ring that has lost something a while ago, its lines, its recorder, two clocks."""
    first = _measured(
        stats(RING, rx_dropped=90), BEFORE, LoopGaps(10_000, 2, 70_000, 50_000, (0,) * 15 + (2,) + (0,) * 24)
    )
    gaps = LoopGaps(10_000, 5, 70_000, 110_000, (0,) * 15 + (5,) + (0,) * 24)
    second = recorder(_measured(later(first, 1800), AFTER, gaps), lag_bytes=4 * MIB, lag_share=1 / 16)
    flows = tuple(_flow(number) for number in range(2 * CHANNELS))
    ring = ring_picture(replace(first, flows=flows), replace(second, flows=flows))
    waves = tuple(1500 + 400 * math.sin(second / 9) + 150 * math.sin(second / 2) for second in range(300))
    ring = replace(
        ring,
        rates=RateHistory(waves, tuple(8 * 242 * each for each in waves), (0.0,) * 300, 2050.0, 4e6),
        lost_minute={"rx_dropped": 12},
        lost_minute_s=60.0,
        loads=(SourceLoad("afxdp:eth1:0", "eth1", "afxdp", 0, 0.1, 25 * 10**9),),
        busy=0.1,
        feeds=RecordedFeeds(AT_NS, {(each.channel, each.line): _line(each) for each in flows}, (), _TRAFFIC),
        segments=(("recorder", TOLD),),
    )
    return picture(ring, settings=configured, clock=crafted_clock.status())


_TRAFFIC = RecordedTraffic(AT_NS // SECOND_NS, 1800, 3_500_000, 2100, 4_100_000, 19, 37_000, 4, 8_000)


def _measured(facts: RingFacts, counts: tuple[int, ...], gaps: LoopGaps) -> RingFacts:
    measured = loop(facts, delay_histogram=counts, delay_max_ns=3000)  # type: ignore[arg-type]
    return replace(measured, sources=(replace(measured.sources[0], stamp_kind="xdp"),), gaps=gaps)


def _flow(number: int) -> Flow:
    group = f"239.1.{number % 2}.{number // 2}"
    line = "AB"[number % 2]
    return Flow(
        number + 1,
        "simulated",
        f"chan-{number // 2:03}",
        line,
        "moldudp64",
        "incremental",
        "eth1",
        group,
        None,
        31001,
        None,
    )


def _line(flow: Flow) -> RecordedLine:
    number, is_b = divmod(flow.id - 1, 2)
    is_bad = number == 7 and not is_b
    return RecordedLine(
        AT_NS - (10**8 if number != 12 else 75 * SECOND_NS), "session", "key", 100_000 + 37 * number, int(is_bad),
        5 * int(is_bad), number % 3, 0, 0,
        packets=10_000 + number, framing="moldudp64", packets_per_s=(10 * number) % 170, bits_per_s=20_000 * number,
        messages_per_s=30 * number, peak_packets_per_s=300 + number, peak_bits_per_s=10**6, peak_1ms_packets=9,
        gaps_ours=0, gaps_theirs=int(is_bad), missing_ours=0, missing_theirs=5 * int(is_bad),
        first_share=0.28 if is_b else 0.72, lead_p50_ns=1250 + 10 * number, skew_log2=(0, 0, 5, 9, 40, 11, 2),
    )  # fmt: skip
