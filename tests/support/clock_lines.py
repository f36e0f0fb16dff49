"""The journal of a clock service, written by a test in its stead."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nanotape.storage.clock_entries import ClockChange, ClockSample

SECOND_NS = 10**9


def sample(at_ns: int, error_ns: int | None = 100, clock: str = "system", **columns: Any) -> ClockSample:
    """A sample with a value in every column, unless told otherwise."""
    given = {
        "state": "locked", "interface": None if clock == "system" else "eth8", "source": "ptp4l", "offset_ns": -17,
        "path_delay_ns": 4_321, "phc_sys_ns": 5, "freq_ppb": -1234.5, "grandmaster": "001122.fffe.334455",
        "gm_class": 6, "domain": 24, "steps_removed": 1, "utc_offset_s": 37, "utc_offset_source": "ptp",
        "method": "pmc", "growth_ppb": 1000,
    }  # fmt: skip
    return ClockSample(at_ns=at_ns, clock=clock, error_ns=error_ns, **(given | columns))


def change(at_ns: int, detail: str = "locked -> holdover", end_ns: int | None = None, **said: Any) -> ClockChange:
    """A clock that is in holdover, unless told otherwise."""
    given = {"clock": "system", "what": "state", "severity": "warning"}
    return ClockChange(at_ns=at_ns, detail=detail, end_ns=end_ns, **(given | said))


def line_of(entry: ClockSample | ClockChange) -> bytes:
    """As the service writes it."""
    kind = "sample" if isinstance(entry, ClockSample) else "change"
    return json.dumps({"type": kind, **asdict(entry)}).encode() + b"\n"


class JournalWriter:
    """Appends as the service does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "journal.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.entries: list[ClockSample | ClockChange] = []

    def write(self, *entries: ClockSample | ClockChange) -> None:
        self.entries += entries
        self.append(b"".join(map(line_of, entries)))

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def rotate(self) -> None:
        os.replace(self.path, self.folder / "journal.jsonl.old")
        self.path.touch()

    @property
    def samples(self) -> list[ClockSample]:
        return [each for each in self.entries if isinstance(each, ClockSample)]

    @property
    def changes(self) -> list[ClockChange]:
        return [each for each in self.entries if isinstance(each, ClockChange)]
