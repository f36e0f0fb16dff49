"""Deletes files of packets so that the archive says which: each becomes `gone` in its day's manifest, and an event.

What is to be deleted is noted first, then invisible in one step, then told, then unlinked: whoever dies in between
leaves a note by which the next one goes on. The caller holds the lock of retention.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive
from nanotape.storage.event_log import append_events
from nanotape.storage.events import ARCHIVE, Event
from nanotape.storage.file_writes import sync_directory, sync_file
from nanotape.storage.manifest import FileEntry, Gone, Manifest, Retired, RingRange, day_folder, edit_manifest
from nanotape.storage.retired import remove_retired, segment_key

_NO_FEED = "other"  # the folder of rows without one


@dataclass(frozen=True, slots=True)
class Doomed:
    """A file that is to be deleted, and all that will be known of it afterwards."""

    date: str
    path: str
    """Below the archive."""
    rows: int | None
    """None: it could not be read."""
    bytes: int
    """Of disk."""
    ts_min_ns: int | None
    ts_max_ns: int | None
    rings: dict[str, RingRange]
    """By ring_id."""
    reason: str
    deleted_ns: int

    @property
    def gone(self) -> Gone:
        """What the manifest says of it from now on."""
        return Gone(self.path, self.rows or 0, self.deleted_ns, self.ts_min_ns, self.ts_max_ns, self.rings)

    def events(self, host: str) -> Iterator[Event]:
        """One for each ring whose rows it had."""
        detail = {"path": self.path, "rows": self.rows, "bytes": self.bytes, "reason": self.reason}
        parts = self.path.split("/")
        feed = parts[2] if parts[0] != "segments" and len(parts) > 3 and parts[2] != _NO_FEED else None
        event = Event(
            "retention",
            self.deleted_ns if self.ts_min_ns is None else self.ts_min_ns,
            self.deleted_ns if self.ts_max_ns is None else self.ts_max_ns,
            host=host,
            feed=feed,
            stage=ARCHIVE,
            cause="ours",
            packets_lost=self.rows,
            detail=json.dumps(detail),
        )
        if not self.rings:
            yield event
        for ring_id, held in self.rings.items():
            yield replace(
                event,
                ring=held.ring,
                ring_id=ring_id,
                seq_kind="ring",
                seq_first=held.first_seq,
                seq_last=held.last_seq,
                packets_lost=held.rows,
            )


class Deletion:
    """Deletes files of one archive."""

    def __init__(self, archive: Archive, host: str, note: Path) -> None:
        """Touches nothing yet.

        Args:
            archive: Where.
            host: Who deletes, for the events.
            note: Path of the note; its folder is made if need be.
        """
        self._archive, self._host, self._note = archive, host, note

    def delete(self, doomed: Sequence[Doomed]) -> list[Doomed]:
        """Deletes files, for good on return, and before them those of whoever died at it, or could not end it.

        Returns:
            Those that were: what was compacted meanwhile is not.

        Raises:
            StorageError: The archive cannot be read or written.
            OSError: The system refused; what was begun is ended by the next call.
        """
        begun = self._begun()
        told = set(self._archive.rows("events", ["id"]).column("id").to_pylist()) if begun else set()
        doomed = list({each.path: each for each in (*begun, *doomed)}.values())
        if not doomed:
            return []
        self._write_note(doomed)
        return self._carry_out(doomed, told)

    def _begun(self) -> list[Doomed]:
        try:
            return [_doomed(each) for each in json.loads(self._note.read_bytes())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError):  # an older one's, or damaged: its files are found again
            return []

    def _write_note(self, doomed: Sequence[Doomed]) -> None:
        self._note.parent.mkdir(exist_ok=True)
        draft = self._note.with_name(self._note.name + ".new")
        draft.write_text(json.dumps([asdict(each) for each in doomed]), encoding="utf-8")
        sync_file(draft)
        os.rename(draft, self._note)
        sync_directory(self._note.parent)

    def _carry_out(self, doomed: Sequence[Doomed], told: set[str]) -> list[Doomed]:
        days: dict[str, list[Doomed]] = defaultdict(list)
        for each in doomed:
            days[each.date].append(each)
        gone = [each for date, files in days.items() for each in self._make_gone(date, files)]
        events = [event for each in gone for event in each.events(self._host) if event.id not in told]
        if events:
            append_events(self._archive.path, events, max(each.deleted_ns for each in gone))
        paths = {each.path for each in gone}
        for date in days:
            remove_retired(self._archive.path, "packets", date, lambda retired: retired.path in paths)
        self._note.unlink()
        return gone

    def _make_gone(self, date: str, doomed: Sequence[Doomed]) -> list[Doomed]:
        """Makes files of a day invisible. Returns those that are gone by our doing, now or before we died."""
        folder = day_folder(Path(), "packets", date).as_posix()
        with edit_manifest(self._archive.path, "packets", date) as edit:
            manifest = edit.manifest
            ours = {each.path for each in manifest.gone}
            visible = {f"{folder}/{each.path}" for each in manifest.files}
            new = [each for each in doomed if each.path not in ours and _is_visible(manifest, visible, each.path)]
            if new:
                paths = {each.path for each in new}
                keys = [key for each in new if (key := segment_key(each.path)) is not None]
                edit.manifest = replace(
                    manifest,
                    files=tuple(each for each in manifest.files if f"{folder}/{each.path}" not in paths),
                    replaces=(*manifest.replaces, *keys),
                    retired=(*manifest.retired, *(Retired(each.path, each.deleted_ns) for each in new)),
                    gone=(*_together(manifest), *(each.gone for each in new)),
                )
                edit.commit()
        return [each for each in doomed if each in new or each.path in ours]


def doomed_parquet(entry: FileEntry, date: str, path: str, reason: str, now_ns: int) -> Doomed:
    """A Parquet file as one that is to be deleted."""
    stamps = entry.ts_min_ns, entry.ts_max_ns
    return Doomed(date, path, entry.rows, entry.bytes, *stamps, entry.rings, reason, now_ns)


def _is_visible(manifest: Manifest, parquet: set[str], path: str) -> bool:
    key = segment_key(path)
    return path in parquet if key is None else key not in manifest.replaces


def _together(manifest: Manifest) -> tuple[Gone, ...]:
    """Segments that are deleted for good as one of each ring, up to the next file: a day may have had very many."""
    retired = {each.path for each in manifest.retired}
    kept: list[Gone] = []
    places: dict[str, int] = {}
    for each in manifest.gone:
        ring_id = next(iter(each.rings), None)
        if ring_id is None or not each.path.startswith("segments/") or each.path in retired:
            kept.append(each)
            continue
        place = places.get(ring_id)
        if place is not None and not _is_between(manifest, ring_id, kept[place], each):
            kept[place] = _joined(kept[place], each, ring_id)
        else:
            places[ring_id] = len(kept)
            kept.append(replace(each, path=f"{os.path.dirname(each.path)}/"))
    return tuple(kept)


def _is_between(manifest: Manifest, ring_id: str, one: Gone, other: Gone) -> bool:
    """Whether a Parquet file, there or gone, begins between two of a ring."""
    low, high = sorted((one.rings[ring_id].first_seq, other.rings[ring_id].first_seq))
    gone = [each.rings for each in manifest.gone if not each.path.startswith("segments/")]
    parquet = [*gone, *(each.rings for each in manifest.files)]
    return any(low <= rings[ring_id].first_seq < high for rings in parquet if ring_id in rings)


def _joined(one: Gone, other: Gone, ring_id: str) -> Gone:
    a, b = one.rings[ring_id], other.rings[ring_id]
    held = RingRange(a.ring, min(a.first_seq, b.first_seq), max(a.last_seq, b.last_seq), a.rows + b.rows)
    least = [each for each in (one.ts_min_ns, other.ts_min_ns) if each is not None]
    most = [each for each in (one.ts_max_ns, other.ts_max_ns) if each is not None]
    return Gone(
        one.path,
        one.rows + other.rows,
        max(one.deleted_ns, other.deleted_ns),
        min(least, default=None),
        max(most, default=None),
        {ring_id: held},
    )


def stamp_range(batches: Iterator[pa.RecordBatch]) -> tuple[int | None, int | None]:
    """The lowest and the highest `ts`, which is the only column, in nanoseconds; None without rows."""
    ends: list[int] = []
    for batch in batches:
        found = pc.min_max(batch.column(0).cast(pa.int64()))
        ends += [each for each in (found["min"].as_py(), found["max"].as_py()) if each is not None]
    return min(ends, default=None), max(ends, default=None)


def _doomed(content: dict[str, Any]) -> Doomed:
    rings = {ring_id: RingRange(**each) for ring_id, each in content.pop("rings").items()}
    return Doomed(rings=rings, **content)
