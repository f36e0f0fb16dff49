"""The one class that decides what of an archive is visible.

Complete segments are, and of a live part file what its sidecar covers: never a half-written file, never a row twice,
while a recorder goes on writing. Needs no native code and never writes, but for the folders that a recorder asks for.
"""

import contextlib
import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.ipc as ipc

from nanotape.storage import sidecar
from nanotape.storage.errors import ArchiveError
from nanotape.storage.recovery import check_complete
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment_names import NAME_PATTERN, PART_SUFFIX, SEGMENT_SUFFIX, SIDECAR_SUFFIX
from nanotape.storage.sidecar import FIRST_MESSAGE_OFFSET

if TYPE_CHECKING:
    import duckdb

RING_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


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


class Archive:
    """An archive, read while it grows: each call looks at the directory anew."""

    def __init__(self, path: Path | str) -> None:
        """Opens an existing archive.

        Raises:
            ArchiveError: There is no directory at `path`.
        """
        self.path = Path(path)
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing"
            raise ArchiveError(
                f"{self.path}: an archive directory expected, found {found}; give the directory that a recorder writes"
            )

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Opens an archive for a recorder; makes the directory if its parent exists.

        Raises:
            ArchiveError: The parent is missing, a file is in the way, or the directory may not be made.
        """
        path = Path(path)
        try:
            path.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise ArchiveError(f"{path}: its parent directory does not exist; make it, or correct the path") from None
        except FileExistsError:
            raise ArchiveError(f"{path}: an archive directory expected, found a file; choose another path") from None
        except OSError as error:
            raise ArchiveError(f"{path}: cannot make the directory: {error.strerror}; {_advice(error)}") from error
        return cls(path)

    def ring_directory(self, ring: str) -> Path:
        """ARCHIVE/segments/RING, made if need be.

        Raises:
            ArchiveError: It cannot be made, or `ring` is no name for a directory.
        """
        if not RING_NAME_PATTERN.fullmatch(ring):
            raise ArchiveError(f"ring name {ring!r}: letters, digits, '.', '_' and '-' expected, 63 at most")
        directory = self.path / "segments" / ring
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"{directory}: a directory expected, found a file in its place; move it away") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: cannot make the directory: {error.strerror}; {_advice(error)}") from error
        return directory

    def segments(self, ring: str | None = None) -> list[SegmentFacts]:
        """What is visible now, by ring, then ring_id in order of appearance, then sequence."""
        rings = [ring] if ring is not None else self._rings()
        return [facts for name in rings for facts in self._ring_segments(name)]

    def packets(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All visible packets, batch by batch in the order of `segments()`; memory stays at about one batch.

        Args:
            columns: Names to read; None: all, in the schema's order.

        Raises:
            ArchiveError: An unknown column, or a segment that cannot be read.
        """
        schema = _projected(columns)
        for facts in self.segments():
            yield from _read(facts, schema)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All visible packets in memory."""
        return pa.Table.from_batches(list(self.packets(columns)), schema=_projected(columns))

    def dataset(self) -> pds.Dataset:
        """The complete segments, without what is still being written."""
        return _complete_dataset(self.segments())

    def sql(self, query: str) -> "duckdb.DuckDBPyRelation":
        """Runs a query with DuckDB over a view `packets` of all that is visible now; UTC is its time zone.

        Rows of live part files are held in memory as long as the relation lives. DuckDB keeps a stamp's nanoseconds and
        zone, but `fetchall` returns Python's datetime, which ends at microseconds: take `.to_arrow_table()`.

        Raises:
            duckdb.Error: The query is wrong.
        """
        import duckdb

        segments = self.segments()
        live = [batch for facts in segments if not facts.complete for batch in _read(facts, packets_schema())]
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        with contextlib.suppress(duckdb.Error):  # without its time zone extension DuckDB knows no zone but UTC
            connection.execute("SET TimeZone = 'UTC'")
        connection.register("packets_complete", _complete_dataset(segments))
        connection.register("packets_live", pa.Table.from_batches(live, schema=packets_schema()))
        connection.execute("CREATE VIEW packets AS SELECT * FROM packets_complete UNION ALL SELECT * FROM packets_live")
        return connection.sql(query)

    def verify(self) -> list[str]:
        """Checks every message's checksum, every footer, and that no ring sequence is there twice.

        Returns:
            One line for each thing that is wrong.
        """
        findings: list[str] = []
        last: dict[tuple[str, str], SegmentFacts] = {}
        for facts in self.segments():
            if facts.complete and (damage := check_complete(facts.path)):
                findings.append(f"{facts.path}: {damage}")
            before = last.get((facts.ring, facts.ring_id))
            if before and facts.first_seq <= before.last_seq:
                findings.append(
                    f"{facts.path}: begins at ring sequence {facts.first_seq}, "
                    f"{before.path.name} ends at {before.last_seq}"
                )
            last[facts.ring, facts.ring_id] = facts
        return findings

    def _rings(self) -> list[str]:
        try:
            return sorted(entry.name for entry in (self.path / "segments").iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(f"{self.path / 'segments'}: cannot list: {error.strerror}; {_advice(error)}") from error

    def _ring_segments(self, ring: str) -> list[SegmentFacts]:
        directory = self.path / "segments" / ring
        try:
            # A renaming meanwhile may hide both names of a segment from the listing, but not its sidecar's.
            names = {entry.name.split(".arrow")[0] for entry in directory.iterdir() if ".arrow" in entry.name}
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(f"{directory}: cannot list: {error.strerror}; {_advice(error)}") from error
        found = [
            facts for name in sorted(names) if NAME_PATTERN.fullmatch(name) and (facts := _facts(directory, ring, name))
        ]
        appearance = {facts.ring_id: place for place, facts in reversed(list(enumerate(found)))}
        return sorted(found, key=lambda facts: (appearance[facts.ring_id], facts.first_seq))


def _facts(directory: Path, ring: str, name: str) -> SegmentFacts | None:
    """Facts of one segment; None when nothing of it is visible."""
    sums = sidecar.read(directory / (name + SIDECAR_SUFFIX))
    finished, part = directory / (name + SEGMENT_SUFFIX), directory / (name + PART_SUFFIX)
    # The part is looked for second: it turns into the finished file, never the other way round.
    for path in (finished, part, finished):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        complete = path == finished
        if complete and (sums is None or sums.damaged):
            return _facts_without_sidecar(path, ring, size)
        if sums is None or sums.first_seq is None or sums.last_seq is None or size < sums.end:
            return None
        return SegmentFacts(
            path,
            ring,
            sums.ring_id.hex(),
            sums.first_seq,
            sums.last_seq,
            sums.rows,
            size if complete else sums.end,
            complete,
            sums.end,
        )
    return None


def _facts_without_sidecar(path: Path, ring: str, size: int) -> SegmentFacts | None:
    """Facts of a complete segment from its own rows."""
    try:
        options = ipc.IpcReadOptions(included_fields=[packets_schema().get_field_index("ring_seq")])
        with pa.OSFile(str(path)) as file, ipc.open_file(file, options=options) as reader:
            columns = [
                batch.column(0) for batch in map(reader.get_batch, range(reader.num_record_batches)) if batch.num_rows
            ]
            ring_id = (reader.schema.metadata or {}).get(b"ring_id", b"").decode("ascii")
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise ArchiveError(f"{path}: a complete segment expected, found: {_first_line(error)}; move it away") from error
    if not columns:
        return None
    rows = sum(map(len, columns))
    return SegmentFacts(
        path, ring, ring_id, columns[0][0].as_py(), columns[-1][-1].as_py(), rows, size, complete=True, end=size
    )


def _read(facts: SegmentFacts, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    fields = packets_schema()
    options = ipc.IpcReadOptions(included_fields=[fields.get_field_index(name) for name in schema.names])
    try:
        with _open(facts) as file:
            if facts.complete:
                with ipc.open_file(file, options=options) as reader:
                    for index in range(reader.num_record_batches):
                        yield _arranged(reader.get_batch(index), schema)
            else:
                covered = file.get_stream(FIRST_MESSAGE_OFFSET, facts.end - FIRST_MESSAGE_OFFSET)
                with ipc.open_stream(covered, options=options) as stream:
                    for batch in stream:
                        yield _arranged(batch, schema)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ArchiveError(f"{facts.path}: cannot read: {_first_line(error)}; see Archive.verify") from error


def _open(facts: SegmentFacts) -> pa.NativeFile:
    """Opens the file under the name it has by now. A live one is not mapped: a page cut off would kill the process."""
    if facts.complete:
        return pa.memory_map(str(facts.path), "r")
    try:
        return pa.OSFile(str(facts.path), "r")
    except FileNotFoundError:
        return pa.OSFile(str(facts.path.with_suffix("")), "r")


def _arranged(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)


def _projected(columns: Sequence[str] | None) -> pa.Schema:
    schema = packets_schema()
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise ArchiveError(f"column {unknown[0]!r}: one of {', '.join(schema.names)} expected")
    return pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)


def _complete_dataset(segments: Sequence[SegmentFacts]) -> pds.Dataset:
    paths = [str(facts.path) for facts in segments if facts.complete]
    if not paths:
        return pds.dataset(packets_schema().empty_table())
    return pds.dataset(paths, schema=packets_schema(), format="ipc")


def _advice(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the file system is mounted read-only"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "give this user the right to write there, or choose another directory"
    return "see to it, or choose another directory"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
