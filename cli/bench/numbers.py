"""The numbers in captured frames: which of 1 to N are in a file, once each.

The generator counts its packets in their payload; whoever lost one cannot hide it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanotape.cli.bench.veth import FRAME_BYTES, NUMBER_BYTES
from nanotape.storage.archive import Archive

_PCAP_HEAD, _PCAP_RECORD_HEAD = 24, 16
_PCAP_MAGIC = (0xA1B23C4D, 0xA1B2C3D4)
_CHUNK = 1 << 16
_HEADER_BYTES = 42


@dataclass(slots=True)
class Tally:
    """What was found, in the order of the file."""

    packets: int = 0
    repeated: int = 0
    """Numbers that were there before, or out of order."""
    last: int = 0

    def add(self, numbers: npt.NDArray[np.int64]) -> None:
        """The next numbers."""
        if len(numbers):
            self.packets += len(numbers)
            self.repeated += int((np.diff(numbers, prepend=self.last) <= 0).sum())
            self.last = int(numbers[-1])

    def is_within(self, sent: int) -> bool:
        """Whether all are of 1 to `sent`, each once: then what is missing was lost, and nothing else is amiss."""
        return not self.repeated and self.last <= sent


def of_archive(archive: Archive) -> Tally:
    """Reads every row of an archive of frames of one size."""
    tally = Tally()
    for batch in archive.packets(["payload"]):
        payloads = batch.column("payload")
        offsets = np.frombuffer(payloads.buffers()[1], dtype=np.int32)
        starts = offsets[payloads.offset : payloads.offset + len(payloads)]
        data = np.frombuffer(payloads.buffers()[2] or b"", dtype=np.uint8)
        if len(payloads):
            rows = data[starts[0] : starts[0] + len(payloads) * (FRAME_BYTES - _HEADER_BYTES)]
            tally.add(_numbers(rows.reshape(len(payloads), -1)[:, :8]))
    return tally


def of_pcap(path: Path) -> Tally:
    """Reads a pcap file of whole frames of one size; half a record at its end, which a killed writer leaves, is none.

    Raises:
        ValueError: It is something else.
    """
    with path.open("rb") as file:
        magic = int.from_bytes(file.read(_PCAP_HEAD)[:4], "little")
    if magic not in _PCAP_MAGIC:
        raise ValueError(f"{path}: expected a pcap file, found magic {magic:#x}")
    record = _PCAP_RECORD_HEAD + FRAME_BYTES
    packets = (path.stat().st_size - _PCAP_HEAD) // record
    tally = Tally()
    if not packets:
        return tally
    records = np.memmap(path, dtype=np.uint8, mode="r", offset=_PCAP_HEAD, shape=(packets, record))
    for start in range(0, packets, _CHUNK):
        chunk = records[start : start + _CHUNK]
        lengths = np.ascontiguousarray(chunk[:, 8:12]).view("<u4")
        if (lengths != FRAME_BYTES).any():
            raise ValueError(f"{path}: expected frames of {FRAME_BYTES} bytes only")
        tally.add(_numbers(chunk[:, _PCAP_RECORD_HEAD:][:, NUMBER_BYTES]))
    return tally


def _numbers(octets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(octets).view(">u8").ravel().astype(np.int64)
