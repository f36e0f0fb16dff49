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
_ETHER_TYPE, _PROTOCOL = slice(12, 14), slice(23, 24)


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

    IGMP is passed over: the kernel says once more that it leaves a group up to a second after a capture has ended, and
    who captures everything next finds that too.

    Raises:
        ValueError: It is something else.
    """
    with path.open("rb") as file:
        magic = int.from_bytes(file.read(_PCAP_HEAD)[:4], "little")
    if magic not in _PCAP_MAGIC:
        raise ValueError(f"{path}: expected a pcap file, found magic {magic:#x}")
    octets = np.memmap(path, dtype=np.uint8, mode="r")
    tally, at = Tally(), _PCAP_HEAD
    while at < len(octets):
        stretch = _stretch(octets[at:])
        tally.add(_numbers(stretch[:, _PCAP_RECORD_HEAD:][:, NUMBER_BYTES]))
        at += stretch.size
        if len(stretch) < _CHUNK:
            at += _other_record(octets[at:], path)
    return tally


def _stretch(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The records of our frames at the front: of a chunk those before the first that is none."""
    record = _PCAP_RECORD_HEAD + FRAME_BYTES
    count = min(_CHUNK, len(octets) // record)
    records = octets[: count * record].reshape(count, record)
    is_other = np.ascontiguousarray(records[:, 8:12]).view("<u4").ravel() != FRAME_BYTES
    return records[: int(is_other.argmax())] if is_other.any() else records


def _other_record(octets: npt.NDArray[np.uint8], path: Path) -> int:
    """How long the record at the front is, which is IGMP or the half of one."""
    if len(octets) < _PCAP_RECORD_HEAD:
        return len(octets)
    length = int(octets[8:12].view("<u4")[0])
    record = octets[: _PCAP_RECORD_HEAD + length]
    if len(record) < _PCAP_RECORD_HEAD + length and length <= FRAME_BYTES:
        return len(record)
    ether_type, protocol = (bytes(record[_PCAP_RECORD_HEAD:][part]) for part in (_ETHER_TYPE, _PROTOCOL))
    if length >= FRAME_BYTES or (ether_type, protocol) != (b"\x08\x00", b"\x02"):
        raise ValueError(f"{path}: expected frames of {FRAME_BYTES} bytes only, and IGMP; found one of {length} bytes")
    return len(record)


def _numbers(octets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(octets).view(">u8").ravel().astype(np.int64)
