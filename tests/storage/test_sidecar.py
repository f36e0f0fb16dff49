import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.storage import sidecar
from nanotape.storage.errors import SegmentFormatError
from nanotape.storage.sidecar import ENTRY_BYTES, HEADER_BYTES, SidecarEntry

RING_ID = bytes(range(16))
ENTRIES = [
    SidecarEntry(8, 512, -1, -1, 0, 0x01020304),
    SidecarEntry(520, 384, 7, 9, 3, 0x11223344),
    SidecarEntry(904, 100, 10, 12, 3, 0x55667788),
]


def example_bytes(title: str) -> bytes:
    """The bytes beside one of the drawings in the module's docstring."""
    drawing = (sidecar.__doc__ or "").split(title)[1].split("\n\n")[0]
    return bytes.fromhex(" ".join(re.findall(r"\|   ([0-9a-f ]+)$", drawing, re.MULTILINE)))


def test_the_drawings_show_the_bytes_that_are_written() -> None:
    assert example_bytes("header, 32 bytes") == sidecar.pack_header(RING_ID)
    assert example_bytes("entry, 44 bytes") == ENTRIES[1].pack()


def test_what_was_packed_is_parsed() -> None:
    parsed = sidecar.parse(sidecar.pack(RING_ID, ENTRIES))
    assert parsed == sidecar.Sidecar(RING_ID, tuple(ENTRIES), damaged=False)
    assert (parsed.end, parsed.rows, parsed.first_seq, parsed.last_seq) == (1004, 6, 7, 12)


def test_every_truncation_gives_the_whole_entries_and_no_damage() -> None:
    data = sidecar.pack(RING_ID, ENTRIES)
    for length in range(len(data)):
        parsed = sidecar.parse(data[:length])
        if length < HEADER_BYTES:
            assert parsed is None
        else:
            assert parsed == sidecar.Sidecar(
                RING_ID, tuple(ENTRIES[: (length - HEADER_BYTES) // ENTRY_BYTES]), damaged=False
            )


def test_every_flipped_bit_ends_the_entries_where_it_is() -> None:
    data = sidecar.pack(RING_ID, ENTRIES)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        parsed = sidecar.parse(bytes(flipped))
        if bit // 8 < HEADER_BYTES:
            assert parsed is None
            continue
        slot = (bit // 8 - HEADER_BYTES) // ENTRY_BYTES
        assert parsed is not None
        assert parsed.entries == tuple(ENTRIES[:slot])
        assert parsed.damaged == (slot < len(ENTRIES) - 1), "a bad last entry is torn, another one is damage"


def test_a_hole_between_entries_is_damage() -> None:
    parsed = sidecar.parse(sidecar.pack(RING_ID, [ENTRIES[0], ENTRIES[2], ENTRIES[1]]))
    assert parsed == sidecar.Sidecar(RING_ID, (ENTRIES[0],), damaged=True)


def test_another_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "VERSION", 2)
    newer = sidecar.pack_header(RING_ID)
    monkeypatch.undo()
    with pytest.raises(SegmentFormatError, match="version 1 expected, found 2"):
        sidecar.parse(newer)


def test_no_file_is_no_sidecar(tmp_path: Path) -> None:
    assert sidecar.read(tmp_path / "none.arrow.sum") is None


@given(st.binary(max_size=300))
def test_garbage_is_no_sidecar(data: bytes) -> None:
    assert sidecar.parse(data) is None
