"""What an archive must show: the bytes that were sent, each ring sequence once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.capture.sent_log import SentLog
from nanotape.storage.archive import Archive


def recorded_payloads(archive: Archive, line: str) -> pa.ChunkedArray:
    """Payloads of one line, in the order of recording."""
    table = archive.table(["line", "payload"])
    return table.filter(pc.equal(table.column("line").cast(pa.string()), line)).column("payload")


def assert_same_bytes(archive: Archive, log: SentLog, line: str) -> int:
    """Compares a line's recorded payloads with those that the exchange makes again; returns their number."""
    recorded = recorded_payloads(archive, line).combine_chunks()
    at = 0
    for _, payloads in log.batches(line):
        assert recorded.slice(at, len(payloads)).equals(payloads), f"line {line} differs after packet {at}"
        at += len(payloads)
    assert len(recorded) == at
    return at


def assert_sequences_once(archive: Archive) -> int:
    """Each ring sequence exactly once, from 1 on; returns the last."""
    sequences = np.concatenate([batch.column(0).to_numpy() for batch in archive.packets(["ring_seq"])])
    assert (np.diff(sequences, prepend=0) == 1).all()
    return int(sequences[-1])
