"""What one segment shows to readers, found out without decoding it: complete, live, or of neither kind any more.

Of a live part file its sidecar's entries are visible, never a half-written message. Needs no native code.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage import sidecar
from nanotape.storage.errors import ArchiveError
from nanotape.storage.ipc_file import END_OF_STREAM
from nanotape.storage.recovery import check_part, has_right_tail
from nanotape.storage.segment_names import PART_SUFFIX, SEGMENT_SUFFIX, SIDECAR_SUFFIX
from nanotape.storage.sidecar import FIRST_MESSAGE_OFFSET, Sidecar
from nanotape.storage.table_schemas import table_schema

_WHOLE_MAX = 4096
_WHOLE: dict[tuple[tuple[int, ...], int], None] = {}
"""Files, as the system knows them, that were found to be whole up to an offset."""


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One visible segment, as it was when it was listed."""

    path: Path
    """NAME.arrow, or NAME.arrow.part."""
    ring: str
    ring_id: str
    """32 hexadecimal digits."""
    first_seq: int
    last_seq: int
    rows: int
    bytes: int
    """Size of a complete file; covered bytes of a live one."""
    complete: bool
    end: int
    """Where the last visible message ends."""
    table: str = "packets"
    cut: bool = False
    """Later messages are there, and not visible: they belong to packets that are not."""

    @property
    def name(self) -> str:
        """NAME: when it was opened, and its first ring sequence."""
        return self.path.name.partition(SEGMENT_SUFFIX)[0]

    @property
    def date(self) -> str:
        """The UTC day on which it was opened, YYYY-MM-DD."""
        return f"{self.name[:4]}-{self.name[4:6]}-{self.name[6:8]}"

    @property
    def key(self) -> str:
        """RING/NAME, as manifests call it."""
        return f"{self.ring}/{self.name}"


def segment_facts(
    directory: Path, ring: str, name: str, table: str = "packets", limits: Mapping[str, int] | None = None
) -> SegmentFacts | None:
    """Facts of one segment; None when nothing of it is visible.

    Args:
        directory: Where it lies.
        ring: Name of its ring.
        name: Of the segment, without a suffix.
        table: Whose rows it has.
        limits: By ring_id the last ring sequence that may be visible, 0 where none is given; None: no limit.

    Raises:
        ArchiveError: A segment or a sidecar that cannot be read.
    """
    finished, part = directory / (name + SEGMENT_SUFFIX), directory / (name + PART_SUFFIX)
    try:
        sums = sidecar.read(directory / (name + SIDECAR_SUFFIX))
    except OSError as error:
        if not finished.exists() and not part.exists():
            return None  # set aside
        raise ArchiveError(
            f"{finished}: its sidecar cannot be read: {error.strerror}; give this user the right to"
        ) from error
    # The part is looked for second: it turns into the finished file, never the other way round.
    for path in (finished, part, finished):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        complete = path == finished
        if complete and (sums is None or sums.damaged or not _covers(path, sums)):
            return _by_rows(path, ring, size, table)
        if sums is None or size < sums.end:
            return None
        return _by_sidecar(path, ring, sums, size, table, limits)
    return None


def _covers(path: Path, sums: Sidecar) -> bool:
    """Whether a sidecar goes up to the footer: of one whose last entry is torn only the file knows the last rows."""
    try:
        with path.open("rb") as file:
            file.seek(sums.end)
            return file.read(len(END_OF_STREAM)) == END_OF_STREAM
    except OSError:
        return True  # one that we may not read: by the sidecar alone


def _by_sidecar(
    path: Path, ring: str, sums: Sidecar, size: int, table: str, limits: Mapping[str, int] | None
) -> SegmentFacts | None:
    ring_id, complete = sums.ring_id.hex(), path.suffix == SEGMENT_SUFFIX
    kept = sums
    if limits is not None:
        limit = limits.get(ring_id, 0)
        allowed = next((at for at, entry in enumerate(sums.entries) if entry.rows and entry.last_seq > limit), None)
        kept = Sidecar(sums.ring_id, sums.entries[:allowed], sums.damaged)
    if kept.first_seq is None or kept.last_seq is None:
        return None
    cut = len(kept.entries) < len(sums.entries)
    covered = size if complete and not cut else kept.end
    return SegmentFacts(
        path, ring, ring_id, kept.first_seq, kept.last_seq, kept.rows, covered, complete, kept.end, table, cut
    )


def _by_rows(path: Path, ring: str, size: int, table: str) -> SegmentFacts | None:
    """Facts of a complete segment from its own rows."""
    try:
        options = ipc.IpcReadOptions(included_fields=[table_schema(table).get_field_index("ring_seq")])
        with pa.OSFile(str(path)) as file, ipc.open_file(file, options=options) as reader:
            columns = [
                batch.column(0) for batch in map(reader.get_batch, range(reader.num_record_batches)) if batch.num_rows
            ]
            ring_id = (reader.schema.metadata or {}).get(b"ring_id", b"").decode("ascii")
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise ArchiveError(f"{path}: a complete segment expected, found: {first_line(error)}; move it away") from error
    if not columns:
        return None
    rows, first, last = sum(map(len, columns)), columns[0][0].as_py(), columns[-1][-1].as_py()
    return SegmentFacts(path, ring, ring_id, first, last, rows, size, complete=True, end=size, table=table)


def read_segment(facts: SegmentFacts, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The visible rows of a segment, batch by batch.

    Args:
        facts: The segment.
        schema: The columns to read, in order; each as in the table's schema.

    Raises:
        ArchiveError: It cannot be read, or is damaged: Arrow would read it wrong and say nothing.
    """
    check_segment(facts)
    fields = table_schema(facts.table)
    options = ipc.IpcReadOptions(included_fields=[fields.get_field_index(name) for name in schema.names])
    try:
        with _open(facts) as file:
            if facts.complete and not facts.cut:
                with ipc.open_file(file, options=options) as reader:
                    for index in range(reader.num_record_batches):
                        yield arranged(reader.get_batch(index), schema)
            else:
                covered = file.get_stream(FIRST_MESSAGE_OFFSET, facts.end - FIRST_MESSAGE_OFFSET)
                with ipc.open_stream(covered, options=options) as stream:
                    for batch in stream:
                        yield arranged(batch, schema)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ArchiveError(f"{facts.path}: cannot be read: {first_line(error)}; see `nanotape verify`") from error


def check_segment(facts: SegmentFacts) -> None:
    """Compares the visible messages with their checksums; what was found to be whole once is not looked at again.

    Raises:
        ArchiveError: One is not what was written, with its offset; or the file cannot be read.
    """
    try:
        with present_path(facts).open("rb") as file:
            status = os.fstat(file.fileno())
            damage = _damage(file.fileno(), facts, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise ArchiveError(f"{facts.path}: cannot be read: {error.strerror}; see to it") from error
    if damage:
        raise ArchiveError(f"{facts.path}: damaged at {damage}; restore it from a copy, or move it away")


def _damage(fd: int, facts: SegmentFacts, file: tuple[int, ...]) -> str | None:
    if (file, facts.end) in _WHOLE:
        return None
    checked = check_part(facts.path, fd, facts.end if facts.cut or not facts.complete else None)
    if checked.damage is None and facts.complete and not facts.cut and not has_right_tail(fd, checked):
        return "the footer, which is not the one that belongs to the messages"
    if checked.damage is None:
        _WHOLE[file, facts.end] = None
        while len(_WHOLE) > _WHOLE_MAX:
            del _WHOLE[next(iter(_WHOLE))]
    return checked.damage


def present_path(facts: SegmentFacts) -> Path:
    """The file under the name that it has by now."""
    return facts.path if facts.complete or facts.path.exists() else facts.path.with_suffix("")


def arranged(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows with the columns in the order of `schema`."""
    return pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)


def first_line(error: BaseException) -> str:
    """What an error says, without the rest."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _open(facts: SegmentFacts) -> pa.NativeFile:
    """Opens the file under the name it has by now. A live one is not mapped: a page cut off would kill the process."""
    return pa.memory_map(str(facts.path), "r") if facts.complete else pa.OSFile(str(present_path(facts)), "r")
