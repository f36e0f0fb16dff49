"""Rows through the native decoder of switch stamps, and what it tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pcap_file import LINK_FLAGS, read_pcap
from ring_batch import Row, ring_batch

from nanotape.capture.switch_stamps import COLUMNS, SwitchCounts, SwitchStamps
from nanotape.config.switch import SwitchSettings

Told = tuple[int | None, int | None, int | None]


def stamps_of(rows: Sequence[Row], settings: SwitchSettings) -> tuple[list[Told], list[int], SwitchCounts]:
    """Stamp, device and port of each row, its flags, and the counts."""
    stamps = SwitchStamps({"eth1": settings})
    columns = stamps.columns(ring_batch(rows), ["eth1"])
    return told(columns), columns["flags"].to_pylist(), stamps.counts["eth1"]


def told(columns: dict[str, pa.Array]) -> list[Told]:
    assert tuple(columns) == COLUMNS
    for column in columns.values():
        column.validate(full=True)
    names = ("switch_device", "switch_port")
    stamps = columns["ts_switch"].cast(pa.int64()).to_pylist()
    return list(zip(stamps, *(columns[name].to_pylist() for name in names), strict=True))


def captured(path: Path) -> list[Row]:
    capture = read_pcap(path)
    flag = LINK_FLAGS[capture.link_type]
    return [Row(each.frame, each.ts_ns, each.wire_length, flag) for each in capture.frames]


def counts_of(form: str, **facts: int) -> SwitchCounts:
    nothing: dict[str, int | None] = dict.fromkeys(
        ("stamped", "implausible", "without_keyframe", "tai_like", "keyframes"), 0
    )
    return SwitchCounts(interface="eth1", form=form, is_detected=False, **{**nothing, "offset_ns": None, **facts})  # type: ignore[arg-type]
