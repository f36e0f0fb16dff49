"""Makes Parquet files of one piece of work, checks them against what they were made from, and puts them in force.

Until the manifest is committed nothing has changed for any reader; after it nothing is left to do but to tidy up.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive
from nanotape.storage.compact_plan import LARGE_BYTES, Piece
from nanotape.storage.errors import CompactionError
from nanotape.storage.file_writes import sync_directory
from nanotape.storage.manifest import PART_SUFFIX, FileEntry, Retired, day_folder, edit_manifest
from nanotape.storage.parquet_facts import open_parquet, read_parquet
from nanotape.storage.parquet_writing import STAMP_OF, TableFile, WrittenFile
from nanotape.storage.rows_hash import RowsHash, total
from nanotape.storage.segment_facts import arranged, first_line, read_segment
from nanotape.storage.segment_names import opened_ns
from nanotape.storage.sorted_runs import SortKey, block_rows, groups_of, merge, sorted_batches
from nanotape.storage.table_schemas import table_schema

SORTED_BY = {
    "packets": ("feed", "channel"),
    "events": (),
    "stats": ("channel", "line"),
    "counters": ("source", "stage"),
    "channels": (),
    "clock": ("clock",),
}
"""Before the stamp. Packets of all lines of a channel stay together: what comes on A and B costs the disk once."""
NO_FEED = "other"
"""Folder of packets of no feed."""
WITHIN = {"packets": ("line",)}
SLICE_NS = 10_000_000
"""Packets of a channel are sorted by slices of so much time, by line within each, and by stamp within that: what comes
on A and B is then the same for long stretches near each other, which costs the disk once (docs/compaction.md)."""
_BUFFER_BYTES = 64 << 10
_HASHED_BYTES = 4 << 20

Done = Callable[[int], None]
"""Takes the number of rows that were read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece."""

    paths: tuple[Path, ...]
    """The new files."""
    rows: int
    bytes: int


class PieceWriter:
    """Compacts one piece."""

    def __init__(self, archive: Archive, piece: Piece, work: Path, level: int, budget_bytes: int, done: Done) -> None:
        """Touches nothing yet.

        Args:
            archive: Where.
            piece: What.
            work: A folder for what does not fit into memory.
            level: Of zstd.
            budget_bytes: Memory for rows: several times as much is used in all.
            done: Told of progress.
        """
        self._archive, self._piece, self._work, self._level = archive, piece, work, level
        self._budget_bytes, self._done = budget_bytes, done
        self._schema = table_schema(piece.table)
        self._read = RowsHash(self._schema)
        self._files: list[TableFile] = []
        self._is_committed = False

    def run(self, now_ns: int) -> Outcome | None:
        """Does it.

        Args:
            now_ns: UTC.

        Returns:
            The files that are visible now; None: an input is gone meanwhile, and nothing has changed.

        Raises:
            ArchiveError: An input cannot be read.
            CompactionError: What was written is not what was read; nothing has changed.
            OSError: The system refused; nothing has changed.
        """
        try:
            entries = self._checked(self._write(), now_ns)
            return self._commit(entries, now_ns)
        finally:
            if not self._is_committed:
                for file in self._files:
                    file.abandon()

    def _write(self) -> list[WrittenFile]:
        table = self._piece.table
        key = SortKey(SORTED_BY[table], STAMP_OF[table], WITHIN.get(table, ()), SLICE_NS)
        written: list[WrittenFile] = []
        file: TableFile | None = None
        folder = None
        for rows in self._sorted(key):
            for feed, part in self._by_folder(rows):
                if file is None or feed != folder or file.size_bytes >= LARGE_BYTES:
                    if file is not None:
                        written.append(file.close())
                    file, folder = self._new_file(feed), feed
                file.write(part)
        if file is not None:
            written.append(file.close())
        return written

    def _sorted(self, key: SortKey) -> Iterator[pa.Table]:
        if self._piece.segments:
            return sorted_batches(self._rows(), key, self._work, self._budget_bytes)
        groups = set()
        names = pa.schema([self._schema.field(name) for name in key.texts])
        for each in self._piece.parquet if key.texts else ():
            for batch in read_parquet(each, names):
                groups |= set(groups_of(pa.Table.from_batches([batch]), key))
        runs = [
            self._noted(read_parquet(each, self._schema, self._block_rows(each.path), _BUFFER_BYTES))
            for each in self._piece.parquet
        ]
        return merge(runs, key, groups or {()})

    def _rows(self) -> Iterator[pa.RecordBatch]:
        for facts in self._piece.segments:
            yield from self._noted(read_segment(facts, self._schema))

    def _block_rows(self, path: Path) -> int:
        with open_parquet(path) as file:
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            row_bytes = sum(group.total_byte_size for group in groups) / max(file.metadata.num_rows, 1)
        return block_rows(row_bytes, self._budget_bytes)

    def _noted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Takes note of rows as they pass; of small batches not one by one, which takes very long."""
        held: list[pa.RecordBatch] = []
        held_bytes = 0
        for batch in batches:
            held.append(batch)
            held_bytes += batch.nbytes
            if held_bytes >= _HASHED_BYTES:
                self._note(held)
                held, held_bytes = [], 0
            yield batch
        if held:
            self._note(held)

    def _note(self, batches: Sequence[pa.RecordBatch]) -> None:
        rows = pa.Table.from_batches(batches).unify_dictionaries()
        self._read.add(rows)
        self._done(rows.num_rows)

    def _by_folder(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Sorted rows by the folder of their feed."""
        if self._piece.table != "packets":
            yield "", rows
            return
        feeds = rows.column("feed").unify_dictionaries().combine_chunks()
        codes = pc.fill_null(feeds.indices, -1).to_numpy()
        names = feeds.dictionary.to_pylist()
        begin = 0
        for code, run in itertools.groupby(codes.tolist()):
            end = begin + sum(1 for _ in run)
            yield (NO_FEED if code < 0 else names[code]), rows.slice(begin, end - begin)
            begin = end

    def _new_file(self, folder: str) -> TableFile:
        first = self._piece.segments[0].key if self._piece.segments else Path(self._piece.parquet[0].entry.path).stem
        stem = f"{first.replace('/', '-')}-{os.urandom(4).hex()}"
        path = day_folder(self._archive.path, self._piece.table, self._piece.date) / folder / f"{stem}.parquet"
        file = TableFile(path.with_name(path.name + PART_SUFFIX), self._piece.table, self._level, self._budget_bytes)
        self._files.append(file)
        return file

    def _checked(self, written: Sequence[WrittenFile], now_ns: int) -> list[FileEntry]:
        """Reads what was written back from the files, and compares."""
        folder = day_folder(self._archive.path, self._piece.table, self._piece.date)
        entries, found_rows = [], 0
        for file in written:
            found = RowsHash(self._schema)
            try:
                rows = self._block_rows(file.path)
                with open_parquet(file.path, buffer_bytes=_BUFFER_BYTES) as reader:
                    for batch in reader.iter_batches(rows):
                        found.add(arranged(batch, self._schema))
            except (pa.ArrowException, OSError) as error:
                raise CompactionError(
                    f"{file.path}: cannot be read back: {first_line(error)}; nothing has changed"
                ) from error
            found_rows += found.rows
            path = file.path.relative_to(folder).as_posix().removesuffix(PART_SUFFIX)
            entries.append(
                FileEntry(
                    path=path,
                    rows=file.rows,
                    bytes=file.bytes,
                    crc32c=file.crc32c,
                    written_ns=self._written_ns(now_ns),
                    ts_min_ns=file.ts_min_ns,
                    ts_max_ns=file.ts_max_ns,
                    rings=file.rings,
                    rows_hash=str(found),
                )
            )
        hashes = [entry.rows_hash for entry in entries]
        if found_rows != self._read.rows or (entries and total(hashes) != str(self._read)):
            raise CompactionError(
                f"{folder}: {self._read.rows} rows of hash {self._read} expected in the new files, found {found_rows} "
                f"of hash {total(hashes) if hashes else 'none'}; nothing has changed, see to memory and disk"
            )
        return entries

    def _written_ns(self, now_ns: int) -> int:
        if self._piece.parquet:
            return min(each.entry.written_ns for each in self._piece.parquet)
        return min((opened_ns(each.name) for each in self._piece.segments), default=now_ns)

    def _commit(self, entries: Sequence[FileEntry], now_ns: int) -> Outcome | None:
        piece = self._piece
        with edit_manifest(self._archive.path, piece.table, piece.date) as edit:
            manifest = edit.manifest
            inputs = {each.entry.path for each in piece.parquet}
            keys = [each.key for each in piece.segments]
            there = inputs <= {each.path for each in manifest.files} and not set(keys) & set(manifest.replaces)
            if not there or not all(each.path.exists() for each in piece.segments):
                return None
            retired = [f"{piece.table}/date={piece.date}/{path}" for path in inputs]
            retired += [each.path.relative_to(self._archive.path).as_posix() for each in piece.segments]
            edit.manifest = replace(
                manifest,
                files=(*(each for each in manifest.files if each.path not in inputs), *entries),
                replaces=(*manifest.replaces, *keys),
                retired=(*manifest.retired, *(Retired(path, now_ns) for path in sorted(retired))),
            )
            for folder in {file.written.path.parent for file in self._files}:
                sync_directory(folder)
            self._is_committed = True  # or about to be: who cannot tell removes nothing
            edit.commit()
            return self._named(entries)

    def _named(self, entries: Sequence[FileEntry]) -> Outcome:
        """Gives committed files their names; who dies here leaves that to the next run."""
        folder = day_folder(self._archive.path, self._piece.table, self._piece.date)
        paths = []
        for entry in entries:
            path = folder / entry.path
            os.rename(path.with_name(path.name + PART_SUFFIX), path)
            paths.append(path)
        return Outcome(tuple(paths), sum(each.rows for each in entries), sum(each.bytes for each in entries))
