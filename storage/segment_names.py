"""Names of segments: NAME.arrow.part while it grows, NAME.arrow when it has its footer, NAME.arrow.sum beside either.

A name sorts by the time of opening and tells the first ring sequence.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

PART_SUFFIX = ".arrow.part"
SEGMENT_SUFFIX = ".arrow"
SIDECAR_SUFFIX = ".arrow.sum"
NAME_PATTERN = re.compile(r"\d{8}T\d{6}\.\d{9}Z-\d{12,19}")
_FIELDS = ((0, 4), (4, 2), (6, 2), (9, 2), (11, 2), (13, 2))  # of YYYYmmddTHHMMSS: where, and how many digits
DAMAGED_SUFFIX = ".arrow.damaged"
"""Set aside: no reader looks at it."""


def segment_name(opened_ns: int, first_seq: int) -> str:
    """A name that sorts by time: UTC time of opening and the first ring sequence."""
    seconds, nanoseconds = divmod(opened_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{nanoseconds:09d}Z-{first_seq:012d}"


def opened_ns(name: str) -> int:
    """When a segment was opened, UTC, out of its name."""
    year, month, day, hour, minute, second = (int(name[at : at + size]) for at, size in _FIELDS)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)  # strptime loads a module the first time
    return int(moment.timestamp()) * 10**9 + int(name[16:25])


def first_sequence(name: str) -> int:
    """The first ring sequence, out of a segment's name."""
    return int(name.rpartition("-")[2])


def sibling(path: Path, suffix: str) -> Path:
    """Another file of a part's or a complete segment's name."""
    return path.with_name(path.name.partition(SEGMENT_SUFFIX)[0] + suffix)


def segment_files(directory: Path) -> dict[str, set[str]]:
    """The segments in ARCHIVE/segments/RING by name, with the suffixes that are there of each. Opens none of them.

    Raises:
        OSError: The directory cannot be listed.
    """
    found: dict[str, set[str]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            name, dot, suffix = entry.name.partition(SEGMENT_SUFFIX)
            if dot and NAME_PATTERN.fullmatch(name):
                found.setdefault(name, set()).add(dot + suffix)
    return found
