"""Rows of a ring's batch as datagrams to send: their payloads as they lie in memory, with or without headers of ours.

Headers that keep the original source are made for all rows at once (RFC 791, RFC 768, RFC 8200; checksums RFC 1071).
"""

import ipaddress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.relay_outlet import Addresses
from nanotape.capture.relay_target import Target

Rows = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

_UDP = 17
_SUMMED_BYTES = 256 << 10  # at once: running sums take some 40 times as much memory
_BYTES = {4: 28, 6: 48}
"""Of an IP and a UDP header."""


@dataclass(frozen=True, slots=True)
class Payloads:
    """The payloads of some rows. They lie in the batch's memory, which must be kept meanwhile."""

    addresses: Addresses
    lengths: Addresses

    @property
    def pieces(self) -> tuple[tuple[Addresses, Addresses], ...]:
        """One each."""
        return ((self.addresses, self.lengths),)


@dataclass(frozen=True, slots=True)
class Headed:
    """The same behind headers, a row of the table each."""

    headers: Octets
    payloads: Payloads

    @property
    def pieces(self) -> tuple[tuple[Addresses, Addresses], ...]:
        """Header and payload."""
        count, width = self.headers.shape
        where = self.headers.ctypes.data + width * np.arange(count, dtype=np.uint64)
        return ((where.astype(np.uint64), np.full(count, width, np.uint64)), *self.payloads.pieces)


def payloads_of(column: pa.BinaryArray, rows: Rows) -> Payloads:
    """Where some rows of a binary column lie."""
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.uint64)
    base = np.uint64(data.address if data is not None else 0)
    return Payloads(base + offsets[rows], offsets[rows + 1] - offsets[rows])


def senders_of(batch: pa.RecordBatch, rows: Rows, version: int) -> tuple[npt.NDArray[np.bool_], Octets]:
    """Which rows have a sender of this family, and the addresses of all (zeros where they have none)."""
    column = batch.column("src_ip")
    width = 4 if version == 4 else 16
    table = np.zeros((len(column.dictionary) + 1, width), np.uint8)
    fits = np.zeros(len(table), np.bool_)
    codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)[rows]
    for code in np.unique(codes).tolist():
        text = column.dictionary[code].as_py() if code < len(column.dictionary) else None
        address = ipaddress.ip_address(text) if text is not None else None
        if address is not None and address.version == version:
            table[code], fits[code] = np.frombuffer(address.packed, np.uint8), True
    return fits[codes], table[codes]


def headed(batch: pa.RecordBatch, rows: Rows, senders: Octets, target: Target, ttl: int) -> Headed:
    """Rows behind headers that name their own sender, address and port.

    Args:
        batch: Of `RING_SCHEMA`.
        rows: All with a UDP header.
        senders: Their addresses.
        target: Where they go.
        ttl: Hops that they may go.
    """
    payloads = payloads_of(batch.column("payload"), rows)
    lengths = payloads.lengths.astype(np.int64)
    ports = batch.column("src_port").to_numpy(zero_copy_only=False)[rows].astype(np.int64)
    to = np.frombuffer(ipaddress.ip_address(target.address).packed, np.uint8)
    table = np.zeros((len(rows), _BYTES[target.version]), np.uint8)
    start = 20 if target.version == 4 else 40
    if target.version == 4:
        table[:, 0], table[:, 8], table[:, 9] = 0x45, ttl, _UDP
        _put(table, 2, lengths + 28)
        table[:, 12:16], table[:, 16:20] = senders, to
        _put(table, 10, _finished(_sum(table[:, :20])))
    else:
        table[:, 0], table[:, 6], table[:, 7] = 0x60, _UDP, ttl
        _put(table, 4, lengths + 8)
        table[:, 8:24], table[:, 24:40] = senders, to
    _put(table, start, ports)
    _put(table, start + 2, np.full(len(rows), target.port, np.int64))
    _put(table, start + 4, lengths + 8)
    pseudo = _sum(senders) + _sum(to[None, :]) + _UDP + lengths + 8
    checksum = _finished(pseudo + _sum(table[:, start:]) + _payload_sums(batch.column("payload"), rows))
    _put(table, start + 6, np.where(checksum == 0, 0xFFFF, checksum))
    return Headed(table, payloads)


def _put(table: Octets, at: int, values: Rows) -> None:
    """A 16-bit number in network order."""
    table[:, at], table[:, at + 1] = values >> 8, values & 0xFF


def _sum(octets: Octets) -> Rows:
    """Of the 16-bit words of each row."""
    wide = octets.astype(np.int64)
    total: Rows = (wide[:, 0::2] * 256).sum(axis=1) + wide[:, 1::2].sum(axis=1)
    return total


def _finished(total: Rows) -> Rows:
    """The checksum of a sum of words."""
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _payload_sums(column: pa.BinaryArray, rows: Rows) -> Rows:
    """Of the words of each payload; one of odd length ends with half a word. Rows ascend."""
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    begins, ends = offsets[rows], offsets[rows + 1]
    total = np.zeros(len(rows), np.int64)
    if not len(rows) or begins[0] == ends[-1]:
        return total
    data = np.frombuffer(data_buffer, np.uint8)
    cuts = np.flatnonzero(np.diff((begins - begins[0]) // _SUMMED_BYTES)) + 1
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        total[first:last] = _sums_between(data, begins[first:last], ends[first:last])
    return total


def _sums_between(data: Octets, begins: Rows, ends: Rows) -> Rows:
    """The same of payloads that lie near each other: all at once, by running sums."""
    low, high = int(begins[0]), int(ends[-1])
    octets = data[low:high].astype(np.int64)
    is_odd = (np.arange(low, high) & 1).astype(np.bool_)
    zero = np.zeros(1, np.int64)
    even_sums = np.concatenate((zero, np.cumsum(np.where(is_odd, 0, octets))))
    odd_sums = np.concatenate((zero, np.cumsum(np.where(is_odd, octets, 0))))
    even, odd = even_sums[ends - low] - even_sums[begins - low], odd_sums[ends - low] - odd_sums[begins - low]
    total: Rows = np.where(begins & 1, odd * 256 + even, even * 256 + odd)
    return total
