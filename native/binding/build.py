"""Emits the C source of `nanotape.native._binding` from the `*.cdef` files beside it. Meson calls it.

Each .cdef declares, in cffi's dialect, what Python may call of one part; the compiler checks it against HEADERS.
"""

from __future__ import annotations

import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent

# Declarations come in this order, so that a later file may name an earlier one's types; files not named follow.
CDEF_ORDER = ["fault", "ring", "plan", "loop", "holder", "columns", "feeds", "simulate"]

HEADERS = [
    "build_info.h",
    "fault.h",
    "clock.h",
    "ring/layout.h",
    "ring/ring.h",
    "ring/reader.h",
    "ring/writer.h",
    "plan/plan.h",
    "source/selector.h",
    "source/source.h",
    "source/synthetic.h",
    "source/socket.h",
    "loop/counters.h",
    "loop/loop.h",
    "holder/lend.h",
    "columns/columns.h",
    "feeds/feeds.h",
    "feeds/switch.h",
    "feeds/switch_stamp.h",
    "discover/discover.h",
    "simulate/simulate.h",
    "jitter/jitter.h",
]


def cdef_files() -> list[pathlib.Path]:
    """Returns the declarations' files in the order in which cffi must see them."""
    rank = {name: position for position, name in enumerate(CDEF_ORDER)}
    return sorted(FOLDER.glob("*.cdef"), key=lambda path: (rank.get(path.stem, len(rank)), path.stem))


def emit(output: pathlib.Path) -> None:
    """Writes the extension's C source."""
    # --list runs at configuration, before anything is known of the environment: only this needs cffi.
    import cffi

    builder = cffi.FFI()
    for path in cdef_files():
        builder.cdef(path.read_text(encoding="utf-8"))
    builder.set_source("nanotape.native._binding", "".join(f'#include "{header}"\n' for header in HEADERS))
    builder.emit_c_code(str(output))


def main() -> int:
    """Lists the declarations' files, or emits the source."""
    if sys.argv[1] == "--list":
        print("\n".join(path.name for path in cdef_files()))
    else:
        emit(pathlib.Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
