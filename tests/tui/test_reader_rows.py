"""Readers and what a recorder writes: figures that agree with the counters, and nothing where nobody counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crafted_looks import MIB, NOW_NS, RECORDER, RING, SECOND_NS, SPACE, later, look, recorder
from crafted_segments import TOLD

from nanotape.capture.health import ring_health
from nanotape.capture.listing import RingFacts
from nanotape.tui.reader_rows import ReaderRow, WriteRate, on_one_disk, reader_rows, recording_row


def rows(second: RingFacts, first: RingFacts = RING) -> tuple[ReaderRow, ...]:
    earlier, newest = look(first), look(second, at_ns=NOW_NS + SECOND_NS)
    return reader_rows(ring_health(earlier, newest), earlier, newest)


def test_lag_is_told_in_bytes_in_time_and_against_the_ring() -> None:
    published = RING.published_bytes + 16 * MIB
    [row] = rows(replace(recorder(later(), lag_bytes=8 * MIB, lag_share=1 / 8), published_bytes=published))
    assert (row.lag_bytes, row.lag_share) == (8 * MIB, 1 / 8)
    assert row.lag_s == pytest.approx(0.5)
    assert row.holds_s == pytest.approx(56 / 16), "of 64 MiB 56 are left"
    assert row.lapped_in_s == pytest.approx(56 / 7), "it fell behind by 7 MiB in the second"
    assert (row.state, row.recorded, row.lost) == ("records", 900, 0)


def test_a_small_lag_is_the_beat_of_reading_and_says_nothing_of_being_lapped() -> None:
    published = RING.published_bytes + 16 * MIB
    facts = replace(recorder(later(), lag_bytes=4 * MIB, lag_share=1 / 16), published_bytes=published)
    [row] = rows(facts)
    assert row.lapped_in_s is None
    old_ns = NOW_NS - 9 * SECOND_NS
    [row] = rows(recorder(facts, updated_ns=old_ns), recorder(RING, updated_ns=old_ns))
    assert row.lapped_in_s == pytest.approx(60 / 3), "of one that stands still it says all"


def test_while_nothing_comes_the_lag_in_time_is_unknown_unless_there_is_none() -> None:
    quiet = replace(later(packets=0), published_bytes=RING.published_bytes)
    [row] = rows(quiet)
    assert row.lag_s is None
    [row] = rows(recorder(quiet, lag_bytes=0, lag_share=0.0))
    assert row.lag_s == 0.0


def test_recorders_come_first_and_a_plain_reader_records_nothing() -> None:
    plain = replace(RECORDER, name="a-tail", recorded=None, write_failures=None, written_bytes=None)
    found = rows(replace(later(), readers=(plain, *later().readers)))
    assert [(row.name, row.state, row.recorded) for row in found] == [
        ("recorder", "records", 900), ("a-tail", "reads", None)
    ]  # fmt: skip


def test_one_that_died_hangs_or_reads_another_ring_is_told_apart() -> None:
    assert [row.state for row in rows(recorder(later(), alive=False))] == ["died"]
    assert [row.state for row in rows(recorder(later(), current=False, lag_bytes=None, lag_share=None))] == ["earlier"]
    assert [row.state for row in rows(recorder(later(), updated_ns=NOW_NS - 9 * SECOND_NS), recorder(
        RING, updated_ns=NOW_NS - 9 * SECOND_NS))] == ["silent"]  # fmt: skip
    assert all(row.is_bad for row in rows(recorder(later(), alive=False)))
    assert not any(row.is_bad for row in rows(later()))


def test_what_a_recorder_tells_of_its_segments_is_shown_with_ages() -> None:
    earlier, newest = look(RING), look(later(), at_ns=NOW_NS + SECOND_NS)
    health = ring_health(earlier, newest)
    found = recording_row(health, health.readers[0], TOLD, 1e6, NOW_NS + SECOND_NS)
    assert (found.open_name, found.open_bytes, found.open_rows) == (TOLD.open_name, 5 * MIB, 900)
    assert (found.open_s, found.rotated_s, found.told_s) == (61.0, 61.0, 1.0)
    assert (found.ended, found.ratio, found.written_s, found.space) == (4, 4.0, 1e6, SPACE)


def test_what_it_does_not_tell_is_unknown_and_what_is_old_grows_no_more() -> None:
    health = ring_health(look(RING), look(later(), at_ns=NOW_NS + SECOND_NS))
    found = recording_row(health, health.readers[0], None, None, NOW_NS)
    assert (found.told_s, found.open_name, found.ended, found.ratio, found.rotated_s) == (None,) * 5
    assert found.written_s is None
    stale = recording_row(health, health.readers[0], TOLD, None, NOW_NS + 60 * SECOND_NS)
    assert (stale.open_name, stale.open_bytes, stale.open_s) == (None, None, None)
    assert stale.rotated_s == 120.0


def test_recorders_of_one_disk_fill_it_together_and_a_dead_one_does_not() -> None:
    health = ring_health(look(RING), look(later(), at_ns=NOW_NS + SECOND_NS))
    row = recording_row(health, health.readers[0], TOLD, SPACE.free_bytes / 100, NOW_NS)
    elsewhere = replace(row, space=replace(SPACE, path="/other"))
    dead = replace(row, is_alive=False)
    found = [each.full_in_s for each in on_one_disk([row, row, elsewhere, dead])]
    assert found == pytest.approx([50, 50, 100, 50])
    kept = replace(row, space=replace(SPACE, kept_bytes=1))
    assert [each.full_in_s for each in on_one_disk([kept])] == [None]


def test_the_write_rate_is_of_the_last_seconds_and_begins_anew_with_another_recorder() -> None:
    rate = WriteRate()
    assert rate.add(0, 0) is None
    for second in range(1, 11):
        for _ in range(10):  # looked at ten times a second, told once
            found = rate.add(second * SECOND_NS, second * 1000)
    assert found == 1000.0
    assert rate.add(11 * SECOND_NS, 50) is None
    assert rate.add(12 * SECOND_NS, 550) == 500.0
    assert rate.add(12 * SECOND_NS, None) is None
