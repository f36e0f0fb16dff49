"""Payloads are cut into the messages that a plain twin cuts them into, many at a time, by any rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from framing_model import split
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.config.framing import Framing
from nanotape.storage.message_split import cut, types


@st.composite
def rules(draw: st.DrawFn) -> Framing:
    length: dict[str, Any] = {"offset": draw(st.integers(0, 3)), "width": draw(st.integers(1, 3))}
    if draw(st.integers(0, 3)) == 0:
        length["mask"] = draw(st.sampled_from([0x0F, 0xF0, 0x3C]))
    messages: dict[str, Any] = {
        "at": draw(st.integers(0, 4)),
        "length": length,
        "add": draw(st.integers(-2, 4)),
        "skip": draw(st.integers(0, 3)),
    }
    if draw(st.booleans()):
        messages["type"] = {"offset": draw(st.integers(0, 5)), "width": draw(st.integers(1, 3))}
        messages["type"] |= draw(st.sampled_from([{}, {"text": True}, {"signed": True}, {"mask": 0x3F}]))
    sequence = {"offset": 0, "width": 1}
    endian = draw(st.sampled_from(["big", "little"]))
    return Framing.model_validate({"endian": endian, "header": 1, "sequence": sequence, "messages": messages})


@st.composite
def payloads(draw: st.DrawFn, spec: Framing) -> bytes:
    """Often of whole messages."""
    rule = spec.messages
    assert rule is not None
    payload = draw(st.binary(min_size=rule.at, max_size=rule.at))
    for _ in range(draw(st.integers(0, 5))):
        size = draw(st.integers(rule.length.end, 14))
        message = bytearray(draw(st.binary(min_size=size, max_size=size)))
        shift = 0 if rule.length.mask is None else (rule.length.mask & -rule.length.mask).bit_length() - 1
        stated = max(0, size - rule.add) << shift
        message[rule.length.offset : rule.length.end] = stated.to_bytes(8, "big")[-rule.length.width :]
        if spec.endian == "little":
            message[rule.length.offset : rule.length.end] = message[rule.length.offset : rule.length.end][::-1]
        payload += bytes(message)
    if draw(st.integers(0, 3)) == 0:
        payload = payload[: draw(st.integers(0, len(payload)))] + draw(st.binary(max_size=2))
    return payload


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_payloads_by_any_rule_are_cut_alike(data: st.DataObject) -> None:
    spec = data.draw(rules())
    rule = spec.messages
    assert rule is not None
    several = data.draw(st.lists(payloads(spec), min_size=1, max_size=6))
    ends = np.cumsum([len(each) for each in several]).astype(np.int64)
    begins = ends - np.array([len(each) for each in several], np.int64)
    all_bytes = np.frombuffer(b"".join(several), np.uint8)
    most = np.full(len(several), 1 << 32, np.int64)
    found, fits = cut(all_bytes, begins, ends, most, rule, spec.endian)
    kinds, texts = types(all_bytes, found, rule.type, spec.endian)
    parts: list[list[tuple[str | None, bytes]]] = [[] for _ in several]
    for place, begin, end, kind in zip(found.payload, found.begin, found.end, kinds, strict=True):
        message = all_bytes[begin + rule.skip : end].tobytes()
        parts[place].append((texts[kind] if kind >= 0 else None, message))
    expected = [split(spec, each) for each in several]
    assert fits.tolist() == [each is not None for each in expected]
    assert parts == [each or [] for each in expected]
