"""Maps a ring reader's batches to the `packets` schema.

Names the flows by the ring's own flow table and leaves what only a feed decoder or a switch could know null. Column
by column; no row is ever touched by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.schema import NAME, packets_schema

OTHER_CHANNEL = "other"
_NOTHING = -1
_COPIED = (
    "ts", "ts_kind", "ts_raw", "rx_delay_ns", "epoch", "ring_seq", "lost_before", "src_ip", "dst_ip", "src_port",
    "dst_port", "vlan", "wire_len", "payload_len", "header", "payload", "trailer", "flags",
)  # fmt: skip

Codes = npt.NDArray[np.int32]


def ring_columns() -> tuple[str, ...]:
    """The columns of `packets` that a ring reader's batches have already."""
    return _COPIED


class RingFacts(Protocol):
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

    @property
    def writer_alive(self) -> bool:
        """Whether more may come."""

    def flows(self) -> Sequence[Any]:
        """Entries with id, feed, channel, line, interface; the table only grows."""

    def sources(self) -> Sequence[Any]:
        """Entries in the order of their slots, with interface; the table only grows."""


class _Names:
    """Names as dictionary codes."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, name: str | None) -> int:
        return self._codes.setdefault(name, len(self._codes)) if name else _NOTHING

    def values(self) -> pa.StringArray:
        return pa.array(list(self._codes), pa.string())


class PacketMapper:
    """Maps batches of one ring. Keeps what is the same in every batch, and slices it."""

    def __init__(self, ring: RingFacts) -> None:
        """Reads the ring's tables, and again whenever a batch refers to an entry that is not known yet."""
        self._ring = ring
        self._schema = packets_schema()
        self._constants: dict[str, pa.Array] = {}
        self._constant_rows = 0
        self._by_flow: dict[str, Codes] = {}
        self._by_source: Codes = np.empty(0, np.int32)
        self._dictionaries: dict[str, pa.StringArray] = {}
        self._load_tables()

    def map(self, batch: pa.RecordBatch, decoded: Mapping[str, pa.Array] | None = None) -> pa.RecordBatch:
        """The same packets, with the columns of `packets`.

        Args:
            batch: Columns of `nanotape.capture.columns.RING_SCHEMA`.
            decoded: Columns of `packets` that somebody could read out of the frames; None: nobody looked.
        """
        rows = batch.num_rows
        columns = {name: batch.column(name) for name in _COPIED}
        columns |= self._flow_columns(batch.column("flow_id").to_numpy(), batch.column("source").to_numpy())
        self._prepare_constants(rows)
        columns |= {name: constant.slice(0, rows) for name, constant in self._constants.items()}
        columns |= decoded or {}
        return pa.RecordBatch.from_arrays([columns[field.name] for field in self._schema], schema=self._schema)

    def _flow_columns(self, flow_ids: npt.NDArray[np.uint32], sources: npt.NDArray[np.uint8]) -> dict[str, pa.Array]:
        if not len(flow_ids):
            return {name: pa.nulls(0, NAME) for name in self._dictionaries}
        if flow_ids.max() >= len(self._by_flow["channel"]) or sources.max() >= len(self._by_source):
            self._load_tables()
        # What the tables still do not know is an unknown flow, entry 0, or an unknown source, the last entry.
        entries = flow_ids.astype(np.intp)
        entries[flow_ids >= len(self._by_flow["channel"])] = 0
        codes = {name: table.take(entries) for name, table in self._by_flow.items()}
        without = codes["interface"] == _NOTHING
        if without.any():
            by_source = self._by_source.take(sources, mode="clip")
            codes["interface"] = np.where(without, by_source, codes["interface"])
        return {name: _named(column, self._dictionaries[name]) for name, column in codes.items()}

    def _load_tables(self) -> None:
        flows = self._ring.flows()
        size = max((flow.id for flow in flows), default=0) + 1
        names = {name: _Names() for name in ("interface", "feed", "channel", "line")}
        tables = {name: np.full(size, _NOTHING, np.int32) for name in names}
        tables["channel"][:] = names["channel"].code(OTHER_CHANNEL)
        for flow in flows:
            for name, table in tables.items():
                table[flow.id] = names[name].code(getattr(flow, name) or (OTHER_CHANNEL if name == "channel" else None))
        self._by_source = np.array(
            [*(names["interface"].code(s.interface) for s in self._ring.sources()), _NOTHING], np.int32
        )
        self._by_flow = tables
        self._dictionaries = {name: known.values() for name, known in names.items()}

    def _prepare_constants(self, rows: int) -> None:
        if rows <= self._constant_rows:
            return
        named = {"host": self._ring.host, "ring": self._ring.name, "ring_id": self._ring.ring_id}
        zeros = pa.array(np.zeros(rows, np.int32))
        for field in self._schema:
            if field.name in named:
                self._constants[field.name] = pa.DictionaryArray.from_arrays(zeros, pa.array([named[field.name]]))
            elif field.name not in _COPIED and field.name not in self._dictionaries:
                self._constants[field.name] = pa.nulls(rows, field.type)
        self._constant_rows = rows


def _named(codes: Codes, dictionary: pa.StringArray) -> pa.DictionaryArray:
    known = codes != _NOTHING
    nulls = len(codes) - int(np.count_nonzero(known))
    # A mask of pyarrow's costs several times as much.
    validity = pa.py_buffer(np.packbits(known, bitorder="little")) if nulls else None
    indices = pa.Array.from_buffers(pa.int32(), len(codes), [validity, pa.py_buffer(codes)], nulls)
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)
