"""Reads pcapng, for tests only: written from the specification, strict; little-endian sections, no block is skipped."""

import struct
from dataclasses import dataclass, field

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


@dataclass
class Block:
    """One block: fixed fields by name, options by code in order."""

    kind: int
    fields: dict[str, int] = field(default_factory=dict)
    options: dict[int, list[bytes]] = field(default_factory=dict)
    frame: bytes = b""

    def text(self, code: int) -> str | None:
        """An option as text."""
        return self.options[code][0].decode() if code in self.options else None

    def number(self, code: int) -> int | None:
        """An option as an unsigned number."""
        return int.from_bytes(self.options[code][0], "little") if code in self.options else None

    def stamp(self, code: int) -> int | None:
        """An option as a stamp: the upper half first."""
        if code not in self.options:
            return None
        high, low = struct.unpack("<II", self.options[code][0])
        return high << 32 | low


@dataclass
class PcapngFile:
    """All blocks of a file of one section."""

    blocks: list[Block]

    def of(self, kind: int) -> list[Block]:
        """The blocks of one kind, in order."""
        return [block for block in self.blocks if block.kind == kind]

    @property
    def packets(self) -> list[Block]:
        """The packets."""
        return self.of(PACKET)

    @property
    def interfaces(self) -> list[Block]:
        """The interfaces."""
        return self.of(INTERFACE)


_FIXED = {
    SECTION: ("<IHHq", ("magic", "major", "minor", "length")),
    INTERFACE: ("<HHI", ("link_type", "reserved", "snaplen")),
    STATISTICS: ("<III", ("interface", "high", "low")),
    PACKET: ("<IIIII", ("interface", "high", "low", "captured", "original")),
}


def parse(data: bytes) -> PcapngFile:
    """Every byte must belong to a block that is as the specification says."""
    blocks: list[Block] = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert 12 <= length <= len(data) - at
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        blocks.append(_block(kind, data[at + 8 : at + length - 4]))
        assert (kind == SECTION) == (len(blocks) == 1)
        if kind in (STATISTICS, PACKET):
            known = sum(block.kind == INTERFACE for block in blocks)
            assert blocks[-1].fields["interface"] < known
        at += length
    return PcapngFile(blocks)


def _block(kind: int, body: bytes) -> Block:
    layout, names = _FIXED[kind]
    block = Block(kind, dict(zip(names, struct.unpack_from(layout, body), strict=True)))
    at = struct.calcsize(layout)
    if kind == SECTION:
        assert block.fields["magic"] == 0x1A2B3C4D
        assert block.fields["major"] == 1
    if kind == PACKET:
        captured = block.fields["captured"]
        assert captured <= block.fields["original"]
        block.frame = body[at : at + captured]
        assert len(block.frame) == captured
        at = _padded(body, at, captured)
    if "high" in block.fields:
        block.fields["ts"] = block.fields.pop("high") << 32 | block.fields.pop("low")
    _options(block, body, at)
    return block


def _options(block: Block, body: bytes, at: int) -> None:
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert length == 0
            assert at + 4 == len(body)
            return
        value = body[at + 4 : at + 4 + length]
        assert len(value) == length
        block.options.setdefault(code, []).append(value)
        at = _padded(body, at + 4, length)
    assert not block.options, "options without an end"


def _padded(body: bytes, at: int, length: int) -> int:
    end = at + (length + 3) // 4 * 4
    assert end <= len(body)
    assert not any(body[at + length : end])
    return end
