"""One packet's header, read as a framing says: slow and plain, for guessing from a few samples.

What records and tracks reads natively. `None` of `read_header` is a packet that does not fit, as a `bad` one there.
"""

from __future__ import annotations

from dataclasses import dataclass

from nanotape.config.framing import Framing, Label, Length, Number, Send, Status

_EARLIEST_NS = 31_536_000 * 10**9  # 1971
_LATEST_NS = 2**63
_UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "s+ns": 10**9}


@dataclass(frozen=True, slots=True)
class PayloadSample:
    """How one packet's payload begins."""

    stamp_ns: int
    """When it arrived; UTC."""
    payload_bytes: int
    """On the wire."""
    data: bytes
    """Its beginning, as far as it was kept."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a framing reads in a packet."""

    status: Status
    sequence: int
    count: int
    """Messages by which the sequence grows; 0 of heartbeats and ends of session."""
    session: str
    key: str
    send_ns: int | None
    """None: the header has none, or one that cannot be."""


def read_header(framing: Framing, sample: PayloadSample) -> Header | None:
    """The header; None where the packet does not fit. The sample has to hold the whole header, or all there is."""
    data = sample.data
    if min(len(data), sample.payload_bytes) < framing.header or not _fits(framing, sample):
        return None
    status = _status(framing, data)
    if status == "bad" or (status == "data" and framing.count is not None and len(data) < framing.count.end):
        return None
    sequence = _sequence(framing, data)
    if sequence >= 1 << 63:
        return None
    status, count = _counted(framing, status, _count(framing, data), sequence)
    return Header(
        status=status,
        sequence=sequence,
        count=count,
        session=_label(framing, framing.session, data),
        key=_label(framing, framing.key, data),
        send_ns=_send_ns(framing, framing.send, data),
    )


def number(framing: Framing, part: Number | Label | Length, data: bytes, base: int = 0) -> int:
    """A number of the header, or of a message that begins at `base`."""
    raw = data[base + part.offset : base + part.end]
    value = int.from_bytes(raw, framing.endian, signed=getattr(part, "signed", False))
    mask: int | None = getattr(part, "mask", None)
    return value if mask is None else (value & mask) >> ((mask & -mask).bit_length() - 1)


def _fits(framing: Framing, sample: PayloadSample) -> bool:
    data = sample.data
    for expect in framing.expect:
        if int.from_bytes(data[expect.offset : expect.end], framing.endian) not in expect.values:
            return False
    if (
        framing.length is not None
        and number(framing, framing.length, data) + framing.length.add != sample.payload_bytes
    ):
        return False
    return framing.chain is None or _chain_fits(framing, framing.chain, sample)


def _chain_fits(framing: Framing, chain: Length, sample: PayloadSample) -> bool:
    """As far as the sample reaches."""
    base = 0
    while base + framing.header <= len(sample.data):
        length = number(framing, chain, sample.data, base) + chain.add
        if length < framing.header:
            return False
        base += length
    return base <= sample.payload_bytes and (len(sample.data) < sample.payload_bytes or base == len(sample.data))


def _status(framing: Framing, data: bytes) -> Status:
    flag = framing.status
    if flag is None:
        return "data"
    value = data[flag.offset]
    if flag.mask is not None:
        value = (value & flag.mask) >> ((flag.mask & -flag.mask).bit_length() - 1)
    return flag.values.get(str(value), flag.other)


def _count(framing: Framing, data: bytes) -> int:
    if framing.count is None:
        return 1
    return number(framing, framing.count, data) if len(data) >= framing.count.end else 0


def _counted(framing: Framing, status: Status, count: int, sequence: int) -> tuple[Status, int]:
    if status in ("heartbeat", "end"):
        return status, 0
    if status != "data":
        return status, count
    if sequence == framing.unsequenced:
        return "unsequenced", count
    if framing.end_count is not None and count == framing.end_count:
        return "end", 0
    if framing.heartbeat_count is not None and count == framing.heartbeat_count:
        return "heartbeat", 0
    return status, count


def _sequence(framing: Framing, data: bytes) -> int:
    high = 0 if framing.sequence_high is None else number(framing, framing.sequence_high, data)
    return high << 32 | number(framing, framing.sequence, data)


def _label(framing: Framing, label: Label | None, data: bytes) -> str:
    if label is None:
        return ""
    if label.text:
        return data[label.offset : label.end].rstrip(b" \0").decode("latin-1")
    return str(number(framing, label, data))


def _send_ns(framing: Framing, send: Send | None, data: bytes) -> int | None:
    if send is None:
        return None
    at = int.from_bytes(data[send.offset : send.offset + send.width], framing.endian) * _UNIT_NS[send.form]
    if send.ns_offset is not None:
        nanoseconds = int.from_bytes(data[send.ns_offset : send.ns_offset + 4], framing.endian)
        if nanoseconds >= 10**9:
            return None
        at += nanoseconds
    return at if _EARLIEST_NS <= at < _LATEST_NS else None
