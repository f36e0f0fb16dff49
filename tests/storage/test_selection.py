"""Which rows a selection shows, to SQL and to pyarrow alike; of events, what was going on then."""

import pyarrow as pa
import pytest
from recorder_bench import Bench, HandClock, recorded
from synthetic import FIRST_TS, SyntheticRing

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.named_queries import Options, build
from nanotape.storage.selection import Selection

SECOND_NS = 10**9


@pytest.fixture
def compacted(archive: Archive) -> Bench:
    """600 packets, of which 100 are lost; all that is known of them is in Parquet files."""
    ring = SyntheticRing(oldest=101, newest=600)
    bench = recorded(archive, ring)
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    return bench


def test_the_views_have_only_rows_of_the_time_asked_for(compacted: Bench) -> None:
    reader = open_archive(compacted.archive.path)
    bounds = {"start": FIRST_TS + 201, "end": FIRST_TS + 301}
    for sealed in (False, True):
        found = reader.sql("SELECT min(ring_seq), max(ring_seq) FROM packets", sealed=sealed, **bounds)  # type: ignore[arg-type]
        assert found.fetchall() == [(201, 300)]


def test_channels_are_in_force_after_their_stamp_and_not_before(compacted: Bench) -> None:
    reader = open_archive(compacted.archive.path)
    [begun] = set(reader.channels().column("ts_from").cast(pa.int64()).to_pylist())
    for bounds, flows in (({"start": begun + SECOND_NS}, 2), ({"end": begun + 1}, 2), ({"end": begun}, 0)):
        assert reader.channels(**bounds).num_rows == flows
        assert reader.sql("SELECT count(*) FROM channels", **bounds).fetchall() == [(flows,)]


def test_an_event_is_shown_from_its_beginning_to_its_end(compacted: Bench) -> None:
    rows = pa.table({"ts_start": [10, 10, 10], "ts_end": [20, None, 30]}).cast(
        pa.schema([("ts_start", pa.timestamp("ns", "UTC")), ("ts_end", pa.timestamp("ns", "UTC"))])
    )
    for start, end, shown in ((15, 40, 2), (10, 11, 3), (0, 10, 0), (21, None, 1), (31, None, 0)):
        wanted = Selection(start_ns=start, end_ns=end).expression("events")
        assert wanted is not None
        assert rows.filter(wanted).num_rows == shown
    reader = open_archive(compacted.archive.path)
    for event in reader.events().select(["ts_start", "ts_end"]).to_batches()[0].to_struct_array():
        begin = event["ts_start"].value
        last = event["ts_end"].value or begin
        for bounds in ({"start": last}, {"start": begin, "end": begin + 1}):
            counted = reader.sql(f"SELECT count(*) FROM events WHERE ns(ts_start) = {begin}", **bounds).fetchall()
            listed = reader.events(**bounds).column("ts_start").cast(pa.int64()).to_pylist()
            assert counted == [(listed.count(begin),)]
            assert counted != [(0,)]


def test_silent_names_what_was_configured_before_and_when_something_last_came(compacted: Bench) -> None:
    reader = open_archive(compacted.archive.path)
    heard = reader.sql(build("silent", Options(end="2030-01-01"))).to_arrow_table()
    assert heard.num_rows == 0
    silent = reader.sql(build("silent", Options(start="2030-01-01"))).to_arrow_table()
    assert silent.column("line").to_pylist() == ["A", "B"]
    assert silent.column("last_ever").null_count == 0


def test_gaps_of_a_channel_include_losses_that_are_of_no_channel(compacted: Bench) -> None:
    gaps = open_archive(compacted.archive.path).sql(build("gaps", Options(channel="itch-1"))).to_arrow_table()
    assert gaps.column("kind").to_pylist() == ["capture_loss"]
    assert gaps.column("packets_lost").cast(pa.int64()).to_pylist() == [100]
