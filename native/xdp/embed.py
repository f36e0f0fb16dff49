# SPDX-License-Identifier: Apache-2.0
"""Writes an object file as a C array, so that the holder needs no file beside it. Usage: embed.py OBJECT OUTPUT.c."""

from __future__ import annotations

import sys
from pathlib import Path

LINE_BYTES = 24


def embed(data: bytes) -> str:
    """Returns C source that defines `nt_select_object` and `nt_select_object_bytes` (see embedded.h)."""
    lines = [
        "\t" + " ".join(f"0x{byte:02x}," for byte in data[start : start + LINE_BYTES])
        for start in range(0, len(data), LINE_BYTES)
    ]
    return "\n".join(
        [
            '#include "xdp/embedded.h"',
            "_Alignas(8) const unsigned char nt_select_object[] = {",
            *lines,
            "};",
            "const size_t nt_select_object_bytes = sizeof(nt_select_object);",
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(embed(Path(sys.argv[1]).read_bytes()), encoding="ascii")
