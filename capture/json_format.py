"""A ring's batches as JSON, one object a line, with the names of the archive's columns; frames in hexadecimal."""

import datetime
import json
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.flow_table import OTHER_CHANNEL, FlowTable

_SECOND_NS = 10**9
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_PLAIN = (
    "ts_kind", "ts_raw", "rx_delay_ns", "epoch", "ring_seq", "lost_before", "src_ip", "dst_ip", "src_port",
    "dst_port", "vlan", "wire_len", "payload_len", "flags",
)  # fmt: skip
_BINARY = ("header", "payload", "trailer")


class RingNames(Protocol):
    """What is needed of `nanotape.capture.Ring`."""

    @property
    def name(self) -> str:
        """As configured."""

    @property
    def host(self) -> str:
        """Where it was made."""

    @property
    def ring_id(self) -> str:
        """32 hexadecimal digits."""

    def sources(self) -> Sequence[Any]:
        """Entries in the order of their slots, with interface; the table only grows."""


class JsonFormat:
    """Makes the lines of one ring's batches."""

    def __init__(self, ring: RingNames, flows: FlowTable) -> None:
        """Reads the ring's names."""
        self._ring, self._flows = ring, flows
        self._constant = {"host": ring.host, "ring": ring.name, "ring_id": ring.ring_id}
        self._interfaces: list[str] = []

    def text(self, batch: pa.RecordBatch) -> str:
        """The lines of a batch, each with its end."""
        return "".join(self.texts(batch))

    def texts(self, batch: pa.RecordBatch) -> list[str]:
        """The line of each row, with its end."""
        self._flows.refresh(batch.column("flow_id").unique().to_pylist())
        columns = {name: batch.column(name).to_pylist() for name in ("flow_id", "source", *_PLAIN, *_BINARY)}
        stamps = batch.column("ts").cast(pa.int64()).to_pylist()
        rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        return [json.dumps(self._object(ts, row)) + "\n" for ts, row in zip(stamps, rows, strict=True)]

    def _object(self, ts_ns: int, row: dict[str, Any]) -> dict[str, Any]:
        flow_id, flags = row.pop("flow_id"), row["flags"]
        flow = self._flows.get(flow_id)
        interface = self._interface(row.pop("source"))
        frame = {name: row.pop(name).hex() for name in _BINARY}
        return {
            "ts": stamp_text(ts_ns),
            "ts_ns": ts_ns,
            **self._constant,
            "interface": (flow.interface if flow else None) or interface,
            "feed": flow.feed if flow else None,
            "channel": flow.channel if flow else OTHER_CHANNEL,
            "line": flow.line if flow else None,
            **row,
            "flag_names": [name for name, bit in FLAG_BITS.items() if flags & bit],
            **frame,
        }

    def _interface(self, slot: int) -> str | None:
        if slot >= len(self._interfaces):
            self._interfaces = [source.interface for source in self._ring.sources()]
        return self._interfaces[slot] if slot < len(self._interfaces) else None


def stamp_text(ts_ns: int) -> str:
    """A stamp as RFC 3339 has it, in UTC, with all nine digits."""
    second, fraction = divmod(ts_ns, _SECOND_NS)
    moment = _EPOCH + datetime.timedelta(seconds=second)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"
