"""What an audit, a report and coverage make of the events of feeds."""

import json

import pyarrow as pa
from command_line import call
from feed_archive import (
    BEGIN_NS,
    HOST,
    RING,
    RING_ID,
    FeedFlow,
    FeedPacket,
    write_channels,
    write_events,
    write_packets,
)

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.audit import audit
from nanotape.storage.audit_sheets import AuditReport
from nanotape.storage.audit_text import audit_lines
from nanotape.storage.events import Cause, Event
from nanotape.storage.report import day_report
from nanotape.storage.selection import Selection

MINUTE_NS = 60 * 10**9


def told(kind: str, line: str, seq: int, messages: int | None = None, at_ns: int = 0, **more: object) -> Event:
    """An event as the recorder tells it."""
    facts: dict[str, object] = {"severity": "error" if kind == "feed_gap" else "info", **more}
    return Event(
        kind, BEGIN_NS + at_ns, BEGIN_NS + at_ns + 5, host=HOST, ring=RING, ring_id=RING_ID, ring_seq=1, feed="itch",
        channel="itch-1", line=line, seq_kind="feed", seq_first=seq, seq_last=seq + (messages or 1) - 1,
        messages_lost=messages, **facts,  # type: ignore[arg-type]
    )  # fmt: skip


def gap(line: str, seq: int, messages: int | None, cause: Cause, filled_by: str | None = None, **more: object) -> Event:
    return told("feed_gap", line, seq, messages, cause=cause, filled_by=filled_by, **more)


def with_events(archive: Archive, *events: Event) -> AuditReport:
    packets = [FeedPacket(at, "A", at, 2) for at in range(1, 40, 2)]
    packets += [FeedPacket(at, "B", at) for at in range(1, 40)]
    packets += [FeedPacket(50, "A", 41, 0, "heartbeat"), FeedPacket(51, "B", None, None, "bad")]
    write_packets(archive, packets)
    write_channels(archive, [FeedFlow(1, "itch-1", "A", "moldudp64"), FeedFlow(2, "itch-1", "B", "moldudp64")])
    if events:
        write_events(archive, events)
    return audit(open_archive(archive.path))


def test_gaps_are_counted_in_messages_by_cause_and_by_who_had_them(archive: Archive) -> None:
    report = with_events(
        archive,
        gap("A", 100, 3, "ours", "B", stage="rx_dropped", packets_lost=2),
        gap("A", 110, 5, "upstream"),
        gap("A", 120, 7, "upstream", "B"),
        told("duplicate", "A", 7), told("duplicate", "A", 9), told("reorder", "A", 11),
        told("reorder", "A", 100, severity="warning"), told("feed_reset", "B", 1, severity="warning"),
    )  # fmt: skip
    a, b = report.feeds
    assert (a.line, a.messages, a.heartbeats, a.bad, a.gaps) == ("A", 40, 1, 0, 3)
    assert (a.missing_ours, a.missing_upstream, a.missing_unknown, a.filled, a.unfilled) == (3, 12, 0, 10, 5)
    assert (a.duplicates, a.reorders, a.late, a.resets) == (2, 1, 1, 0)
    assert (b.messages, b.heartbeats, b.bad, b.gaps, b.unfilled, b.resets) == (39, 0, 1, 0, 0, 1)
    assert [(each.cause, each.stage, each.filled_by, each.packets) for each in report.gaps] == [
        ("ours", "rx_dropped", "B", 2), ("upstream", None, "B", None), ("upstream", None, None, None),
    ]  # fmt: skip


def test_what_the_other_line_had_and_what_was_lost_before_us_is_told_and_is_not_wrong(archive: Archive) -> None:
    report = with_events(archive, gap("A", 100, 3, "ours", "B", stage="rx_dropped"), gap("A", 110, 5, "upstream"))
    assert report.is_fine
    lines = list(audit_lines(report))
    assert "missing: itch-1 A: 3 messages in 1 gaps, ours, rx_dropped; line B had them" in lines
    assert "missing: itch-1 A: 5 messages in 1 gaps, upstream, before us; no other line had them" in lines
    assert lines[-1] == "balanced; nothing lost by us"


def test_what_we_lost_and_nobody_had_is_wrong_and_so_is_what_nobody_can_blame(archive: Archive) -> None:
    report = with_events(archive, gap("A", 100, 3, "unknown"), gap("B", 100, None, "ours", stage="not_running"))
    assert not report.is_fine
    assert [each.unfilled for each in report.feeds] == [3, None]
    assert sum(line.startswith("MISSING") for line in audit_lines(report)) == 2
    assert "in 2 gaps that may be ours" in list(audit_lines(report))[-1]


def test_the_verb_says_it_by_its_status_and_as_json(archive: Archive) -> None:
    with_events(archive, gap("A", 100, 3, "unknown"))
    status, output, _ = call("audit", archive.path, "--json")
    assert status == 1
    facts = json.loads(output)
    assert facts["fine"] is False
    assert [(each["line"], each["unfilled"]) for each in facts["feeds"]] == [("A", 3), ("B", 0)]
    assert facts["gaps"][0]["cause"] == "unknown"


def test_a_time_without_gaps_has_none(archive: Archive) -> None:
    with_events(archive, gap("A", 100, 3, "unknown"))
    later = audit(open_archive(archive.path), Selection.of(start=BEGIN_NS + 10))
    assert later.gaps == []
    assert [each.unfilled for each in later.feeds] == [0, 0]


def test_channels_that_are_not_decoded_are_on_no_sheet(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(1, "A", None, None, None)])
    assert audit(open_archive(archive.path)).feeds == []


def test_coverage_tells_a_gap_that_nobody_can_blame_from_one_before_us(archive: Archive) -> None:
    with_events(
        archive,
        gap("A", 100, 3, "unknown"), gap("A", 110, 4, "unknown", "B"), gap("B", 100, 3, "upstream"),
    )  # fmt: skip
    rows = open_archive(archive.path).coverage(start=BEGIN_NS, end=BEGIN_NS + 2 * MINUTE_NS)
    rows = rows.set_column(0, "ts", rows.column("ts").cast(pa.int64()))
    names = ("line", "state", "messages_missing", "messages_filled")
    found = [tuple(row[name] for name in names) for row in rows.to_pylist()]
    assert found[:2] == [("A", "gap_unknown", 3, 4), ("B", "gap_upstream", 3, 0)]
    assert [each[2:] for each in found[2:]] == [(0, 0), (0, 0)]


def test_a_days_report_has_the_feeds_and_leaves_out_what_is_ordinary(archive: Archive) -> None:
    with_events(archive, gap("A", 100, 3, "unknown"), told("duplicate", "A", 7), told("reorder", "A", 8))
    report = day_report(open_archive(archive.path), "2026-10-14")
    assert [each["kind"] for each in report.events] == ["feed_gap"]
    assert report.event_counts["duplicate"] == 1
    assert [each.unfilled for each in report.sheet.feeds] == [3, 0]
