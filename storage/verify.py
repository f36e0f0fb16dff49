"""Verifies an archive: every file against its checksums, and every ring's sequences against each other.

What is missing has to be told: by `lost_before`, by an event, by retention, or as left out on purpose. Memory is
bounded: the sequences are compared by DuckDB, which spills.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nanotape.storage.archive import Archive, Visible
from nanotape.storage.connection import connect
from nanotape.storage.deleted_ranges import DeletedRanges, deleted_ranges
from nanotape.storage.errors import StorageError
from nanotape.storage.manifest import day_folder, read_manifests
from nanotape.storage.parquet_facts import ParquetFacts
from nanotape.storage.parquet_writing import file_checksum
from nanotape.storage.recovery import check_complete
from nanotape.storage.segment_facts import SegmentFacts, check_segment, first_line
from nanotape.storage.settlement import MARK_NAME
from nanotape.storage.table_schemas import TABLES


@dataclass(slots=True)
class RingReport:
    """One ring's packets."""

    ring: str
    ring_id: str
    first_seq: int
    last_seq: int
    rows: int
    missing: int = 0
    """Sequences between first and last that are not there."""
    lost: int = 0
    """Of these, lost by us: the sum of `lost_before` of all rows but the first."""
    deleted: int = 0
    """Of these, deleted by retention, or lost by us and told in rows that were."""
    left_out: int | None = 0
    """Of these, of no channel and left out on purpose; None: some, it is not known how many."""

    @property
    def unexplained(self) -> int:
        """Of these, the rest; what was left out and not counted may hide some."""
        rest = self.missing - self.lost - self.deleted
        return 0 if self.left_out is None else max(0, rest - self.left_out)


@dataclass(slots=True)
class VerifyReport:
    """What was verified, and what is wrong."""

    files: int = 0
    bytes: int = 0
    rows: int = 0
    rings: list[RingReport] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """One line for each thing that is wrong: file, offset where there is one, what was expected and found."""


def verify(archive: Archive) -> VerifyReport:
    """Verifies all that is visible."""
    report = VerifyReport()
    visible: dict[str, Visible] = {}
    for table in TABLES:
        try:
            visible[table] = archive.visible(table)
        except StorageError as error:
            report.findings.append(str(error))
            if table == "packets":
                return report  # no other can be listed without them
    for found in visible.values():
        for facts in found.segments:
            _take(report, facts.bytes, facts.rows, _segment_finding(facts))
        for file in found.parquet:
            _take(report, file.entry.bytes, file.entry.rows, _parquet_finding(file))
    report.findings += _nameless(archive)
    if not report.findings:  # damaged files say nothing of sequences
        report.findings += _continuity(archive, visible, report)
    return report


def _take(report: VerifyReport, size: int, rows: int, finding: str | None) -> None:
    report.files += 1
    report.bytes += size
    report.rows += rows
    report.findings += [finding] if finding else []


def _segment_finding(facts: SegmentFacts) -> str | None:
    try:
        if not facts.complete or facts.cut:
            check_segment(facts)
            return None
        damage = check_complete(facts.path)
    except StorageError as error:
        return str(error)
    return f"{facts.path}: {damage}" if damage else None


def _parquet_finding(file: ParquetFacts) -> str | None:
    entry = file.entry
    try:
        size = file.path.stat().st_size
        if size != entry.bytes:
            return f"{file.path}: {entry.bytes} bytes expected, found {size}"
        found = file_checksum(file.path)
        if found != entry.crc32c:
            return f"{file.path}: crc32c {entry.crc32c} expected, found {found}"
        rows = pq.read_metadata(file.path).num_rows
    except FileNotFoundError:
        return f"{file.path}: a file expected, since its day's manifest names it, found none"
    except (OSError, pa.ArrowException) as error:
        return f"{file.path}: cannot be read: {first_line(error)}"
    return None if rows == entry.rows else f"{file.path}: {entry.rows} rows expected, found {rows}"


def _nameless(archive: Archive) -> Iterator[str]:
    """Parquet files that no manifest knows: nobody sees their rows, unless through a glob, and then too often."""
    for table in TABLES:
        known = set[Path]()
        for manifest in read_manifests(archive.path, table):
            folder = day_folder(archive.path, table, manifest.date)
            known |= {folder / each.path for each in manifest.files}
            known |= {archive.path / each.path for each in manifest.retired}
            known |= {archive.path / each.path for each in manifest.gone}
        for path in sorted((archive.path / table).glob("date=*/**/*.parquet")):
            if path not in known:
                yield f"{path}: expected to be named by its day's manifest, found in none; move it away"


_STEPS = """
WITH ordered AS (
    SELECT ring_id, ring, ring_seq, lost_before,
        lag(ring_seq) OVER (PARTITION BY ring_id ORDER BY ring_seq) AS before FROM packets)
SELECT ring_id, before, ring_seq, lost_before FROM ordered
WHERE before IS NOT NULL AND (ring_seq - before <> 1 OR lost_before > 0) ORDER BY ALL
"""
_RINGS = """
SELECT ring_id, any_value(ring), min(ring_seq), max(ring_seq), count(*), arg_min(lost_before, ring_seq)
FROM packets GROUP BY ring_id ORDER BY ring_id
"""
_NAMED_MAX = 20


def _continuity(archive: Archive, visible: dict[str, Visible], report: VerifyReport) -> Iterator[str]:
    connection = connect({table: [visible[table]] for table in ("packets", "events", "counters")})
    losses = connection.sql(_TOLD).to_arrow_table()
    deleted = deleted_ranges(archive)
    first_losses: dict[str, int] = {}
    for ring_id, ring, first, last, rows, lost_first in connection.execute(_RINGS).fetchall():
        left_out = _left_out(connection.execute(_LEFT_OUT, [ring_id]).fetchone(), archive, ring)
        report.rings.append(RingReport(ring, ring_id, first, last, rows, left_out=left_out))
        first_losses[ring_id] = lost_first
    rings = {each.ring_id: each for each in report.rings}
    told = {ring_id: ToldLosses(losses.filter(pc.field("ring_id") == ring_id)) for ring_id in rings}
    holes: dict[str, list[str]] = {}
    cursor = connection.execute(_STEPS)
    while steps := cursor.fetchmany(10_000):
        for ring_id, before, after, lost in steps:
            ring = rings[ring_id]
            if after == before:
                yield f"ring {ring.ring} ({ring_id}): sequence {after} expected once, found twice"
                continue
            missing = after - before - 1
            gone = _gone(before + 1, after - 1, lost, deleted.get(ring_id), told[ring_id])
            ring.missing += missing
            ring.lost += lost
            ring.deleted += gone
            if lost > missing:
                yield (
                    f"ring {ring.ring} ({ring_id}): sequence {after} says that {lost} are lost before it, "
                    f"and {missing} are missing"
                )
            elif lost + gone < missing and len(holes.setdefault(ring_id, [])) < _NAMED_MAX:
                holes[ring_id].append(f"{before + 1} to {after - 1} ({lost + gone} of them told)")
    for ring in report.rings:
        packets = None if ring.ring_id in deleted else told[ring.ring_id].packets
        yield from _ring_findings(ring, holes.get(ring.ring_id, []), first_losses[ring.ring_id], packets)


def _gone(first_seq: int, last_seq: int, lost: int, deleted: DeletedRanges | None, told: "ToldLosses") -> int:
    """Of the sequences of a hole that the row after it does not call lost, those that retention explains."""
    rows = deleted.rows_within(first_seq, last_seq) if deleted and first_seq <= last_seq else 0
    if not rows:
        return 0
    lost_among = max(0, told.within(first_seq, last_seq) - lost)  # rows that said so are deleted too
    return max(0, min(rows + lost_among, last_seq - first_seq + 1 - lost))


class ToldLosses:
    """Losses of a ring, as events tell."""

    def __init__(self, rows: pa.Table) -> None:
        """Takes seq_last and packets of each, in the order of the sequences."""
        self._ends = rows.column("seq_last").to_numpy()
        self._sums = np.cumsum(np.append(0, rows.column("packets").to_numpy()))

    @property
    def packets(self) -> int:
        """Of all."""
        return int(self._sums[-1])

    def within(self, first_seq: int, last_seq: int) -> int:
        """Packets of losses that end among these sequences."""
        first, last = np.searchsorted(self._ends, (first_seq, last_seq + 1))
        return int(self._sums[last] - self._sums[first])


_LEFT_OUT = "SELECT max(value) FROM counters WHERE ring_id = ? AND stage = 'left_out'"
_TOLD = """
SELECT ring_id, coalesce(seq_last, 0) AS seq_last, coalesce(packets_lost, 0) AS packets FROM events
WHERE kind = 'capture_loss' AND ring_id IS NOT NULL ORDER BY ALL
"""


def _ring_findings(ring: RingReport, holes: list[str], lost_first: int, told: int | None) -> Iterator[str]:
    """`told`: packets lost by the events; None: rows that said the same may be deleted."""
    name = f"ring {ring.ring} ({ring.ring_id})"
    if ring.unexplained:
        more = ", ..." if len(holes) == _NAMED_MAX else ""
        yield (
            f"{name}: {ring.unexplained} sequences between {ring.first_seq} and {ring.last_seq} are missing "
            f"and nothing says why: {', '.join(holes)}{more}"
        )
    lost = ring.lost + lost_first
    if told is not None and told != lost:
        yield f"{name}: {lost} lost packets expected in events, as lost_before says, found {told}"


def _left_out(counted: tuple[int | None] | None, archive: Archive, ring: str) -> int | None:
    """None where packets of no channel were left out: recorders that were killed took the exact number with them."""
    has_mark = os.path.exists(archive.path / "segments" / ring / MARK_NAME)
    return None if has_mark or (counted and counted[0]) else 0
