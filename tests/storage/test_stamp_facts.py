"""By what packets are stamped, in the metadata of each segment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from recorder_bench import Bench
from synthetic import Source, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.stamp_facts import STAMPS_KEY, stamps_text


@dataclass(frozen=True)
class StampedSource(Source):
    """One that says how it is stamped."""

    name: str
    stamp_kind: str | None
    stamp_domain: str
    stamp_offset_ns: int | None


@dataclass
class StampedRing(SyntheticRing):
    """A ring whose sources say so, until somebody changes them."""

    stamped: list[Any] = field(default_factory=list)

    def sources(self) -> tuple[Any, ...]:
        return tuple(self.stamped)


def xdp(offset_ns: int | None) -> StampedSource:
    return StampedSource("eth1", "afxdp:eth1:0", "xdp", "tai", offset_ns)


def told(path: Path) -> list[dict[str, Any]]:
    with pa.ipc.open_file(path) as reader:
        found: list[dict[str, Any]] = json.loads(reader.schema.metadata[STAMPS_KEY])
    return found


def test_each_segment_says_by_what_its_packets_are_stamped_as_it_begins(archive: Archive) -> None:
    ring = StampedRing(newest=3, stamped=[xdp(0)])
    bench = Bench(archive, ring, batch_rows=3)
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.rotate()
    ring.stamped = [xdp(37_000_000_000), StampedSource("eth2", "afxdp:eth2:0", "nic", "free", None)]
    ring.newest = 6
    bench.record_all()
    bench.recorder.finish()
    first, second = (told(facts.path) for facts in archive.segments())
    afxdp = {"source": "afxdp:eth1:0", "interface": "eth1", "kind": "xdp", "domain": "tai"}
    assert first == [{**afxdp, "offset_ns": 0}]
    assert second == [
        {**afxdp, "offset_ns": 37_000_000_000},
        {"source": "afxdp:eth2:0", "interface": "eth2", "kind": "nic", "domain": "free", "offset_ns": None},
    ]


def test_of_a_source_that_says_nothing_nothing_is_known() -> None:
    unknown = {"source": None, "interface": "eth8", "kind": None, "domain": "unknown", "offset_ns": None}
    assert json.loads(stamps_text([Source("eth8")])) == [unknown]
