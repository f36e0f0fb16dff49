"""A framing of the configuration as the table that the native decoder follows."""

from typing import Any

from nanotape.config.framing import Expect, Flag, Framing, Label, Length, Number
from nanotape.native import ffi, lib

STATUSES = ("data", "heartbeat", "retransmit", "snapshot", "reset", "end", "unsequenced", "bad")
"""By code: `enum nt_feed_status`."""
_FORMS = {"ns": 1, "us": 2, "ms": 3, "s": 4, "s+ns": 5}


def framing_table(framing: Framing) -> Any:
    """A `struct nt_framing` of it."""
    table = ffi.new("struct nt_framing *")
    table.big_endian = framing.endian == "big"
    table.header_bytes = framing.header
    table.heartbeat_next = framing.heartbeat_next
    for name in ("sequence", "sequence_high", "count", "session", "key"):
        _place(getattr(table, name), getattr(framing, name))
    for name in ("heartbeat_count", "end_count", "unsequenced", "heartbeat_idle"):
        value = getattr(framing, name)
        setattr(table, f"has_{name}", value is not None)
        setattr(table, name, value or 0)
    for name in ("length", "chain"):
        stated: Length | None = getattr(framing, name)
        _place(getattr(table, name), stated)
        setattr(table, f"{name}_add", stated.add if stated else 0)
    _expect(table, framing.expect)
    _status(table, framing.status)
    if framing.send:
        table.send_form = _FORMS[framing.send.form]
        table.send.offset, table.send.width = framing.send.offset, framing.send.width
        if framing.send.ns_offset is not None:
            table.send_ns.offset, table.send_ns.width = framing.send.ns_offset, 4
    return table


def _place(place: Any, number: Number | Label | Length | Expect | None) -> None:
    if number is None:
        return
    place.offset, place.width = number.offset, number.width
    place.mask = getattr(number, "mask", None) or 0
    is_text, is_signed = getattr(number, "text", False), getattr(number, "signed", False)
    place.kind = lib.NT_LABEL_TEXT if is_text else lib.NT_LABEL_SIGNED if is_signed else lib.NT_LABEL_UNSIGNED


def _expect(table: Any, expects: tuple[Expect, ...]) -> None:
    table.expect_count = len(expects)
    for entry, expect in zip(table.expect, expects, strict=False):
        _place(entry.number, expect)
        entry.value_count = len(expect.values)
        entry.values[0 : len(expect.values)] = list(expect.values)


def _status(table: Any, flag: Flag | None) -> None:
    other = STATUSES.index(flag.other if flag else "data")
    table.status_of = [other] * 256
    if flag is None:
        return
    table.status.offset, table.status.width, table.status.mask = flag.offset, 1, flag.mask or 0
    for value, status in flag.values.items():
        table.status_of[int(value)] = STATUSES.index(status)
