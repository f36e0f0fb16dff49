"""What the clock service writes (`nanotape.capture.clock.journal`) is what recorders read, who may not import it."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.capture.clock import journal as written
from nanotape.capture.clock.nic_clocks import NicClockWatch
from nanotape.capture.clock.observation import SYSTEM
from nanotape.capture.clock.sample import Change, Sample, Severity, State, What
from nanotape.storage import clock_entries, clock_interfaces, clock_journal, events
from nanotape.storage.clock_entries import ClockChange, ClockSample
from nanotape.storage.clock_recording import clock_columns
from nanotape.storage.table_schemas import table_schema

T = 1_795_207_020_000_000_000
STAMPS = st.integers(0, 2**63 - 1)
NUMBERS = st.none() | st.integers(-(2**62), 2**62)
SMALL = st.none() | st.integers(-(2**31), 2**31 - 1)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)
SAMPLES = st.builds(
    Sample,
    at_ns=STAMPS,
    clock=st.sampled_from([SYSTEM, "ptp0"]),
    interface=TEXTS,
    state=st.sampled_from(get_args(State)),
    source=TEXTS,
    offset_ns=NUMBERS,
    path_delay_ns=NUMBERS,
    phc_sys_ns=NUMBERS,
    freq_ppb=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    grandmaster=TEXTS,
    gm_class=SMALL,
    domain=SMALL,
    steps_removed=SMALL,
    utc_offset_s=SMALL,
    utc_offset_source=TEXTS,
    error_ns=st.none() | st.integers(0, 2**61),
    method=TEXTS,
    growth_ppb=st.integers(0, 10**9),
)
CHANGES = st.builds(
    Change,
    at_ns=STAMPS,
    end_ns=st.none() | STAMPS,
    clock=st.sampled_from([SYSTEM, "ptp0"]),
    what=st.sampled_from(get_args(What)),
    severity=st.sampled_from(get_args(Severity)),
    detail=st.text(st.characters(codec="utf-8"), min_size=1),
)


@settings(deadline=None, max_examples=100)
@given(samples=st.lists(SAMPLES), changes=st.lists(CHANGES))
def test_each_field_of_each_entry_is_read_as_it_was_written(
    samples: list[Sample], changes: list[Change], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("clock")
    written.ClockJournal(folder).append(samples, changes)
    journal = clock_journal.ClockJournal(folder)
    news = journal.read()
    journal.rewind()
    assert [asdict(each) for each in news.samples] == [asdict(each) for each in samples]
    assert [asdict(each) for each in news.changes] == [asdict(each) for each in changes]
    assert journal.garbage_lines == 0


def test_entries_and_the_table_have_the_same_names() -> None:
    assert {field.name for field in fields(Sample)} == {field.name for field in fields(ClockSample)}
    assert {field.name for field in fields(Change)} == {field.name for field in fields(ClockChange)}
    columns = set(clock_columns([])) | {"host", "ring", "ring_id", "ring_seq"}
    assert columns == set(table_schema("clock").names)
    assert get_args(State) == clock_entries.STATES
    assert get_args(Severity) == get_args(events.Severity)
    assert (written.JOURNAL_NAME, written.OLD_JOURNAL_NAME) == (clock_journal.NAME, clock_journal.OLD_NAME)
    assert clock_entries.SYSTEM == SYSTEM
    assert written.STATE_NAME == clock_interfaces.STATE_NAME
    nics = NicClockWatch(["no-such-interface"])
    assert {"interface", "phc"} <= set(nics.as_json()[0])


def test_the_events_schema_names_every_change_that_there_is() -> None:
    note = table_schema("events").field("stage").metadata[b"meaning"].decode()
    assert [what for what in get_args(What) if what not in note.replace(",", " ").split()] == []


def test_rotation_by_the_service_is_followed(tmp_path: Path) -> None:
    writer, journal = written.ClockJournal(tmp_path, limit_bytes=2000), clock_journal.ClockJournal(tmp_path)
    found = []
    for second in range(60):
        change = Change(T + second, T + second, SYSTEM, "step", "info", "x")
        writer.append([], [change])
        if second % 7 < 4:
            found += [each.at_ns - T for each in journal.read().changes]
    found += [each.at_ns - T for each in journal.read().changes]
    journal.rewind()
    assert found == list(range(60))
    assert (tmp_path / written.OLD_JOURNAL_NAME).exists()


def test_a_line_that_a_full_disk_cut_short_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / written.JOURNAL_NAME).write_bytes(b'{"type": "sam')
    writer, journal = written.ClockJournal(tmp_path), clock_journal.ClockJournal(tmp_path)
    assert journal.read() == clock_journal.ClockNews()
    writer.append([], [Change(T, T, SYSTEM, "step", "info", "x")])
    assert len(journal.read().changes) == 1
    assert journal.garbage_lines == 1
    journal.rewind()
