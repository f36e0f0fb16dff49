"""The conservation sheet of an archive: every packet accounted for by stage, from the table `counters`, and by rows.

Counters are read as they stand at the last reading of the range, less those at its first: recorders that begin anew in
between add up. What does not fit is unexplained, never rounded away; what nobody can know is None.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nanotape.storage import audit_feeds
from nanotape.storage.audit_feeds import GapSheet
from nanotape.storage.audit_sheets import AuditReport, ChannelSheet, RecorderSheet, RingLoss, SourceSheet
from nanotape.storage.audit_stamps import STAMPS, StampSheet
from nanotape.storage.deleted_ranges import deleted_ranges
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.selection import Selection

_LAST_SEQ = 2**63 - 1
_COUNTED_IN_RECORDER = ("recorded", "left_out", "overrun", "write_failures")


def audit(reader: ArchiveReader, selection: Selection | None = None) -> AuditReport:
    """The sheet of a range of time.

    Args:
        reader: The archives.
        selection: The range; packets are taken by their stamps, counters by when they were read. None: all.

    Raises:
        ArchiveError: A file cannot be read.
    """
    selection = selection or Selection()
    connection = reader.connect(("packets", "events", "counters"))
    connection.register("read", reader.select("counters", selection).read_all())
    connection.execute(_READINGS)
    where, of_events = _where(selection, "ts"), _where(selection, "ts_start")

    def rows(sql: str) -> list[dict[str, Any]]:
        filled = sql.format(where=where, of_events=of_events, recorder=_OF_RECORDER)
        found: list[dict[str, Any]] = connection.sql(filled).to_arrow_table().to_pylist()
        return found

    is_all = selection == Selection()
    since = rows(_ROWS) if is_all else []
    held = {row["ring_id"]: (row["rows"], row["lost"]) for row in since} if is_all else None
    begins = {row["ring_id"]: row["begin_seq"] for row in since}
    gaps = [GapSheet(**row) for row in rows(audit_feeds.GAPS)]
    return AuditReport(
        sources=_sources(rows(_SOURCES), is_all),
        recorders=_recorders(rows(_RUNS), held, _deleted(reader, begins)),
        losses=[RingLoss(**row) for row in rows(_LOSSES)],
        channels=[ChannelSheet(**row) for row in rows(_CHANNELS)],
        feeds=audit_feeds.feed_sheets(rows(audit_feeds.PACKETS), rows(audit_feeds.EVENTS), gaps),
        gaps=gaps,
        stamps=[StampSheet(**row) for row in rows(STAMPS)],
    )


def _deleted(reader: ArchiveReader, begins: Mapping[str, int | None]) -> dict[str, int]:
    """Rows that retention deleted, by ring_id, from these sequences on."""
    counts: Counter[str] = Counter()
    for archive in reader.archives:
        found = deleted_ranges(archive)
        counts.update(
            {ring_id: found[ring_id].rows_within(begins[ring_id] or 1, _LAST_SEQ) for ring_id in found.keys() & begins}
        )
    return counts


def _where(selection: Selection, stamp: str) -> str:
    parts = []
    if selection.start_ns is not None:
        parts.append(f"{stamp} >= instant({selection.start_ns})")
    if selection.end_ns is not None:
        parts.append(f"{stamp} < instant({selection.end_ns})")
    return " AND ".join(parts) or "true"


# Readings in order: those of one moment have one place. Of one stamp the start comes first, and the stop last.
_READINGS = """
CREATE TEMP TABLE readings AS SELECT *, dense_rank() OVER (PARTITION BY ring_id ORDER BY ts,
    CASE occasion WHEN 'start' THEN 0 WHEN 'stop' THEN 2 ELSE 1 END) AS place FROM read
"""
# Of each counter its last reading, the one before, and, where an earlier recorder of the ring wrote it, the first.
_OF_RECORDER = "stage IN ('begin_seq', 'newest_seq', 'recorded', 'left_out', 'overrun', 'write_failures', 'backlog')"
_SOURCES = """
WITH numbered AS (
    SELECT host, ring, ring_id, source, interface, stage, value,
        row_number() OVER (PARTITION BY ring_id, source, interface, stage ORDER BY place DESC) AS back,
        row_number() OVER (PARTITION BY ring_id, source, interface, stage ORDER BY place) AS forth
    FROM readings WHERE NOT {recorder})
SELECT host, ring, ring_id, source, interface, stage,
    max(value) FILTER (back = 1) AS last, max(value) FILTER (back = 2) AS before, max(value) FILTER (forth = 1) AS first
FROM numbered WHERE back <= 2 OR forth = 1 GROUP BY ALL ORDER BY ALL
"""


def _sources(rows: list[dict[str, Any]], is_all: bool) -> list[SourceSheet]:
    """`is_all`: from the making of the ring on, when all its counters were nought."""
    found: dict[tuple[Any, ...], dict[str, tuple[int | None, int | None, int | None]]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("host", "ring", "ring_id", "source", "interface"))
        found.setdefault(key, {})[row["stage"]] = (row["first"], row["before"], row["last"])
    sheets = []
    for key, stages in found.items():
        counts = {stage: _grown(stage, None if is_all else first, last) for stage, (first, _, last) in stages.items()}
        moving = [stage for stage in ("offered", "redirected", "in_ring") if stage in stages]
        is_exact = all(stages[stage][1] in (None, stages[stage][2]) for stage in moving)
        host, ring, ring_id, source, interface = key
        sheets.append(SourceSheet(host, ring, ring_id, source, interface, counts, is_exact))
    return sheets


def _grown(stage: str, first: int | None, last: int | None) -> int | None:
    """What was counted in the range; what waits is not counted but there."""
    if last is None:
        return None
    return last if stage == "waiting" or first is None else last - first


# A recorder's counts begin with it: each run by its first and its last reading in the range.
_RUNS = """
WITH marked AS (
    SELECT *, sum((occasion = 'start' AND stage = 'begin_seq')::INT) OVER (
        PARTITION BY ring_id, source ORDER BY place RANGE UNBOUNDED PRECEDING) AS run
    FROM readings WHERE {recorder})
SELECT host, ring, ring_id, run::BIGINT AS run, stage, arg_max(value, place) AS last, arg_min(value, place) AS first,
    arg_min(occasion, place) AS occasion, arg_max(occasion, place) AS ending
FROM marked GROUP BY ALL ORDER BY ring_id, run
"""
# What was recorded before anybody wrote counters is on no sheet.
_ROWS = """
WITH begins AS (SELECT ring_id, min(value) AS begin_seq FROM readings WHERE stage = 'begin_seq' GROUP BY 1),
held AS (SELECT ring_id, count(*) AS rows FROM packets JOIN begins USING (ring_id)
    WHERE ring_seq >= begin_seq GROUP BY 1),
told AS (SELECT ring_id, sum(packets_lost)::BIGINT AS lost FROM events JOIN begins USING (ring_id)
    WHERE kind = 'capture_loss' AND seq_last >= begin_seq GROUP BY 1)
SELECT ring_id, begin_seq, coalesce(rows, 0) AS rows, coalesce(lost, 0) AS lost
FROM begins LEFT JOIN held USING (ring_id) LEFT JOIN told USING (ring_id)
"""


@dataclass(slots=True)
class _Run:
    """One recorder, as far as it is in the range."""

    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    is_whole: bool = True
    """It began in the range."""
    has_ended: bool = False
    """It ended in order in the range."""

    def grown(self, stage: str) -> int:
        """What was counted in the range."""
        return self.last.get(stage, 0) - (0 if self.is_whole else self.first.get(stage, 0))

    @property
    def done(self) -> int:
        return sum(self.grown(stage) for stage in _COUNTED_IN_RECORDER)

    @property
    def begin_seq(self) -> int | None:
        """First sequence to be dealt with in the range."""
        if self.is_whole:
            return self.last.get("begin_seq")
        newest, backlog = self.first.get("newest_seq"), self.first.get("backlog")
        return None if newest is None or backlog is None else newest + 1 - backlog


def _recorders(
    rows: list[dict[str, Any]], held: Mapping[str, tuple[int, int]] | None, deleted: Mapping[str, int]
) -> list[RecorderSheet]:
    """`held`: by ring_id, rows in the archive and losses that are told."""
    runs: dict[tuple[str, str, str], dict[int, _Run]] = {}
    for row in rows:
        run = runs.setdefault((row["host"], row["ring"], row["ring_id"]), {}).setdefault(row["run"], _Run())
        run.is_whole, run.has_ended = row["occasion"] == "start", row["ending"] == "stop"
        for each, values in ((run.first, row["first"]), (run.last, row["last"])):
            if values is not None:
                each[row["stage"]] = values
    sheets = []
    for key, by_run in runs.items():
        in_order = [by_run[number] for number in sorted(by_run) if by_run[number].begin_seq is not None]
        counted = {stage: sum(run.grown(stage) for run in in_order) for stage in _COUNTED_IN_RECORDER}
        begins = [run.begin_seq or 0 for run in in_order]
        in_ring = in_order[-1].last.get("newest_seq", 0) - begins[0] + 1 if in_order else None
        uncounted = [begins[at + 1] - begins[at] - run.done for at, run in enumerate(in_order[:-1])]
        there, told = held.get(key[2], (0, 0)) if held is not None else (None, 0)
        sheets.append(
            RecorderSheet(
                *key,
                len(in_order),
                in_ring,
                counted["recorded"],
                counted["left_out"],
                counted["overrun"],
                counted["write_failures"],
                in_order[-1].last.get("backlog") if in_order else None,
                sum(max(0, count) for count in uncounted),
                sum(max(0, -count) for count in uncounted),
                there,
                told,
                deleted.get(key[2], 0),
                has_ended=bool(in_order) and in_order[-1].has_ended,
            )
        )
    return sheets


_LOSSES = """
SELECT coalesce(ring, '') AS ring, coalesce(ring_id, '') AS ring_id, stage, count(*) AS events,
    coalesce(sum(packets_lost), 0)::BIGINT AS packets
FROM events WHERE kind = 'capture_loss' AND {of_events} GROUP BY ALL ORDER BY ALL
"""
_CHANNELS = """
SELECT host, feed, channel, line, min(ns(ts)) AS first_ns, max(ns(ts)) AS last_ns, count(*) AS packets,
    sum(wire_len)::BIGINT AS bytes, count(DISTINCT ns(ts) // 1000000000) AS seconds
FROM packets WHERE {where} GROUP BY ALL ORDER BY host, feed, channel, line
"""
