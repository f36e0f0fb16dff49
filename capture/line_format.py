"""A ring's batches as text lines in tcpdump's format (`tcpdump -n --nano`), with channel and line at the end.

Stamps are the time of day in UTC. Never raises on what a frame holds.
"""

from typing import Literal, NamedTuple

import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.flow_table import OTHER_CHANNEL, FlowTable
from nanotape.capture.hex_dump import hex_dump

Dump = Literal["hex", "ascii"]

_SECOND_NS = 10**9
_UNPARSED, _FRAGMENT = FLAG_BITS["unparsed"], FLAG_BITS["fragment"]
_SLL, _SLL2, _RAW_IP = FLAG_BITS["linux_sll"], FLAG_BITS["linux_sll2"], FLAG_BITS["raw_ip"]
_OTHER_LINK = _SLL | _SLL2 | _RAW_IP
_TOLD = ("truncated", "bad_checksum", "backwards", "bad_stamp", "fragment", "unparsed")
_TOLD_BITS = {bit: name.replace("_", " ") for name, bit in FLAG_BITS.items() if name in _TOLD}
_TOLD_MASK = sum(_TOLD_BITS)
_IP_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMP6", 89: "OSPF", 103: "PIM", 112: "VRRP"}
_TAGS, _TAGS_MAX = (0x8100, 0x88A8, 0x9100), 2  # as the decoder does
_EXTENSIONS = (0, 43, 44, 60)  # of IPv6: next header and length come first
_ETHER_IPV4, _ETHER_IPV6 = 0x0800, 0x86DD
_ETHER_TYPE_OF_VERSION = {4: _ETHER_IPV4, 6: _ETHER_IPV6}
_ETHER_TYPES = {
    0x0806: "ARP",
    0x8100: "802.1Q",
    0x8808: "Pause",
    0x8809: "Slow Protocols",
    0x88A8: "802.1Q-QinQ",
    0x88CC: "LLDP",
    0x88F7: "PTP",
}


class _Row(NamedTuple):
    """What a line is made of; the ring's columns."""

    src_ip: str | None
    dst_ip: str | None
    src_port: int | None
    dst_port: int | None
    wire_len: int
    payload_len: int
    flags: int
    header: bytes
    payload: bytes


class LineFormat:
    """Makes the lines of one ring's batches."""

    def __init__(self, flows: FlowTable, dump: Dump | None = None, ring: str | None = None) -> None:
        """With a dump of each packet from its IP header on, and the ring's name, if wished."""
        self._flows, self._dump = flows, dump
        self._ring = f", ring {ring}" if ring else ""
        self._labels: dict[int, str] = {}
        self._clock: tuple[int | None, str] = (None, "")

    def text(self, batch: pa.RecordBatch) -> str:
        """The lines of a batch, each with its end."""
        return "".join(self.texts(batch))

    def texts(self, batch: pa.RecordBatch) -> list[str]:
        """The lines of each row, each with its end."""
        self._flows.refresh(batch.column("flow_id").unique().to_pylist())
        stamps = batch.column("ts").cast(pa.int64()).to_pylist()
        flow_ids, vlans = batch.column("flow_id").to_pylist(), batch.column("vlan").to_pylist()
        columns = [batch.column(name).to_pylist() for name in _Row._fields]
        rows = list(map(_Row._make, zip(*columns, strict=True)))
        trailers = batch.column("trailer").to_pylist() if self._dump else ()
        lines = [
            f"{self._time(ts)} {packet_text(row)} [{self._mark(flow_id, vlan, row)}]\n"
            for ts, row, flow_id, vlan in zip(stamps, rows, flow_ids, vlans, strict=True)
        ]
        if self._dump:
            dumps = (self._dump_of(row, trailer) for row, trailer in zip(rows, trailers, strict=True))
            return [line + dump for line, dump in zip(lines, dumps, strict=True)]
        return lines

    def _time(self, ts_ns: int) -> str:
        second, fraction = divmod(ts_ns, _SECOND_NS)
        if second != self._clock[0]:
            minutes, seconds = divmod(second % 86_400, 60)
            self._clock = second, f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        return f"{self._clock[1]}.{fraction:09}"

    def _mark(self, flow_id: int, vlan: int | None, row: _Row) -> str:
        label = self._labels.get(flow_id)
        if label is None:
            flow = self._flows.get(flow_id)
            label = f"{flow.channel}/{flow.line}" if flow else OTHER_CHANNEL
            label = self._labels[flow_id] = label + self._ring
        if vlan is not None:
            label += f", vlan {'.'.join(map(str, _vlans(row) or [vlan]))}"
        if row.flags & _TOLD_MASK:
            label += "".join(f", {name}" for bit, name in _TOLD_BITS.items() if row.flags & bit)
        return label

    def _dump_of(self, row: _Row, trailer: bytes) -> str:
        """Without the link's header, as tcpdump does."""
        frame = row.header + row.payload + trailer
        return hex_dump(frame[_link(frame, row.flags)[0] :], self._dump == "ascii")


def packet_text(row: _Row) -> str:
    """What stands between stamp and label."""
    if row.flags & _UNPARSED:
        return _unparsed_text(row)
    ip = "IP6" if row.src_ip and ":" in row.src_ip else "IP"
    if row.flags & _FRAGMENT:
        return _fragment_text(row, ip)
    return f"{ip} {row.src_ip}.{row.src_port} > {row.dst_ip}.{row.dst_port}: UDP, length {row.payload_len}"


def _fragment_text(row: _Row, ip: str) -> str:
    """IPv6: what the fragment header says; IPv4: tcpdump tells a later fragment's protocol and no more."""
    datagram = ""
    if row.src_port is not None:
        length = int.from_bytes(row.payload[4:6], "big") - 8  # of the whole datagram, by the UDP header within
        datagram = f"UDP, length {length}" if len(row.payload) >= 8 and length >= 0 else "UDP, truncated"
    if ip == "IP6":
        offset = int.from_bytes(row.header[-6:-4], "big") & 0xFFF8
        ports = f" {row.src_port} > {row.dst_port}: " if datagram else ""
        return f"IP6 {row.src_ip} > {row.dst_ip}: frag ({offset}|{row.payload_len}){ports}{datagram}"
    if datagram:
        return f"IP {row.src_ip}.{row.src_port} > {row.dst_ip}.{row.dst_port}: {datagram}"
    return f"IP {row.src_ip} > {row.dst_ip}: ip-proto-17"


def _unparsed_text(row: _Row) -> str:
    """Of what is not whole UDP the decoder left all behind the link's header in `payload`."""
    begin, kind = _link(row.header + row.payload, row.flags)
    if kind in (_ETHER_IPV4, _ETHER_IPV6):
        ip = "IP6" if kind == _ETHER_IPV6 else "IP"
        if row.src_ip is None:
            return f"{ip} [|{ip.lower()}], length {row.wire_len - begin}"
        return f"{ip} {row.src_ip} > {row.dst_ip}: {_protocol_text(row.payload, ip)}, length {row.wire_len - begin}"
    if kind is None:
        return f"[|link], length {row.wire_len}"
    stations = "" if row.flags & _OTHER_LINK else f"{row.header[6:12].hex(':')} > {row.header[:6].hex(':')}, "
    return f"{stations}ethertype {_ETHER_TYPES.get(kind, 'Unknown')} (0x{kind:04x}), length {row.wire_len}"


def _link(frame: bytes, flags: int) -> tuple[int, int | None]:
    """Bytes of the link's header with up to two tags, and the type of what follows; None when it is not whole."""
    if flags & _RAW_IP:
        return 0, _ETHER_TYPE_OF_VERSION.get(frame[0] >> 4) if frame else None
    begin, at = (20, 0) if flags & _SLL2 else (16, 14) if flags & _SLL else (14, 12)
    if len(frame) < begin:
        return len(frame), None
    kind = int.from_bytes(frame[at : at + 2], "big")
    for _ in range(_TAGS_MAX):
        if kind not in _TAGS or len(frame) < begin + 4:
            break
        kind = int.from_bytes(frame[begin + 2 : begin + 4], "big")
        begin += 4
    return begin, kind


def _vlans(row: _Row) -> list[int]:
    """Ids of the tags, outermost first: by that one flows are configured; 0, a priority, only where it is alone."""
    begin, at = (20, 0) if row.flags & _SLL2 else (16, 14) if row.flags & _SLL else (14, 12)
    frame = row.header + row.payload[: begin + _TAGS_MAX * 4]
    ids: list[int] = []
    while len(ids) < _TAGS_MAX and int.from_bytes(frame[at : at + 2], "big") in _TAGS and len(frame) >= begin + 4:
        ids.append(int.from_bytes(frame[begin : begin + 2], "big") & 0xFFF)
        at, begin = begin + 2, begin + 4
    return [each for each in ids if each] or ids[:1]


def _protocol_text(datagram: bytes, ip: str) -> str:
    protocol = _protocol_of_ipv6(datagram) if ip == "IP6" else datagram[9]
    return _IP_PROTOCOLS.get(protocol, f"ip-proto-{protocol}")


def _protocol_of_ipv6(datagram: bytes) -> int:
    """Behind the extension headers, as far as they were captured."""
    protocol, at = datagram[6], 40
    while protocol in _EXTENSIONS and at + 8 <= len(datagram):
        length = 8 if protocol == 44 else (datagram[at + 1] + 1) * 8
        protocol, at = datagram[at], at + length
    return protocol
