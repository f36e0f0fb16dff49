"""Imports into an archive, and what must then stand in it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow.compute as pc
from file_rig import expected, recorded
from pcap_file import CapturedFrame

from nanotape.storage.archive import Archive
from nanotape.storage.import_options import ImportOptions, ImportReport
from nanotape.storage.pcap_import import import_captures
from nanotape.storage.recorder_options import RecorderOptions
from nanotape.storage.verify import verify

SMALL_BATCHES = ImportOptions(recorder=RecorderOptions(batch_rows=2000))


def imported(
    paths: Sequence[pathlib.Path],
    archive: pathlib.Path,
    options: ImportOptions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ImportReport:
    return import_captures(paths, archive, options, is_stopped=is_stopped, log=lambda _: None)


def put(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def assert_holds(archive: pathlib.Path, frames: Sequence[CapturedFrame]) -> None:
    """Exactly these, in order, without a hole in any ring's sequences."""
    table = Archive(archive).table(["ring_id", "ring_seq"])
    for ring_id in table.column("ring_id").unique():
        sequences = table.filter(pc.equal(table.column("ring_id"), ring_id)).column("ring_seq").to_numpy()
        assert (np.diff(sequences) == 1).all()
    assert recorded(Archive(archive)) == expected(frames)
    assert verify(Archive(archive)).findings == []


def rows_of(archive: pathlib.Path) -> int:
    return sum(facts.rows for facts in Archive(archive).segments()) if archive.is_dir() else 0
