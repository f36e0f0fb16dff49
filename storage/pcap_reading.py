"""Reads pcap and pcapng in pure Python, packet by packet: plain, gzip or zstd, from a file of any size.

Takes both byte orders, several sections and interfaces, and stamps of any resolution. Damage is an error with its
offset in the decompressed data; what comes before it was given out.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import zstandard

from nanotape.storage.errors import CaptureFileError

_PCAP_UNITS_NS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_OPT_TSRESOL, _OPT_TSOFFSET = 9, 14
_BLOCK_BYTES_MOST = 64 << 20
_BUFFER_BYTES = 1 << 20
_ZSTD_MAGICS = (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)))


class ReadFrame(NamedTuple):
    """One packet of a file."""

    ts_ns: int
    """UTC, nanoseconds; finer stamps are cut off."""
    link_type: int
    wire_length: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snaplen: int
    """0: no limit."""
    per_second: int
    offset_s: int

    def ns(self, stamp: int) -> int:
        """UTC, nanoseconds."""
        return stamp * 10**9 // self.per_second + self.offset_s * 10**9


def read_frames(path: Path) -> Iterator[ReadFrame]:
    """The packets of a file, in its order.

    Raises:
        CaptureFileError: It cannot be read, is no capture file, or is damaged.
    """
    try:
        with path.open("rb") as raw:
            stream = _Stream(path, _decompressed(raw))
            magic = stream.take(4, at_end="no capture file: it is empty") or b""
            if struct.unpack("<I", magic)[0] == _SECTION:
                yield from _read_pcapng(stream)
            else:
                yield from _read_pcap(stream, magic)
    except OSError as error:
        raise CaptureFileError(f"{path}: cannot be read: {error.strerror or error}; see to the file") from None
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise CaptureFileError(f"{path}: its compressed data are damaged: {error}; restore it from a copy") from None


def _decompressed(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic in _ZSTD_MAGICS:
        return zstandard.ZstdDecompressor().stream_reader(raw, read_size=_BUFFER_BYTES, read_across_frames=True)
    return raw


class _Stream:
    """Takes exact numbers of bytes."""

    def __init__(self, path: Path, source: BinaryIO) -> None:
        self._path, self._source = path, source
        self._buffer, self._at = b"", 0
        self._offset = 0

    def take(self, count: int, at_end: str | None = None) -> bytes | None:
        """The next bytes; None at the end of the file, if at_end is None; else that is an error too."""
        while len(self._buffer) - self._at < count:
            more = self._source.read(max(_BUFFER_BYTES, count))
            if not more:
                left = len(self._buffer) - self._at
                if not left and at_end is None:
                    return None
                raise self.damage(at_end or f"it ends within a record: {count} bytes expected, {left} found")
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        taken = self._buffer[self._at : self._at + count]
        self._at += count
        self._offset += count
        return taken

    def need(self, count: int) -> bytes:
        """The next bytes, which must be there."""
        return self.take(count, f"it ends within a record: {count} bytes more expected") or b""

    def damage(self, words: str) -> CaptureFileError:
        """The error for what is wrong here."""
        return CaptureFileError(f"{self._path}: byte {self._offset}: {words}; restore it, or leave it out")


def _read_pcap(stream: _Stream, magic: bytes) -> Iterator[ReadFrame]:
    for order in "<>":
        unit_ns = _PCAP_UNITS_NS.get(struct.unpack(order + "I", magic)[0])
        if unit_ns is not None:
            break
    else:
        raise stream.damage(f"pcap or pcapng expected, found {magic.hex(' ')}")
    link_type = struct.unpack(order + "I", stream.need(20)[16:])[0] & 0xFFFF
    record = struct.Struct(order + "IIII")
    while (head := stream.take(16)) is not None:
        seconds, fraction, captured, wire_length = record.unpack(head)
        if captured > _BLOCK_BYTES_MOST:
            raise stream.damage(f"a packet of at most {_BLOCK_BYTES_MOST} bytes expected, found {captured}")
        frame = stream.need(captured) if captured else b""
        yield ReadFrame(seconds * 10**9 + fraction * unit_ns, link_type, wire_length, frame)


def _read_pcapng(stream: _Stream) -> Iterator[ReadFrame]:
    order = _begin_section(stream)
    interfaces: list[_Interface] = []
    while (head := stream.take(4)) is not None:
        kind = struct.unpack(order + "I", head)[0]
        if kind == _SECTION:
            order, interfaces = _begin_section(stream), []
            continue
        body = _body(stream, order, struct.unpack(order + "I", stream.need(4))[0])
        try:
            if kind == _INTERFACE:
                interfaces.append(_interface(body, order))
            elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                yield _frame(kind, body, order, interfaces)
        except (struct.error, IndexError):
            raise stream.damage("a block that says what it must expected, found one that is too short") from None


def _begin_section(stream: _Stream) -> str:
    """Reads a section header block behind its type; returns the byte order."""
    head = stream.need(8)
    for order in "<>":
        if struct.unpack_from(order + "I", head, 4)[0] == _BYTE_ORDER_MAGIC:
            _body(stream, order, struct.unpack_from(order + "I", head)[0], taken=12)
            return order
    raise stream.damage("a section of pcapng expected, found one without its byte-order mark")


def _body(stream: _Stream, order: str, length: int, taken: int = 8) -> bytes:
    if length % 4 or not taken + 4 <= length <= _BLOCK_BYTES_MOST:
        raise stream.damage(f"the length of a block expected, found {length}")
    body = stream.need(length - taken)
    if struct.unpack(order + "I", body[-4:])[0] != length:
        raise stream.damage(f"a block that ends with its length, {length}, expected")
    return body[:-4]


def _interface(body: bytes, order: str) -> _Interface:
    link_type, _, snaplen = struct.unpack_from(order + "HHI", body)
    per_second, offset_s, at = 10**6, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == _OPT_TSRESOL and length == 1:
            per_second = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _OPT_TSOFFSET and length == 8:
            offset_s = struct.unpack(order + "q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link_type, snaplen, per_second, offset_s)


def _frame(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> ReadFrame:
    if kind == _SIMPLE_PACKET:
        (wire_length,) = struct.unpack_from(order + "I", body)
        interface = interfaces[0]
        captured = min(wire_length, interface.snaplen or wire_length)
        return ReadFrame(0, interface.link_type, wire_length, body[4 : 4 + captured])
    layout = "HHIIII" if kind == _OLD_PACKET else "IIIII"
    fields = struct.unpack_from(order + layout, body)
    high, low, captured, wire_length = fields[-4:]
    interface = interfaces[fields[0]]
    frame = body[20 : 20 + captured]
    if len(frame) < captured:
        raise IndexError
    return ReadFrame(interface.ns(high << 32 | low), interface.link_type, wire_length, frame)
