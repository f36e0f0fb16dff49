"""Cuts payloads into messages by the rule of their framing, many payloads at a time.

Each message states its length, so messages are cut first to last: all first ones at once, all second ones, and so on. A
payload that the lengths do not fill to its last byte gives none: nobody knows which of them is wrong.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanotape.config.framing import Label, Messages, Number
from nanotape.storage.arrivals import Longs

Bytes = npt.NDArray[np.uint8]
Endian = Literal["big", "little"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Messages, those of a payload after each other."""

    payload: Longs
    """Place of the payload."""
    index: Longs
    """0: the first one of it."""
    begin: Longs
    """First byte of the message, its length included."""
    end: Longs
    """One after its last byte."""

    def at(self, chosen: npt.NDArray[Any]) -> "Cut":
        """Those messages only."""
        return Cut(self.payload[chosen], self.index[chosen], self.begin[chosen], self.end[chosen])


def cut(
    data: Bytes, begin: Longs, end: Longs, most: Longs, rule: Messages, endian: Endian
) -> tuple[Cut, npt.NDArray[np.bool_]]:
    """All messages of payloads, and which payloads they fill.

    Args:
        data: Holds all payloads.
        begin: Where each begins.
        end: Where it ends.
        most: How many messages there can be in it.
        rule: How messages follow.
        endian: Order of the bytes of a number.

    Returns:
        The messages of payloads that they fill; and of each payload whether they do.
    """
    at = begin + rule.at
    fits = at <= end
    least = max(rule.length.end, rule.skip, 1)
    active = np.flatnonzero(at < end)
    parts: list[Cut] = []
    index = 0
    while len(active):
        can_be = (end[active] - at[active] >= rule.length.end) & (index < most[active])
        fits[active[~can_be]] = False
        active = active[can_be]
        size = number(data, at[active], rule.length, endian)
        is_inside = size <= np.uint64(1 << 32)
        length = np.where(is_inside, size, np.uint64(0)).astype(np.int64) + rule.add
        is_inside &= (length >= least) & (length <= end[active] - at[active])
        fits[active[~is_inside]] = False
        active, length = active[is_inside], length[is_inside]
        parts.append(Cut(active, np.full(len(active), index), at[active], at[active] + length))
        at[active] += length
        active = active[at[active] < end[active]]
        index += 1
    return _whole(parts, fits), fits


def number(data: Bytes, at: Longs, field: Number | Label, endian: Endian) -> npt.NDArray[np.uint64]:
    """A number of a header or message that begins at each of these places, which must hold it."""
    value = np.zeros(len(at), np.uint64)
    order = range(field.width) if endian == "big" else range(field.width - 1, -1, -1)
    for byte in order:
        value = (value << np.uint64(8)) | data[at + field.offset + byte].astype(np.uint64)
    if field.mask is not None:
        lowest = (field.mask & -field.mask).bit_length() - 1
        value = (value & np.uint64(field.mask)) >> np.uint64(lowest)
    return value


def types(data: Bytes, cut_: Cut, label: Label | None, endian: Endian) -> tuple[Longs, list[str]]:
    """The type of each message as a place in a list; -1: it shows none."""
    places = np.full(len(cut_.begin), -1, np.int64)
    if label is None:
        return places, []
    shows = np.flatnonzero(cut_.begin + label.end <= cut_.end)
    at = cut_.begin[shows]
    if label.text:
        raw = data[(at + label.offset)[:, None] + np.arange(label.width)]
        present, found = np.unique(raw, axis=0, return_inverse=True)
        texts = [bytes(each).rstrip(b" \0").decode("latin-1") for each in present]
    else:
        numbers, found = np.unique(number(data, at, label, endian), return_inverse=True)
        texts = [str(_signed(each, label)) for each in numbers.tolist()]
    places[shows] = found.reshape(-1)
    return places, texts


def _signed(value: int, label: Label) -> int:
    bits = 8 * label.width if label.mask is None else (label.mask // (label.mask & -label.mask)).bit_length()
    return value - (1 << bits) if label.signed and value >> (bits - 1) & 1 else value


def _whole(parts: list[Cut], fits: npt.NDArray[np.bool_]) -> Cut:
    """All parts, without what is of payloads that do not fit, payload by payload."""
    none = np.empty(0, np.int64)
    payload = np.concatenate([none, *(part.payload for part in parts)])
    order = np.argsort(payload, kind="stable")
    order = order[fits[payload[order]]]
    index, begin, end = (
        np.concatenate([none, *(getattr(part, name) for part in parts)])[order] for name in ("index", "begin", "end")
    )
    return Cut(payload[order], index, begin, end)
