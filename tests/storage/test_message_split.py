"""The cutting of payloads against a loop over bytes, whatever the bytes are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.config.framing import Label, Messages, Number
from nanotape.storage.message_split import Endian, cut, types


def loop(payload: bytes, most: int, rule: Messages, endian: Endian) -> list[tuple[int, int]] | None:
    """Where messages begin and end; None: they do not fill the payload."""
    at, found = rule.at, []
    if at > len(payload):
        return None
    while at < len(payload):
        field = payload[at + rule.length.offset : at + rule.length.end]
        if len(field) < rule.length.width or len(found) >= most:
            return None
        value = int.from_bytes(field, endian)
        if rule.length.mask is not None:
            value = (value & rule.length.mask) // (rule.length.mask & -rule.length.mask)
        size = value + rule.add
        if size < max(rule.length.end, rule.skip, 1) or at + size > len(payload):
            return None
        found.append((at, at + size))
        at += size
    return found


PLACE = {"offset": st.integers(0, 2), "width": st.sampled_from([1, 2, 4, 8])}
RULES = st.builds(
    Messages,
    at=st.integers(0, 6),
    length=st.builds(Number, **PLACE) | st.builds(Number, **PLACE, mask=st.sampled_from([0x3F, 0xFC])),
    add=st.integers(-2, 4),
    skip=st.integers(0, 3),
    type=st.one_of(
        st.none(),
        st.builds(Label, offset=st.integers(0, 4), width=st.integers(1, 2), signed=st.booleans()),
        st.builds(Label, offset=st.integers(0, 4), width=st.integers(1, 4), text=st.just(True)),
    ),
)
BYTES = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 12, 65, 255]), max_size=40).map(bytes)


def shown(message: bytes, label: Label | None, endian: Endian) -> str | None:
    if label is None or len(message) < label.end:
        return None
    field = message[label.offset : label.end]
    if label.text:
        return field.rstrip(b" \0").decode("latin-1")
    return str(int.from_bytes(field, endian, signed=label.signed))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(BYTES, st.integers(0, 12)), min_size=1, max_size=8), RULES, st.sampled_from(["big", "little"])
)
def test_any_bytes_are_cut_as_a_loop_cuts_them(
    payloads: list[tuple[bytes, int]], rule: Messages, endian: Endian
) -> None:
    ends = np.cumsum([len(payload) for payload, _ in payloads])
    begins = ends - [len(payload) for payload, _ in payloads]
    data = np.frombuffer(b"".join(payload for payload, _ in payloads), np.uint8)
    found, fits = cut(data, begins, ends, np.array([most for _, most in payloads]), rule, endian)
    places, texts = types(data, found, rule.type, endian)
    kinds = [texts[at] if at >= 0 else None for at in places.tolist()]
    for number, (payload, most) in enumerate(payloads):
        expected = loop(payload, most, rule, endian)
        mine = np.flatnonzero(found.payload == number)
        assert bool(fits[number]) == (expected is not None)
        cuts = zip(
            (found.begin[mine] - begins[number]).tolist(), (found.end[mine] - begins[number]).tolist(), strict=True
        )
        assert list(cuts) == (expected or [])
        assert found.index[mine].tolist() == list(range(len(mine)))
        messages = [payload[begin:end] for begin, end in expected or []]
        assert [kinds[at] for at in mine] == [shown(each, rule.type, endian) for each in messages]
