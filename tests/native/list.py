"""Prints the names of the C tests beside it, one a line. Meson calls it."""

from __future__ import annotations

import pathlib

print("\n".join(sorted(path.stem for path in pathlib.Path(__file__).parent.glob("test_*.c"))))
