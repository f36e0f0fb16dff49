"""Which BPF objects of a program the kernel still has: the program, its maps, the links that attach it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

Objects = set[tuple[str, int]]
"""Kind, as bpftool names it, and id. Ids go up and are not given again."""


def objects_of(program: int) -> Objects:
    """A loaded XDP program, with all that it brings."""
    links = [each["id"] for each in _listed("link") if each.get("prog_id") == program]
    maps = [number for each in _listed("prog") if each["id"] == program for number in each.get("map_ids", ())]
    return {("prog", program), *(("link", each) for each in links), *(("map", each) for each in maps)}


def still_there(objects: Objects) -> Objects:
    """Those of them that the kernel has not freed."""
    return objects & {(kind, each["id"]) for kind in ("prog", "map", "link") for each in _listed(kind)}


def _listed(kind: str) -> list[dict[str, Any]]:
    done = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found
