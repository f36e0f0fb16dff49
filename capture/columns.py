"""One batch of records as a pyarrow RecordBatch: pyarrow's own memory, filled by native code in one pass.

Dictionaries only ever grow from batch to batch of one reader, so that they fit Arrow IPC files. A batch owns its
memory, or, of a ColumnPool, has it until the last reference to the batch is gone.
"""

import functools
from typing import Any

import pyarrow as pa

from nanotape.capture.counters import address_text
from nanotape.native import ffi, lib

TS_KINDS = ("nic", "xdp", "kernel", "user", "file")
"""Where a stamp comes from; the index is `enum nt_ts_kind`."""

FLAG_BITS = {
    "truncated": 1 << 0,
    "unstamped": 1 << 1,
    "rebuilt_header": 1 << 2,
    "backwards": 1 << 3,
    "fragment": 1 << 4,
    "bad_checksum": 1 << 5,
    "unparsed": 1 << 6,
    "bad_stamp": 1 << 7,
    "linux_sll": 1 << 8,
    "linux_sll2": 1 << 9,
    "raw_ip": 1 << 10,
    "switch_degraded": 1 << 11,
    "switch_duplicate": 1 << 12,
    "switch_implausible": 1 << 13,
}
"""The bits of the column `flags`; `enum nt_record_flag` and `enum nt_switch_flag` say what each means."""

_NAME = pa.dictionary(pa.int32(), pa.string())


def _field(name: str, kind: pa.DataType, note: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"note": note})


RING_SCHEMA = pa.schema(
    [
        _field("ring_seq", pa.int64(), "from 1, +1 per record of the ring, across epochs"),
        _field("ts", pa.timestamp("ns", "UTC"), "best time of arrival"),
        _field("ts_kind", _NAME, "nic, xdp, kernel, user, file"),
        _field("ts_raw", pa.int64(), "the stamp that ts was taken instead of, ns; null: none was", nullable=True),
        _field("rx_delay_ns", pa.int64(), "poll time minus ts; saturates at 32 bits; null: unknown", nullable=True),
        _field("epoch", pa.uint32(), "the ring's writer; null: no longer in the ring's history", nullable=True),
        _field("flow_id", pa.uint32(), "entry of the ring's flow table; 0: none"),
        _field("flow_seq", pa.uint64(), "+1 per packet of the flow, per holder; 0: none"),
        _field("source", pa.uint8(), "slot of the ring's source table"),
        _field("src_ip", _NAME, "null: no intact IP header", nullable=True),
        _field("dst_ip", _NAME, "null: no intact IP header", nullable=True),
        _field("src_port", pa.uint16(), "null: no UDP header in this frame", nullable=True),
        _field("dst_port", pa.uint16(), "null: no UDP header in this frame", nullable=True),
        _field("vlan", pa.uint16(), "innermost 802.1Q id; null: untagged", nullable=True),
        _field("wire_len", pa.uint32(), "bytes of the frame on the wire"),
        _field("payload_len", pa.uint32(), "bytes of payload on the wire; more than payload holds where truncated"),
        _field("lost_before", pa.uint32(), "records lost by this reader just before this one; saturates"),
        _field("flags", pa.uint16(), "bits: " + ", ".join(f"{bit} {name}" for name, bit in FLAG_BITS.items())),
        _field("header", pa.binary(), "link, IP and UDP headers; header + payload + trailer is the frame"),
        _field("payload", pa.binary(), "what UDP's length covers; of a fragment what IP's length covers"),
        _field("trailer", pa.binary(), "what follows the payload: padding, FCS, a switch's stamp"),
    ]
)

# Column: (bytes a row, bitmap of what is not null, count of nulls).
_COLUMNS: dict[str, tuple[int, str | None, str | None]] = {
    "ring_seq": (8, None, None),
    "ts": (8, None, None),
    "ts_kind": (4, None, None),
    "ts_raw": (8, "ts_raw_valid", "ts_raw_nulls"),
    "rx_delay_ns": (8, "rx_delay_valid", "rx_delay_nulls"),
    "epoch": (4, "epoch_valid", "epoch_nulls"),
    "flow_id": (4, None, None),
    "flow_seq": (8, None, None),
    "source": (1, None, None),
    "src_ip": (4, "address_valid", "address_nulls"),
    "dst_ip": (4, "address_valid", "address_nulls"),
    "src_port": (2, "port_valid", "port_nulls"),
    "dst_port": (2, "port_valid", "port_nulls"),
    "vlan": (2, "vlan_valid", "vlan_nulls"),
    "wire_len": (4, None, None),
    "payload_len": (4, None, None),
    "lost_before": (4, None, None),
    "flags": (2, None, None),
}
_BITMAPS = ("ts_raw_valid", "rx_delay_valid", "epoch_valid", "address_valid", "port_valid", "vlan_valid")
_BINARIES = ("header", "payload", "trailer")
_ROW_BYTES = sum(width for width, _, _ in _COLUMNS.values()) + 4 * len(_BINARIES)
_IDLE_MAX = 2


@functools.cache
def ts_kind_dictionary() -> pa.StringArray:
    """The dictionary of the column `ts_kind`; made when first wanted, for pyarrow's first array loads pandas."""
    return pa.array(TS_KINDS, pa.string())


class AddressBook:
    """The addresses that one reader has met, in the order of their first packet."""

    def __init__(self) -> None:
        """Begins empty."""
        self.handle = ffi.gc(ffi.new("struct nt_address_book *"), lib.nt_address_book_free)
        if lib.nt_address_book_init(self.handle) != 0:
            raise MemoryError("address book: no memory")
        self._dictionary = pa.array([], pa.string())

    def dictionary(self) -> pa.StringArray:
        """All addresses; a later one begins with all that an earlier one held."""
        known, count = len(self._dictionary), self.handle.count
        if count > known:
            entries = (self.handle.addresses[index] for index in range(known, count))
            new = [address_text(entry.family, bytes(ffi.buffer(entry.bytes))) for entry in entries]
            self._dictionary = pa.concat_arrays([self._dictionary, pa.array(new, pa.string())])
        return self._dictionary


class ColumnBuffers:
    """Memory for one batch, and the C view of it."""

    def __init__(self, rows: int, data_bytes: int) -> None:
        """Room for `rows` records whose frames take `data_bytes` together."""
        self.columns = ffi.new("struct nt_columns *")
        self.columns.row_capacity = rows
        self.columns.byte_capacity = data_bytes
        self._buffers: dict[str, pa.Buffer] = {}
        for name, (width, _, _) in _COLUMNS.items():
            self._allocate(self.columns, name, name, rows * width)
        for name in _BITMAPS:
            self._allocate(self.columns, name, name, (rows + 7) // 8)
        for name in _BINARIES:
            binary = getattr(self.columns, name)
            self._allocate(binary, "offsets", f"{name}.offsets", (rows + 1) * 4)
            self._allocate(binary, "data", f"{name}.data", data_bytes)
        lib.nt_columns_begin(self.columns)

    def _allocate(self, struct: Any, member: str, name: str, size: int) -> None:
        buffer = pa.allocate_buffer(size, resizable=True)
        self._buffers[name] = buffer
        setattr(struct, member, ffi.cast(_POINTERS[member], buffer.address))

    @property
    def used_bytes(self) -> int:
        """Bytes of the batch that `batch` would give."""
        rows = self.columns.rows
        return int(rows * _ROW_BYTES + sum(getattr(self.columns, name).offsets[rows] for name in _BINARIES))

    def batch(self, book: AddressBook) -> pa.RecordBatch:
        """What was filled in, once: the memory belongs to the batch from then on.

        What it does not use is given back: callers may keep batches for long.
        """
        sizes = self._used_sizes()
        for name, size in sizes.items():
            self._buffers[name].resize(size, shrink_to_fit=True)
        return self._batch(book, self._buffers)

    def lend(self, book: AddressBook, lease: object) -> pa.RecordBatch:
        """What was filled in, in memory that stays ours: the batch, and all made of it, hold `lease` meanwhile."""
        sizes = self._used_sizes()
        lent = {name: pa.foreign_buffer(self._buffers[name].address, size, lease) for name, size in sizes.items()}
        return self._batch(book, lent)

    def _used_sizes(self) -> dict[str, int]:
        rows = self.columns.rows
        sizes = {name: rows * width for name, (width, _, _) in _COLUMNS.items()}
        sizes |= dict.fromkeys(_BITMAPS, (rows + 7) // 8)
        for name in _BINARIES:
            sizes[f"{name}.offsets"] = (rows + 1) * 4
            sizes[f"{name}.data"] = getattr(self.columns, name).offsets[rows]
        return sizes

    def _batch(self, book: AddressBook, buffers: dict[str, pa.Buffer]) -> pa.RecordBatch:
        dictionaries = {"ts_kind": ts_kind_dictionary(), "src_ip": book.dictionary(), "dst_ip": book.dictionary()}
        arrays = [self._array(field, buffers, dictionaries.get(field.name)) for field in RING_SCHEMA]
        return pa.RecordBatch.from_arrays(arrays, schema=RING_SCHEMA)

    def _array(self, field: pa.Field, buffers: dict[str, pa.Buffer], dictionary: pa.Array | None) -> pa.Array:
        rows = self.columns.rows
        if field.name in _BINARIES:
            parts = [None, buffers[f"{field.name}.offsets"], buffers[f"{field.name}.data"]]
            return pa.Array.from_buffers(field.type, rows, parts, 0)
        _, bitmap, counter = _COLUMNS[field.name]
        nulls = getattr(self.columns, counter) if counter else 0
        validity = buffers[bitmap] if bitmap and nulls else None
        parts = [validity, buffers[field.name]]
        if dictionary is not None:
            return pa.DictionaryArray.from_buffers(field.type, rows, parts, dictionary, nulls)
        return pa.Array.from_buffers(field.type, rows, parts, nulls)


class ColumnPool:
    """Batches of one size in memory that is used again: fresh pages cost a recorder as much as copying into them.

    The memory comes back when nothing is left of the batch that it was lent to, however that was passed on. So whoever
    drops each batch before the next needs the memory of one; whoever keeps them all has them all.
    """

    def __init__(self, rows: int, data_bytes: int) -> None:
        """For batches of up to `rows` records whose frames take up to `data_bytes` together."""
        self.rows, self.data_bytes = rows, data_bytes
        self._idle: list[ColumnBuffers] = []

    def take(self) -> ColumnBuffers:
        """Empty columns. What was never written to takes no memory."""
        buffers = self._idle.pop() if self._idle else ColumnBuffers(self.rows, self.data_bytes)
        lib.nt_columns_begin(buffers.columns)
        return buffers

    def lend(self, buffers: ColumnBuffers, book: AddressBook) -> pa.RecordBatch:
        """What was filled into them, as a batch; they return by themselves."""
        return buffers.lend(book, _Lease(buffers, self._idle))


class _Lease:
    """Held by every buffer of a batch."""

    def __init__(self, buffers: ColumnBuffers, idle: list[ColumnBuffers]) -> None:
        self._buffers, self._idle = buffers, idle

    def __del__(self) -> None:
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(self._buffers)


def _pointers() -> dict[str, Any]:
    """C type of each member that points to a buffer."""
    fields = dict(ffi.typeof("struct nt_columns").fields)
    fields.update(ffi.typeof("struct nt_binary_column").fields)
    return {name: field.type for name, field in fields.items() if field.type.kind == "pointer"}


_POINTERS = _pointers()
