"""What a ring says about the stamps of its sources, through the real loop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadline import wait_for
from ring_writer import GROUP_UNCHANGED, RingWriter, fault

from nanotape.capture.columns import TS_KINDS
from nanotape.capture.counters import STAMP_KINDS, SourceCounters, as_json
from nanotape.capture.listing import describe
from nanotape.capture.ring import Ring
from nanotape.native import ffi, lib

SECOND_NS = 10**9


class Loop:
    """The capture loop with one synthetic source, writing a ring in files."""

    def __init__(self, folder: Path, packets: int) -> None:
        options = ffi.new("struct nt_ring_options *")
        options.name, options.shm_directory = b"stamps", bytes(folder)
        options.capacity, options.group = 1 << 20, GROUP_UNCHANGED
        self._ring, problem, next_seq = ffi.new("struct nt_ring *"), fault(), ffi.new("uint64_t *")
        assert lib.nt_ring_attach_writer(self._ring, options, 0, next_seq, problem) == 0, ffi.string(problem.text)
        plan = ffi.new("struct nt_plan_source *")
        plan.kind, plan.interface = lib.NT_SOURCE_SYNTHETIC, b"made0"
        plan.synthetic_frame_bytes, plan.synthetic_count = 100, packets
        sources = ffi.new("struct nt_source *[1]")
        assert lib.nt_synthetic_open(sources, plan, ffi.NULL, 0, problem) == 0, ffi.string(problem.text)
        self._source = sources[0]
        loop, wishes = ffi.new("struct nt_loop **"), ffi.new("struct nt_loop_options *")
        wishes.core, wishes.sleep_idle = -1, True
        assert lib.nt_loop_create(loop, self._ring, next_seq[0], 0, sources, 1, wishes, problem) == 0
        self._loop = loop[0]

    def run(self) -> None:
        assert lib.nt_loop_start(self._loop, fault()) == 0
        wait_for(lambda: lib.nt_loop_ended(self._loop), "the end of the source")
        assert lib.nt_loop_stop(self._loop) == 0

    def close(self) -> None:
        lib.nt_loop_destroy(self._loop)
        lib.nt_source_close(self._source)
        lib.nt_ring_close(self._ring)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path, packets=100)
    yield made
    made.close()


def source_of(folder: Path) -> SourceCounters:
    with Ring.open(folder / "stamps.ring") as ring:
        return ring.sources()[0]


def kernels_tai_offset_ns() -> int:
    return round((time.clock_gettime_ns(time.CLOCK_TAI) - time.time_ns()) / SECOND_NS) * SECOND_NS


def test_the_kinds_of_stamps_are_those_of_the_column() -> None:
    assert tuple(STAMP_KINDS[index + 1] for index in range(len(TS_KINDS))) == TS_KINDS


def test_a_source_says_how_its_packets_are_stamped_before_the_first_and_after_the_last(
    loop: Loop, tmp_path: Path
) -> None:
    told = ("user", "tai", kernels_tai_offset_ns())
    found = source_of(tmp_path)
    assert (found.stamp_kind, found.stamp_domain, found.stamp_offset_ns) == told
    loop.run()
    found = source_of(tmp_path)
    assert found.loop.packets == 100
    assert (found.stamp_kind, found.stamp_domain, found.stamp_offset_ns) == told


def test_the_listing_of_rings_has_it_too(loop: Loop, tmp_path: Path) -> None:
    with Ring.open(tmp_path / "stamps.ring") as ring:
        (source,) = json.loads(json.dumps(as_json(describe(ring, tmp_path))))["sources"]
    assert (source["stamp_kind"], source["stamp_domain"]) == ("user", "tai")
    assert isinstance(source["stamp_offset_ns"], int)


def slot_with(writer: RingWriter, **fields: Any) -> SourceCounters:
    """A slot in which somebody wrote these fields, as it is read."""
    slot = ffi.new("uint32_t *")
    assert lib.nt_ring_source_slot(writer.handle, b"x", b"eth1", lib.NT_SOURCE_AFXDP, 0, slot, fault()) == 0
    for name, value in fields.items():
        setattr(writer.handle.sources[slot[0]], name, value)
    return Ring(writer.handle).sources()[0]


@pytest.mark.parametrize("domain", [lib.NT_CLOCK_FREE, lib.NT_CLOCK_UNKNOWN])
def test_a_clock_that_no_utc_can_be_made_of_has_no_offset(domain: int) -> None:
    found = slot_with(RingWriter.private(1 << 20), stamp_kind=1, stamp_domain=domain)
    assert (found.stamp_kind, found.stamp_offset_ns) == ("nic", None)
    assert found.stamp_domain == ("free" if domain else "unknown")


def test_an_older_writers_ring_says_that_nothing_is_known() -> None:
    found = slot_with(RingWriter.private(1 << 20))
    assert (found.stamp_kind, found.stamp_domain, found.stamp_offset_ns) == (None, "unknown", None)
