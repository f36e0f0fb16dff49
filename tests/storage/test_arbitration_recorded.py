"""What a recorder wrote of a ring with known faults, arbitrated, split and audited."""

import pytest
from feed_ring import FeedReader, FeedRing, faults, feed_recorder, plan
from recorder_bench import HandClock

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.audit import audit
from nanotape.storage.compact import CompactOptions, compact

NEWEST = 9_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive.create(tmp_path_factory.mktemp("recorded") / "archive")
    for newest in (NEWEST // 2, NEWEST):
        ring = FeedRing(newest=newest)
        recorder = feed_recorder(ring, archive, FeedReader(ring))
        recorder.begin()
        while recorder.step():
            pass
        recorder.ring_gone = newest == NEWEST
        recorder.finish()
        if newest != NEWEST:
            compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    return archive


def test_arbitration_has_what_any_line_brought(recorded: Archive) -> None:
    a, b = (set(plan(line, NEWEST // 2).sequences) for line in "AB")
    found = open_archive(recorded.path).arbitrate("itch-1").statistics()
    assert found.messages == len(a | b)
    assert {each.line: each.only for each in found.lines} == {"A": len(a - b), "B": len(b - a)}
    everything = range(min(a | b), max(a | b) + 1)
    missing = sorted(set(everything) - (a | b))
    assert [each.seq_first for each in found.missing_ranges] == missing
    assert found.missing == len(missing) > 0


def test_each_packet_has_its_message(recorded: Archive) -> None:
    rows = open_archive(recorded.path).messages().read_all()
    assert rows.num_rows == NEWEST
    assert set(rows.column("message").to_pylist()) == {b"A"}
    came = sorted(zip(rows.column("line").to_pylist(), rows.column("feed_seq").to_pylist(), strict=True))
    assert came == sorted((line, seq) for line in "AB" for seq in plan(line, NEWEST // 2).sequences)


def test_the_audit_counts_each_fault(recorded: Archive) -> None:
    report = audit(open_archive(recorded.path))
    for sheet in report.feeds:
        mine = [fault for fault in faults(NEWEST) if fault[1] == sheet.line]
        gaps = [fault for fault in mine if fault[0] == "feed_gap"]
        assert sheet.gaps == sheet.missing_unknown == len(gaps), "each of one message"
        assert sheet.filled == sum(fault[3] is not None for fault in gaps)
        assert sheet.unfilled == sum(fault[3] is None for fault in gaps)
        assert sheet.duplicates == sum(fault[0] == "duplicate" for fault in mine)
        assert (sheet.bad, sheet.heartbeats, sheet.messages) == (0, 0, NEWEST // 2)
    assert not report.is_fine
