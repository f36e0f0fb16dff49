"""The stamps that switches wrote into frames, of a ring reader's batches: `ts_switch`, `switch_device`, `switch_port`.

Decoded natively, a batch at once; keyframes are remembered from batch to batch. What is too far from the capture's own
stamp is null, counted and flagged. Frames stay as they are. docs/switch-stamps.md tells the forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.severity import Info
from nanotape.config.switch import KEYFRAME_FORMS, SwitchForm, SwitchSettings
from nanotape.native import ffi, lib

COLUMNS = ("ts_switch", "switch_device", "switch_port", "flags")
"""What `SwitchStamps.columns` fills: columns of `packets`."""

FORMS: tuple[str, ...] = get_args(SwitchForm)
"""By number of `enum nt_switch_form`."""

_NO_OFFSET = (1 << 63) - 1
_TIMESTAMP = pa.timestamp("ns", "UTC")
_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class SwitchCounts:
    """What became of the stamps of one interface."""

    interface: str
    form: str | None
    """In use; None: `auto` has not seen any yet."""
    is_detected: bool
    """Whether `auto` found the form."""
    stamped: int
    implausible: int
    """Too far from the capture's stamp, or no time at all."""
    without_keyframe: int
    """Ticks before a keyframe came, or too long after the last one."""
    tai_like: int
    """Of the implausible: about 37 s off, as by a wrong `switch_tai`."""
    keyframes: int
    offset_ns: int | None
    """Switch less capture, of the latest implausible stamp; None: none yet, or it was no time."""

    @property
    def complaint(self) -> str | None:
        """One line on what is wrong with the stamps, and what to do; None: nothing."""
        if self.tai_like:
            return self._tai_complaint()
        if self.implausible:
            offset = "no time" if self.offset_ns is None else f"{self.offset_ns / 1e9:+.6f} s from the capture's stamp"
            return (
                f"{self.interface}: expected {self.form} stamps near the capture's, found {self.implausible:,} others "
                f"(the latest: {offset}); check both clocks, switch_stamps and switch_plausible"
            )
        if self.without_keyframe:
            return (
                f"{self.interface}: expected a keyframe each second, found {self.without_keyframe:,} {self.form} ticks "
                "without one; have the switch send keyframes to this interface"
            )
        return None

    @property
    def summary(self) -> str:
        """One line of counts."""
        form = self.form or "switch (none seen yet)"
        detected = ", detected" if self.is_detected else ""
        parts = [f"{self.interface}: {form} stamps{detected}: {self.stamped:,} used, {self.implausible:,} implausible"]
        if self.form in KEYFRAME_FORMS:
            parts.append(f"{self.without_keyframe:,} without a keyframe of {self.keyframes:,}")
        return ", ".join(parts)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it for JSON, `complaint` and `summary` included."""
        return {**asdict(self), "complaint": self.complaint, "summary": self.summary}

    def _tai_complaint(self) -> str:
        ahead = (self.offset_ns or 0) > 0
        what = "ahead of" if ahead else "behind"
        cure = 'set switch_tai = "37s" if the switch sends TAI' if ahead else 'set switch_tai = "off" if it sends UTC'
        return (
            f"{self.interface}: expected the switch's stamps near the host's time, found {self.tai_like:,} about 37 s "
            f"{what} it, which is TAI less UTC; {cure}"
        )


class SwitchStamps:
    """Decodes the batches of one ring, in their order."""

    def __init__(self, forms: Mapping[str, SwitchSettings], log: Callable[[str], None] = lambda _: None) -> None:
        """Begins without keyframes.

        Args:
            forms: How the stamps of each interface are read; other interfaces are not looked at.
            log: Takes a line when `auto` has found which form they have.
        """
        self._log = log
        self._settings = {interface: settings for interface, settings in forms.items() if settings.form != "off"}
        self._states: dict[str, Any] = {}
        for interface, settings in self._settings.items():
            state = ffi.new("struct nt_switch *")
            lib.nt_switch_init(state, FORMS.index(settings.form), settings.tai_ns, settings.plausible_ns)
            self._states[interface] = state
        self._unknown = {interface for interface, settings in self._settings.items() if settings.form == _AUTO}

    @property
    def is_needed(self) -> bool:
        """Whether any interface is looked at; without one `columns` gives nulls."""
        return bool(self._states)

    @property
    def counts(self) -> dict[str, SwitchCounts]:
        """By interface, since the beginning."""
        return {interface: self._counts(interface, state) for interface, state in self._states.items()}

    def columns(self, batch: pa.RecordBatch, interfaces: Sequence[str | None]) -> dict[str, pa.Array]:
        """The columns of `COLUMNS` for a batch.

        Args:
            batch: Columns of `nanotape.capture.columns.RING_SCHEMA`.
            interfaces: By slot of the ring's source table.
        """
        native = ffi.new("struct nt_switch_batch *")
        by_source = ffi.new("struct nt_switch *[]", [self._states.get(name or "", ffi.NULL) for name in interfaces])
        native.rows, native.states, native.by_source = batch.num_rows, len(interfaces), by_source
        _point_at_inputs(native, batch)
        buffers = _allocate(native, batch.num_rows)
        lib.nt_switch_fill(native)
        if self._unknown:
            self._tell_found()
        rows = batch.num_rows
        return {
            "ts_switch": _array(_TIMESTAMP, rows, buffers, "ts_switch", "ts_valid", native.ts_nulls),
            "switch_device": _array(pa.uint16(), rows, buffers, "device", "device_valid", native.device_nulls),
            "switch_port": _array(pa.uint16(), rows, buffers, "port", "port_valid", native.port_nulls),
            "flags": pa.Array.from_buffers(pa.uint16(), rows, [None, buffers["flags_out"]], 0),
        }

    def left_out(self, batch: pa.RecordBatch, interfaces: Sequence[str | None]) -> None:
        """Takes what stands in a batch beside its flows and comes to no `columns`: keyframes are among it.

        Args:
            batch: As for `columns`, of which its flows' packets follow.
            interfaces: By slot of the ring's source table.
        """
        if not any(FORMS[state.form] in (_AUTO, *KEYFRAME_FORMS) for state in self._states.values()):
            return
        beside = batch.column("flow_id").to_numpy() == 0
        unparsed = batch.column("flags").to_numpy() & FLAG_BITS["unparsed"] != 0
        if (beside & unparsed).any():
            self.columns(batch.filter(pa.array(beside & unparsed)), interfaces)

    def _tell_found(self) -> None:
        for interface in sorted(self._unknown):
            form = FORMS[self._states[interface].form]
            if form != _AUTO:
                self._unknown.remove(interface)
                self._log(Info(f"{interface}: the frames carry stamps of a switch: {form}"))

    def _counts(self, interface: str, state: Any) -> SwitchCounts:
        form, counts = FORMS[state.form], state.counts
        return SwitchCounts(
            interface=interface,
            form=None if form == _AUTO else form,
            is_detected=self._settings[interface].form == _AUTO and form != _AUTO,
            stamped=counts.stamped,
            implausible=counts.implausible,
            without_keyframe=counts.without_keyframe,
            tai_like=counts.tai_like,
            keyframes=counts.keyframes,
            offset_ns=None if counts.offset_ns == _NO_OFFSET else counts.offset_ns,
        )


_INPUTS = {"ts": ("const int64_t *", 8), "source": ("const uint8_t *", 1), "flags": ("const uint16_t *", 2),
           "wire_len": ("const uint32_t *", 4)}  # fmt: skip
_OUTPUTS = {"ts_switch": ("int64_t *", 8), "device": ("uint16_t *", 2), "port": ("uint16_t *", 2),
            "flags_out": ("uint16_t *", 2)}  # fmt: skip
_BITMAPS = ("ts_valid", "device_valid", "port_valid")


def _point_at_inputs(native: Any, batch: pa.RecordBatch) -> None:
    for name, (pointer, width) in _INPUTS.items():
        column = batch.column(name)
        setattr(native, name, ffi.cast(pointer, column.buffers()[1].address + column.offset * width))
    for name in ("header", "payload", "trailer"):
        column, target = batch.column(name), getattr(native, name)
        _, offsets, data = column.buffers()
        target.offsets = ffi.cast("const int32_t *", offsets.address + column.offset * 4)
        target.data = ffi.cast("const uint8_t *", data.address if data is not None else 0)


def _allocate(native: Any, rows: int) -> dict[str, pa.Buffer]:
    buffers = {name: pa.allocate_buffer(rows * width) for name, (_, width) in _OUTPUTS.items()}
    buffers |= {name: pa.allocate_buffer((rows + 7) // 8) for name in _BITMAPS}
    for name, buffer in buffers.items():
        pointer = _OUTPUTS[name][0] if name in _OUTPUTS else "uint8_t *"
        setattr(native, name, ffi.cast(pointer, buffer.address))
    return buffers


def _array(
    kind: pa.DataType, rows: int, buffers: Mapping[str, pa.Buffer], values: str, bitmap: str, nulls: int
) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [buffers[bitmap] if nulls else None, buffers[values]], nulls)
