"""What the archive's own rows say: how many, which sequences, and the bytes of each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.capture.sent_log import SentLog
from nanotape.native import ffi, lib
from nanotape.storage.archive import Archive

_SESSION_AND_SEQUENCE = np.dtype([("session", "S10"), ("sequence", ">u8"), ("count", ">u2")])
_END_OF_SESSION = 0xFFFF
_COLUMNS = ["ring_seq", "line", "payload", "rx_delay_ns", "lost_before"]


class LineTally:
    """One line's recorded packets, added up batch by batch, in the order of recording."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.packets = self.bytes = self.gaps = self.missing = 0
        self.crc32c = 0
        self._expected: int | None = None

    def add(self, payloads: pa.BinaryArray) -> None:
        """The next packets of this line."""
        offsets = np.frombuffer(payloads.buffers()[1], dtype=np.int32)[
            payloads.offset : payloads.offset + len(payloads) + 1
        ]
        data = np.frombuffer(payloads.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
        self.packets += len(payloads)
        self.bytes += len(data)
        self.crc32c = int(lib.nt_crc32c(self.crc32c, ffi.from_buffer(data), len(data)))
        self._follow(_mold_headers(data, offsets[:-1] - offsets[0]))

    def _follow(self, headers: npt.NDArray[Any]) -> None:
        first = headers["sequence"].astype(np.int64)
        count = headers["count"].astype(np.int64)
        following = first + np.where(count == _END_OF_SESSION, 0, count)
        expected = np.concatenate([[first[0] if self._expected is None else self._expected], following[:-1]])
        jumps = first - expected
        self.gaps += int((jumps > 0).sum())
        self.missing += int(jumps[jumps > 0].sum())
        self._expected = int(following[-1])


def _mold_headers(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """MoldUDP64 header of each payload: session, sequence of the first message, count (FEEDS.md, A)."""
    octets = data[starts[:, None] + np.arange(_SESSION_AND_SEQUENCE.itemsize)]
    return np.ascontiguousarray(octets).view(_SESSION_AND_SEQUENCE).ravel()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the archive's rows say."""

    rows: int
    last_seq: int
    """Newest ring sequence; 0: none."""
    lost: int
    """Ring sequences that are missing before a row, by the rows' own `lost_before`."""
    repeated: int
    """Ring sequences that stand in it more than once, or out of order."""
    delays_ns: npt.NDArray[np.int64]
    lines: dict[str, LineTally]


def read_archive(archive: Archive) -> Recorded:
    """Reads every row once; memory stays at about a batch, and 8 bytes a row for the delays."""
    rows = lost = repeated = 0
    before = 0
    delays: list[npt.NDArray[np.int64]] = []
    lines: dict[str, LineTally] = {}
    for batch in archive.packets(_COLUMNS):
        sequences = batch.column("ring_seq").to_numpy(zero_copy_only=False)
        if not len(sequences):
            continue
        rows += len(sequences)
        repeated += int((np.diff(sequences, prepend=before) <= 0).sum())
        before = int(sequences[-1])
        lost += pc.sum(batch.column("lost_before")).as_py() or 0
        delays.append(batch.column("rx_delay_ns").drop_null().to_numpy(zero_copy_only=False))
        names = batch.column("line").cast(pa.string())
        for name in pc.unique(names).to_pylist():
            chosen = batch.column("payload").filter(pc.equal(names, name))
            lines.setdefault(name or "", LineTally()).add(chosen)
    all_delays = np.concatenate(delays) if delays else np.array([], dtype=np.int64)
    return Recorded(rows, before, lost, repeated, all_delays, lines)


def foreign_payloads(archive: Archive, sent: SentLog) -> int:
    """Recorded payloads that the exchange never sent on their line; all that it sent is held in memory meanwhile."""
    made = {line.name: pa.concat_arrays([payloads for _, payloads in sent.batches(line.name)]) for line in sent.lines}
    foreign = 0
    for batch in archive.packets(["line", "payload"]):
        names = batch.column("line").cast(pa.string())
        foreign += batch.num_rows
        for name, payloads in made.items():
            chosen = batch.column("payload").filter(pc.equal(names, name))
            foreign -= pc.sum(pc.is_in(chosen, value_set=payloads)).as_py() or 0
    return foreign


def percentiles(delays: npt.NDArray[np.int64]) -> dict[str, int | None]:
    """Receive delay: from the stamp to the poll that found the packet."""
    if not len(delays):
        return {"p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(delays, [50, 99], method="nearest")
    return {"p50": int(p50), "p99": int(p99), "max": int(delays.max())}


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
