"""The shown packets as pcapng, as `nanotape tail --pcapng` writes them: a whole file or none, never over another."""

import importlib.metadata
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from nanotape.capture.columns import RING_SCHEMA
from nanotape.capture.listing import RingFacts
from nanotape.storage.errors import ExportError
from nanotape.storage.file_writes import sync_directory
from nanotape.storage.live_pcapng import LivePcapng
from nanotape.tui.packet_tail import PacketRow


@dataclass(frozen=True, slots=True)
class _Tables:
    """What the writer needs of a ring, as it was at a look."""

    facts: RingFacts

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def created_ns(self) -> int:
        return self.facts.created_ns

    def sources(self) -> Sequence[Any]:
        return self.facts.sources


def export(path: Path, rows: Sequence[PacketRow], facts: RingFacts) -> int:
    """Writes packets to a new file.

    Args:
        path: Its name, which nothing has yet.
        rows: In the order of the ring.
        facts: Of the ring, for the interfaces' names.

    Returns:
        How many there are.

    Raises:
        ExportError: There is nothing to write, something has that name, or it cannot be written.
    """
    if not rows:
        raise ExportError("expected packets to export, found none: wait for some, or look for others")
    content = BytesIO()
    application = f"nanotape {_version()}"
    writer = LivePcapng([_Tables(facts)], content.write, application, from_now=True)
    writer.show(_joined(rows))
    _write_new(path, content.getvalue())
    return len(rows)


def _version() -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("nanotape")
    return "unknown"


def _joined(rows: Sequence[PacketRow]) -> pa.RecordBatch:
    """One batch of the ring's schema, without the losses of a reader that looked at some packets only."""
    schema = rows[0].batch.schema
    table = pa.Table.from_batches([row.rows for row in rows], schema).unify_dictionaries()
    batch = table.combine_chunks().to_batches()[0]
    at = batch.schema.get_field_index("lost_before")
    return batch.set_column(at, RING_SCHEMA.field("lost_before"), pa.array([0] * len(rows), pa.uint32()))


def _write_new(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # Takes the name only where nothing has it: a rename would replace what is there.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
            draft.replace(path)
            sync_directory(path.absolute().parent)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        raise ExportError(f"{path}: expected a name that nothing has, found a file; name another") from None
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror}; name another file, or make room") from None
