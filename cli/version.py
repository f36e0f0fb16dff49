"""What `nanotape --version` says: the version, and how it was built, for whoever is sent its output."""

import importlib.metadata
import sys
from collections.abc import Iterator

_LIBRARIES = ("pyarrow", "duckdb", "numpy", "pydantic", "zstandard")


def version_lines() -> Iterator[str]:
    """One fact a line, the version first."""
    yield f"nanotape {importlib.metadata.version('nanotape')}"
    yield from _native()
    python = ".".join(map(str, sys.version_info[:3]))
    known = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    yield f"Python {python} with {known}"


def build_facts() -> dict[str, str] | None:
    """Compiler and libraries of the native part, by name; None: this build has none, and reads archives only."""
    try:
        from nanotape.native import ffi, lib
    except ImportError:
        return None
    text = ffi.string(lib.nt_build_info()).decode()
    return dict(fact.split("=", 1) for fact in text.split(";"))


def _native() -> Iterator[str]:
    facts = build_facts()
    if facts is None:
        yield "without a native part: archives can be read, nothing can be captured"
        return
    libraries = ", ".join(f"{name} {how}" for name, how in facts.items() if name != "compiler")
    yield f"built by {facts['compiler']} with {libraries}"
    yield "sources: afxdp (its XDP program inside), packet, socket, pcap, synthetic"
