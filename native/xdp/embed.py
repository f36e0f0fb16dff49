# SPDX-License-Identifier: Apache-2.0
"""Writes an object file as a C array: no program needs a file beside it. Usage: embed.py NAME OBJECT OUTPUT.c."""

from __future__ import annotations

import sys
from pathlib import Path

LINE_BYTES = 24


def embed(name: str, data: bytes) -> str:
    """Returns C source that defines NAME and NAME_bytes (see embedded.h)."""
    lines = [
        "\t" + " ".join(f"0x{byte:02x}," for byte in data[start : start + LINE_BYTES])
        for start in range(0, len(data), LINE_BYTES)
    ]
    return "\n".join(
        [
            '#include "xdp/embedded.h"',
            f"_Alignas(8) const unsigned char {name}[] = {{",
            *lines,
            "};",
            f"const size_t {name}_bytes = sizeof({name});",
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(embed(sys.argv[1], Path(sys.argv[2]).read_bytes()), encoding="ascii")
