"""Verifies an archive: every file against its checksums, and every ring's sequences against each other.

What is missing has to be told: by `lost_before`, by an event, by retention, or as left out on purpose. Memory is
bounded: the sequences are compared by DuckDB, which spills.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nanotape.storage.archive import Archive, Visible
from nanotape.storage.connection import connect
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
    """Of these, deleted by retention."""
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
    deleted = deleted_rows(archive)
    first_losses: dict[str, int] = {}
    for ring_id, ring, first, last, rows, lost_first in connection.execute(_RINGS).fetchall():
        left_out = _left_out(connection.execute(_LEFT_OUT, [ring_id]).fetchone(), archive, ring)
        report.rings.append(
            RingReport(ring, ring_id, first, last, rows, deleted=deleted.get(ring_id, 0), left_out=left_out)
        )
        first_losses[ring_id] = lost_first
    rings = {each.ring_id: each for each in report.rings}
    holes: dict[str, list[str]] = {}
    cursor = connection.execute(_STEPS)
    while steps := cursor.fetchmany(10_000):
        for ring_id, before, after, lost in steps:
            ring = rings[ring_id]
            if after == before:
                yield f"ring {ring.ring} ({ring_id}): sequence {after} expected once, found twice"
                continue
            ring.missing += after - before - 1
            ring.lost += lost
            if lost > after - before - 1:
                yield (
                    f"ring {ring.ring} ({ring_id}): sequence {after} says that {lost} are lost before it, "
                    f"and {after - before - 1} are missing"
                )
            elif lost < after - before - 1 and len(holes.setdefault(ring_id, [])) < _NAMED_MAX:
                holes[ring_id].append(f"{before + 1} to {after - 1} ({lost} of them told)")
    told = dict(connection.execute(_TOLD).fetchall())
    for ring in report.rings:
        yield from _ring_findings(
            ring, holes.get(ring.ring_id, []), first_losses[ring.ring_id], told.get(ring.ring_id, 0)
        )


_LEFT_OUT = "SELECT max(value) FROM counters WHERE ring_id = ? AND stage = 'left_out'"
_TOLD = """
SELECT ring_id, sum(packets_lost)::BIGINT FROM events WHERE kind = 'capture_loss' AND ring_id IS NOT NULL GROUP BY 1
"""


def _ring_findings(ring: RingReport, holes: list[str], lost_first: int, told: int) -> Iterator[str]:
    name = f"ring {ring.ring} ({ring.ring_id})"
    if ring.unexplained:
        more = ", ..." if len(holes) == _NAMED_MAX else ""
        yield (
            f"{name}: {ring.unexplained} sequences between {ring.first_seq} and {ring.last_seq} are missing "
            f"and nothing says why: {', '.join(holes)}{more}"
        )
    lost = ring.lost + lost_first
    if not ring.deleted and told != lost:
        yield f"{name}: {lost} lost packets expected in events, as lost_before says, found {told}"


def deleted_rows(archive: Archive) -> dict[str, int]:
    """Rows that retention deleted, by ring_id.

    Raises:
        ArchiveError: A manifest cannot be read.
    """
    counts: dict[str, int] = {}
    for manifest in read_manifests(archive.path, "packets"):
        for gone in manifest.gone:
            for ring_id, held in gone.rings.items():
                counts[ring_id] = counts.get(ring_id, 0) + held.rows
    return counts


def _left_out(counted: tuple[int | None] | None, archive: Archive, ring: str) -> int | None:
    """None where packets of no channel were left out: recorders that were killed took the exact number with them."""
    has_mark = os.path.exists(archive.path / "segments" / ring / MARK_NAME)
    return None if has_mark or (counted and counted[0]) else 0
