"""The processes of a running service, by what they are to it, and the capabilities of each of their threads."""

from __future__ import annotations

import contextlib
import pathlib

NONE = {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0}
HOLDER, CAPTURE, RECORDER = "nanotape-holder", "nanotape-capture", "recorder"


def parts(supervisor: int) -> dict[str, list[int]]:
    """Process ids by part; every process of the service is one, but for looks for listeners, which come and go."""
    found: dict[str, list[int]] = {"supervisor": [supervisor]}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if (
                not entry.name.isdigit()
                or int((entry / "stat").read_text().rpartition(")")[2].split()[1]) != supervisor
            ):
                continue
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            name = RECORDER if "record" in words else pathlib.Path(words[0]).name
            if words[0] and "--listeners" not in words:  # an ended look has no words
                found.setdefault(name, []).append(int(entry.name))
    return found


def capabilities_of(pid: int) -> list[dict[str, int]]:
    """Of each thread."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (line.partition(":\t") for line in (task / "status").read_text().splitlines())
        found.append({name: int(value, 16) for name, _, value in lines if name in NONE})
    return found
