"""Bytes as tcpdump prints them: sixteen a line in pairs, with their offset, and on request what of it is ASCII."""

_PRINTABLE = bytes(code if 0x20 < code < 0x7F else 0x2E for code in range(256))
_LINE_BYTES = 16
_PAIRS_WIDTH = 40


def hex_dump(data: bytes, ascii_too: bool) -> str:
    """Lines that each begin with a tab; the empty string for no bytes."""
    lines = []
    for at in range(0, len(data), _LINE_BYTES):
        part = data[at : at + _LINE_BYTES]
        # Grouped from the left: an odd last byte stands alone.
        pairs = "".join(f" {part[index : index + 2].hex()}" for index in range(0, len(part), 2))
        text = f"  {part.translate(_PRINTABLE).decode('ascii')}" if ascii_too else ""
        lines.append(f"\t0x{at:04x}: {pairs:<{_PAIRS_WIDTH if ascii_too else 0}}{text}\n")
    return "".join(lines)
