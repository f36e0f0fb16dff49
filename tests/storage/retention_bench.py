"""Archives to delete from, a file system that is as full as the test says, and who deletes."""

from pathlib import Path

from recorder_bench import HandClock
from synthetic import RING_ID, SyntheticRing, ring_batch

from nanotape.storage.archive import Archive
from nanotape.storage.packets import PacketMapper
from nanotape.storage.retention import Retention, RetentionPolicy, Room
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter

MIB = 1 << 20
SECOND_NS = 10**9
NOON_NS = 1_795_176_000 * SECOND_NS  # 20 November 2026, 12:00 UTC
ROWS = 50


def write_segment(
    archive: Archive, first: int, opened_ns: int, ring: str = "demo", ring_id: str = RING_ID, live: bool = False
) -> str:
    """ROWS rows from a sequence on; returns the segment's path below the archive."""
    facts = SyntheticRing(name=ring, ring_id=ring_id)
    rows = PacketMapper(facts).map(ring_batch(first, ROWS))
    directory = archive.ring_directory(ring)
    writer = SegmentWriter(
        directory, rows.schema, SegmentIdentity(ring, ring_id, "box"), first, opened_ns, fsync=Fsync.NEVER
    )
    writer.write(rows)
    path = writer.path
    if live:
        writer.abandon()
    else:
        path = writer.close() or path
    return path.relative_to(archive.path).as_posix()


def write_segments(archive: Archive, count: int, **ring: str) -> list[str]:
    """Segments a minute apart, the last of them before noon."""
    return [
        write_segment(archive, 1 + ROWS * number, NOON_NS - (count - number) * 60 * SECOND_NS, **ring)
        for number in range(count)
    ]


class NoonClock(HandClock):
    """Shows noon."""

    def utc_ns(self) -> int:
        return NOON_NS + self.now_ns - 50 * SECOND_NS


class Bench:
    """Retention of an archive on a file system on which only packets take room."""

    def __init__(self, archive: Archive, policy: RetentionPolicy, *, free_bytes: int = 0, total_bytes: int = 0) -> None:
        self.archive, self.clock, self.lines = archive, NoonClock(), list[str]()
        self.total_bytes = total_bytes
        self._used = self._packets_bytes()
        self.free_bytes = free_bytes
        self.retention = Retention(archive, policy, self.clock, self.lines.append, self._room)

    def _room(self, _path: Path) -> Room:
        return Room(self.total_bytes, self.free_bytes + self._used - self._packets_bytes())

    def _packets_bytes(self) -> int:
        files = [*self.archive.path.glob("segments/*/*.arrow*"), *self.archive.path.glob("packets/*/*/*.parquet")]
        return sum(each.stat().st_blocks * 512 for each in files)

    def deleted(self) -> list[str]:
        return [each.path for each in self.retention.enforce()]


def segment_bytes(archive: Archive, path: str) -> int:
    """Of disk, with its sidecar."""
    whole = archive.path / path
    return sum(each.stat().st_blocks * 512 for each in (whole, whole.with_suffix(".arrow.sum")))
