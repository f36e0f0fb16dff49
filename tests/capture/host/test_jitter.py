"""A core under measurement: the native thread's figures agree with each other, and the picture shows them."""

from __future__ import annotations

import os
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from nanotape.capture.host.jitter import Jitter, JitterRefused, measure_jitter
from nanotape.capture.host.jitter_picture import bars, duration, svg, text
from nanotape.capture.host.root import HostRoot

CORE = min(os.sched_getaffinity(0))
INTERRUPTS = " CPU{core} CPU{other}\n 5: {first} 7 PCI 1-edge eth0-rx\nLOC: 100 9 Local timer interrupts\n"
QUIET = Jitter(3, 1.0, 1000, 10**7, 20, 0, 0.0, None, None, None, {}, 0, 500, tuple([0] * 5 + [10**7] + [0] * 58), {})


def write(root: Path, first: int) -> None:
    (root / "proc").mkdir(exist_ok=True)
    content = INTERRUPTS.format(core=CORE, other=CORE + 1, first=first)
    (root / "proc/interrupts").write_text(content, encoding="ascii")


def test_the_figures_agree_with_each_other(tmp_path: Path) -> None:
    write(tmp_path, 10)

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        write(tmp_path, 13)

    found = measure_jitter(CORE, 0.2, 1, sleep, HostRoot(tmp_path))
    assert found.looks == sum(found.histogram)
    assert found.looks - found.histogram[0] - found.histogram[1] <= found.gaps <= found.looks
    assert found.seconds >= 0.19
    assert found.gap_share == pytest.approx(1.0, abs=0.01)
    assert found.min_ns is not None
    assert found.mean_ns is not None
    assert found.look_ns <= found.min_ns <= found.percentiles_ns["p50"] <= found.percentiles_ns["p99.999"]
    assert found.percentiles_ns["p99.999"] <= found.longest_ns == found.max_ns
    assert found.gaps_kept == min(found.gaps, 1 << 20)
    assert found.interrupts == {"eth0-rx": 3}


def test_a_rival_on_the_core_shows_as_gaps() -> None:
    done = threading.Event()

    def rival() -> None:
        os.sched_setaffinity(0, {CORE})  # of this thread alone
        while not done.is_set():
            pass

    thread = threading.Thread(target=rival)
    thread.start()
    try:
        found = measure_jitter(CORE, 0.5, 500_000)
    finally:
        done.set()
        thread.join()
    assert found.gaps > 0
    assert found.gap_share > 0.02
    assert found.longest_ns >= 500_000


def test_unknown_interrupts_are_none_and_not_an_empty_list(tmp_path: Path) -> None:
    assert measure_jitter(CORE, 0.05, 1000, root=HostRoot(tmp_path)).interrupts is None


def test_interrupts_of_one_name_are_counted_together(tmp_path: Path) -> None:
    """As those of keyboard and mouse, or of a driver that gives all its queues one name."""

    def write_two(first: int) -> None:
        (tmp_path / "proc").mkdir(exist_ok=True)
        rows = f" CPU{CORE}\n 1: {first} IO-APIC 1-edge i8042\n 12: 0 IO-APIC 12-edge i8042\n"
        (tmp_path / "proc/interrupts").write_text(rows, encoding="ascii")

    write_two(10)
    found = measure_jitter(CORE, 0.05, 1000, lambda _: write_two(15), HostRoot(tmp_path))
    assert found.interrupts == {"i8042": 5}


def test_a_core_on_which_a_capture_spins_is_refused(tmp_path: Path) -> None:
    task = tmp_path / "proc/77/task/78"
    task.mkdir(parents=True)
    (tmp_path / "proc/77/comm").write_text("nanotape-captur\n", encoding="ascii")
    (task / "status").write_text(f"Tgid:\t77\nCpus_allowed_list:\t{CORE}\n", encoding="ascii")
    with pytest.raises(JitterRefused, match=rf"core {CORE}: the loop of a capture \(process 77\) spins there"):
        measure_jitter(CORE, 0.05, 1000, root=HostRoot(tmp_path))


def test_a_core_that_is_not_there_is_refused() -> None:
    with pytest.raises(JitterRefused, match="core 1023: expected one that this process may use, found"):
        measure_jitter(1023, 0.1, 1000)


def test_the_picture_has_a_bar_for_each_power_of_two_and_reddens_beyond_the_threshold() -> None:
    found = replace(QUIET, histogram=tuple([0] * 5 + [10**7, 500, 0, 3] + [0] * 3 + [1] + [0] * 51), threshold_ns=128)
    assert [(bar.from_ns, bar.count, bar.is_gap) for bar in bars(found)][:4] == [
        (16, 10**7, False), (32, 500, False), (64, 0, False), (128, 3, True),
    ]  # fmt: skip
    assert bars(found)[-1].from_ns == 2048
    lines = text(found)
    assert lines[0].endswith("-" * 50)
    assert lines[2].split() == ["64", "ns", "0"]
    assert lines[-1].split()[-1].startswith("#")
    root = ElementTree.fromstring(svg(found))
    colours = [each.get("fill") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert colours[1:] == ["#64748b"] * 3 + ["#c2410c"] * 5


def test_a_core_that_nothing_interrupts_has_a_picture_too() -> None:
    assert len(text(QUIET)) == 1
    assert "0 gaps of 1 us and more" in svg(QUIET)
    assert text(replace(QUIET, histogram=(0,) * 64)) == []


@pytest.mark.parametrize(
    ("ns", "told"), [(0, "0 ns"), (999, "999 ns"), (1000, "1 us"), (2_048_000, "2.05 ms"), (3e9, "3 s")]
)
def test_a_duration_is_told_in_the_unit_that_fits(ns: float, told: str) -> None:
    assert duration(ns) == told
