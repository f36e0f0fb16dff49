"""Writes pcapng (draft-ietf-opsawg-pcapng), little-endian, nanoseconds, block by block onto whatever takes bytes.

Knows nothing of rings and archives: plain numbers and bytes go in. Interfaces may be added at any point of the stream.
Never raises on what a packet says: stamps and counts that a field cannot hold are clamped.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
LINKTYPE_LINUX_SLL = 113
LINKTYPE_LINUX_SLL2 = 276

_SECTION_HEADER, _INTERFACE_DESCRIPTION, _INTERFACE_STATISTICS, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LENGTH_UNKNOWN = -1

_OPT_END, _OPT_COMMENT = 0, 1
_SHB_HARDWARE, _SHB_OS, _SHB_USERAPPL = 2, 3, 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_EPB_FLAGS, _EPB_DROPCOUNT = 2, 4
_ISB_STARTTIME, _ISB_ENDTIME, _ISB_IFRECV, _ISB_IFDROP, _ISB_OSDROP, _ISB_USRDELIV = 2, 3, 4, 5, 7, 8

_INBOUND = 1
_NANOSECONDS = 9
_U32_MAX, _U64_MAX = 2**32 - 1, 2**64 - 1
_OPTION_BYTES_MAX = 65_535

_PACKET_HEAD = struct.Struct("<IIIIIII")
_HEAD_BYTES = _PACKET_HEAD.size
_TRAILER = struct.Struct("<I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4
# Inbound: the same option, end of options and the block's length in every packet that lost nothing and has no comment.
_FLAGS_OPTION = struct.pack("<HHI", _EPB_FLAGS, 4, _INBOUND)
_ENDS_PLAIN = tuple(padding + _FLAGS_OPTION + struct.pack("<HH", _OPT_END, 0) for padding in _PADDING)


class PcapngPacket(NamedTuple):
    """One packet to write; as a plain tuple it serves as well."""

    interface: int
    """What `PcapngWriter.add_interface` returned."""
    ts_ns: int
    """UTC, nanoseconds since 1970; what is before 1970 is written as 1970."""
    wire_length: int
    """Bytes of the frame on the wire."""
    frame: bytes
    """What was captured of it."""
    drops: int = 0
    """Packets lost just before this one; 0 writes no option."""
    comment: str = ""
    """Shown with the packet."""


@dataclass(frozen=True, slots=True)
class InterfaceCounts:
    """What an interface statistics block tells; None leaves the option out: not known is not 0."""

    received: int | None = None
    """Packets that the interface received."""
    interface_drops: int | None = None
    """Packets that the interface dropped for want of resources."""
    system_drops: int | None = None
    """Packets that the operating system dropped."""
    delivered: int | None = None
    """Packets of this interface that stand in the file."""


def section_header(hardware: str = "", system: str = "", application: str = "") -> bytes:
    """The block that begins a file; an empty text is left out."""
    options = _text(_SHB_HARDWARE, hardware) + _text(_SHB_OS, system) + _text(_SHB_USERAPPL, application)
    return _block(_SECTION_HEADER, struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _LENGTH_UNKNOWN) + _ended(options))


def interface_description(link_type: int, name: str = "", description: str = "") -> bytes:
    """The block that announces an interface with stamps in nanoseconds; packets name it by its place in the file."""
    options = _text(_IF_NAME, name) + _text(_IF_DESCRIPTION, description) + _option(_IF_TSRESOL, bytes([_NANOSECONDS]))
    return _block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", link_type, 0, 0) + _ended(options))


def enhanced_packet(packet: PcapngPacket) -> bytes:
    """The block of one packet, inbound."""
    return b"".join(_packet_parts(packet))


def interface_statistics(
    interface: int, at_ns: int, counts: InterfaceCounts, start_ns: int | None = None, end_ns: int | None = None
) -> bytes:
    """The block of an interface's counts.

    Args:
        interface: Its place in the file, from 0.
        at_ns: When the counts were taken; UTC, nanoseconds since 1970, like the other two.
        counts: From the start of the capture on.
        start_ns: When the capture began; None: not known.
        end_ns: When it ended; None: it goes on.
    """
    options = b"".join(
        _option(code, _split_stamp(stamp))
        for code, stamp in ((_ISB_STARTTIME, start_ns), (_ISB_ENDTIME, end_ns))
        if stamp is not None
    )
    numbers = (
        (_ISB_IFRECV, counts.received),
        (_ISB_IFDROP, counts.interface_drops),
        (_ISB_OSDROP, counts.system_drops),
        (_ISB_USRDELIV, counts.delivered),
    )
    options += b"".join(_option(code, _u64(number)) for code, number in numbers if number is not None)
    return _block(_INTERFACE_STATISTICS, struct.pack("<I", interface) + _split_stamp(at_ns) + _ended(options))


class PcapngWriter:
    """Writes one section. Blocks are gathered, and handed over by `flush` in one piece."""

    def __init__(
        self, write: Callable[[bytes], object], hardware: str = "", system: str = "", application: str = ""
    ) -> None:
        """Begins the section.

        Args:
            write: Takes whole blocks; called by `flush` only.
            hardware: The machine; empty: left out, like the other two.
            system: Its operating system.
            application: What writes this.
        """
        self._write = write
        self._parts = [section_header(hardware, system, application)]
        self._interfaces = 0

    def add_interface(self, link_type: int, name: str = "", description: str = "") -> int:
        """Announces an interface; returns the number that its packets bear."""
        self._parts.append(interface_description(link_type, name, description))
        self._interfaces += 1
        return self._interfaces - 1

    def packets(self, packets: Iterable[PcapngPacket | tuple[int, int, int, bytes, int, str]]) -> None:
        """Appends packets, in order."""
        for packet in packets:
            self._parts += _packet_parts(packet)

    def statistics(
        self,
        interface: int,
        at_ns: int,
        counts: InterfaceCounts,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        """Appends an interface's counts: see `interface_statistics`."""
        self._parts.append(interface_statistics(interface, at_ns, counts, start_ns, end_ns))

    def flush(self) -> None:
        """Hands over what was gathered."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._write(data)


def _packet_parts(packet: PcapngPacket | tuple[int, int, int, bytes, int, str]) -> tuple[bytes, bytes, bytes, bytes]:
    interface, ts_ns, wire_length, frame, drops, comment = packet
    captured = len(frame)
    end = _ENDS_PLAIN[captured & 3] if not (drops or comment) else _marked_end(captured, drops, comment)
    length = _HEAD_BYTES + captured + len(end) + 4
    if not 0 <= ts_ns <= _U64_MAX:
        ts_ns = 0 if ts_ns < 0 else _U64_MAX
    head = _PACKET_HEAD.pack(
        _ENHANCED_PACKET, length, interface, ts_ns >> 32, ts_ns & _U32_MAX, captured, max(captured, wire_length)
    )
    return head, frame, end, _TRAILER.pack(length)


def _marked_end(captured: int, drops: int, comment: str) -> bytes:
    dropped = _option(_EPB_DROPCOUNT, _u64(drops)) if drops else b""
    return _PADDING[captured & 3] + _ended(_text(_OPT_COMMENT, comment) + _FLAGS_OPTION + dropped)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + _TRAILER.pack(length)


def _ended(options: bytes) -> bytes:
    return options + struct.pack("<HH", _OPT_END, 0) if options else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PADDING[len(value) & 3]


def _text(code: int, text: str) -> bytes:
    """As UTF-8, cut where an option can hold no more, but never within a character; empty: no option."""
    data = text.encode("utf-8", "replace")[:_OPTION_BYTES_MAX].decode("utf-8", "ignore").encode()
    return _option(code, data) if data else b""


def _u64(number: int) -> bytes:
    return struct.pack("<Q", min(max(number, 0), _U64_MAX))


def _split_stamp(ts_ns: int) -> bytes:
    """As packets have it: the upper half first."""
    clamped = min(max(ts_ns, 0), _U64_MAX)
    return struct.pack("<II", clamped >> 32, clamped & _U32_MAX)
