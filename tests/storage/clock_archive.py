"""An archive whose recorder was told of clocks: samples and changes come by a journal, as the clock service writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recorder_bench import Bench
from synthetic import SyntheticReader, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

SECOND_NS = 10**9
MIDNIGHT_NS = 1_795_824_000 * SECOND_NS
"""2026-11-28 00:00:00 UTC."""


def sample(at_ns: int, state: str = "locked", **fields: Any) -> dict[str, Any]:
    """A sample of a well-kept system clock; `fields` say what is otherwise."""
    usual = {"clock": "system", "source": "ptp4l", "method": "pmc", "offset_ns": -12, "error_ns": 400}
    master = {"grandmaster": "001122.fffe.334455", "utc_offset_s": 37, "utc_offset_source": "ptp"}
    return {"type": "sample", "at_ns": at_ns, "state": state, **usual, **master, **fields}


def seconds(begin_ns: int, count: int, state: str = "locked", **fields: Any) -> list[dict[str, Any]]:
    """One a second."""
    return [sample(begin_ns + second * SECOND_NS, state, **fields) for second in range(count)]


def change(at_ns: int, what: str, clock: str = "system", **fields: Any) -> dict[str, Any]:
    """Something that befell a clock."""
    told = {"type": "change", "at_ns": at_ns, "end_ns": at_ns, "clock": clock, "what": what, "severity": "warning"}
    return {**told, "detail": f"{what} told", **fields}


def clock_archive(path: Path, entries: Iterable[dict[str, Any]], host: str = "box") -> Archive:
    """Records them all, beside some packets."""
    folder = path.with_name(path.name + "-run")
    folder.mkdir()
    (folder / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    archive, ring = Archive.create(path), SyntheticRing(newest=100, host=host)
    bench = Bench(archive, ring)
    bench.recorder = Recorder(
        ring,
        SyntheticReader(ring),
        archive,
        RecorderOptions(fsync=Fsync.NEVER),
        clock=bench.clock,
        log=bench.lines.append,
        clock_folder=folder,
    )
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.finish()
    return archive
