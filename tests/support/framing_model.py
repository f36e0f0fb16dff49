"""A plain twin of the native decoder of feed headers and of the cutter of messages, written from the rules of framings.

Slow, one packet at a time. Where several headers share a datagram it takes whole captures only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nanotape.config.framing import Expect, Framing, Label, Length, Messages, Number, Send

FRAGMENT = 16
"""Bit of a packet's flags: part of an IP datagram."""
EARLIEST_NS, LATEST_NS = 31_536_000 * 10**9, 2**63 - 1
SEQUENCE_MAX = 2**63 - 1
"""What the columns can hold."""
NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "s+ns": 10**9}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The feed columns of a packet."""

    status: str
    session: str | None = None
    key: str | None = None
    seq: int | None = None
    count: int | None = None
    ts_send_ns: int | None = None


BAD = Decoded("bad")


def decode(spec: Framing, payload: bytes, payload_bytes: int, flags: int = 0, role: str = "incremental") -> Decoded:
    """What a packet's header says.

    Args:
        spec: Its framing.
        payload: As much of it as was captured.
        payload_bytes: Its length on the wire.
        flags: Of the packet.
        role: Of its channel.
    """
    if flags & FRAGMENT or len(payload) < spec.header:
        return BAD
    if spec.length and _number(spec, spec.length, payload) + spec.length.add != payload_bytes:
        return BAD
    found = _one(spec, payload) if spec.chain is None else _chained(spec, spec.chain, payload)
    if found.status == "data":
        shown = {"snapshot": "snapshot", "definition": "snapshot", "retransmit": "retransmit"}.get(role, "data")
        return replace(found, status=shown)
    return found


def split(spec: Framing, payload: bytes) -> list[tuple[str | None, bytes]] | None:
    """Type and bytes of each message; None: their lengths do not come to the payload's."""
    rule = spec.messages
    assert rule is not None
    at, found = rule.at, []
    if at > len(payload):
        return None
    while at < len(payload):
        if at + rule.length.end > len(payload):
            return None
        length = _number(spec, rule.length, payload[at:]) + rule.add
        if length < max(1, rule.length.end, rule.skip) or at + length > len(payload):
            return None
        found.append((_type(spec, rule, payload[at : at + length]), payload[at + rule.skip : at + length]))
        at += length
    return found


def _type(spec: Framing, rule: Messages, message: bytes) -> str | None:
    if rule.type is None or len(message) < rule.type.end:
        return None
    if rule.type.text:
        return message[rule.type.offset : rule.type.end].rstrip(b" \0").decode("latin-1")
    return _label(spec, rule.type, message)


def _one(spec: Framing, header: bytes) -> Decoded:
    if any(_number(spec, each, header) not in each.values for each in spec.expect):
        return BAD
    seq = _number(spec, spec.sequence, header)
    if spec.sequence_high:
        seq += _number(spec, spec.sequence_high, header) << 32
    count = _count(spec, header)
    status = _status(spec, header, seq, count)
    if status == "bad" or seq > SEQUENCE_MAX or (count is None and status not in ("heartbeat", "end")):
        return BAD
    shown = 0 if status in ("heartbeat", "end") or count is None else count
    session, key = (_label(spec, each, header) if each else None for each in (spec.session, spec.key))
    return Decoded(status, session, key, seq, shown, _send_ns(spec, spec.send, header) if spec.send else None)


def _chained(spec: Framing, chain: Length, payload: bytes) -> Decoded:
    found: list[Decoded] = []
    at = 0
    while at < len(payload):
        if len(payload) - at < spec.header:
            return BAD
        found.append(_one(spec, payload[at:]))
        length = _number(spec, chain, payload[at:]) + chain.add
        if length < spec.header or at + length > len(payload) or found[-1] == BAD:
            return BAD
        at += length
    sequenced = [each for each in found if each.status == "data"]
    return replace(sequenced[0], count=len(sequenced)) if sequenced else found[0]


def _count(spec: Framing, header: bytes) -> int | None:
    """None: the packet ends before it, as heartbeats of MEMX do."""
    if spec.count is None:
        return 1
    return _number(spec, spec.count, header) if spec.count.end <= len(header) else None


def _status(spec: Framing, header: bytes, seq: int, count: int | None) -> str:
    if spec.status:
        flag = header[spec.status.offset]
        told = spec.status.values.get(str(_masked(flag, spec.status.mask)), spec.status.other)
        if told != "data":
            return told
    if seq == spec.unsequenced:
        return "unsequenced"
    if count is not None and count == spec.end_count:
        return "end"
    if count is not None and count == spec.heartbeat_count:
        return "heartbeat"
    return "data"


def _number(spec: Framing, place: Number | Label | Length | Expect, data: bytes) -> int:
    value = int.from_bytes(data[place.offset : place.offset + place.width], spec.endian)
    return _masked(value, getattr(place, "mask", None))


def _masked(value: int, mask: int | None) -> int:
    if mask is None:
        return value
    value &= mask
    while not mask & 1:
        value, mask = value >> 1, mask >> 1
    return value


def _label(spec: Framing, label: Label, data: bytes) -> str:
    if label.text:
        text = data[label.offset : label.end].rstrip(b" \0").decode("ascii", "backslashreplace")
        return text.replace("\0", "\\x00")
    value = _number(spec, label, data)
    is_negative = label.signed and value >> (8 * label.width - 1)
    return str(value - (1 << 8 * label.width) if is_negative else value)


def _send_ns(spec: Framing, send: Send, header: bytes) -> int | None:
    at = int.from_bytes(header[send.offset : send.offset + send.width], spec.endian) * NS[send.form]
    if send.ns_offset is not None:
        ns = int.from_bytes(header[send.ns_offset : send.ns_offset + 4], spec.endian)
        if ns >= 10**9:
            return None
        at += ns
    return at if EARLIEST_NS <= at <= LATEST_NS else None
