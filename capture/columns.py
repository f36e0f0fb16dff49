"""One batch of records as a pyarrow RecordBatch: pyarrow's own memory, filled by native code in one pass.

Dictionaries only ever grow from batch to batch of one reader, so that they fit Arrow IPC files. Nothing is kept of a
batch once it is handed out.
"""

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
}
"""The bits of the column `flags`; `enum nt_record_flag` says what each means."""

_NAME = pa.dictionary(pa.int32(), pa.string())


def _field(name: str, kind: pa.DataType, note: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"note": note})


RING_SCHEMA = pa.schema(
    [
        _field("ring_seq", pa.int64(), "from 1, +1 per record of the ring, across epochs"),
        _field("ts", pa.timestamp("ns", "UTC"), "best time of arrival"),
        _field("ts_kind", _NAME, "nic, xdp, kernel, user, file"),
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
_BITMAPS = ("rx_delay_valid", "epoch_valid", "address_valid", "port_valid", "vlan_valid")
_BINARIES = ("header", "payload", "trailer")
_TS_KIND_DICTIONARY = pa.array(TS_KINDS, pa.string())


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

    def _allocate(self, struct: Any, member: str, name: str, size: int) -> None:
        buffer = pa.allocate_buffer(size, resizable=True)
        self._buffers[name] = buffer
        setattr(struct, member, ffi.cast(_POINTERS[member], buffer.address))

    def batch(self, book: AddressBook) -> pa.RecordBatch:
        """What was filled in, once: the memory belongs to the batch from then on."""
        rows = self.columns.rows
        self._trim(rows)
        dictionaries = {"ts_kind": _TS_KIND_DICTIONARY, "src_ip": book.dictionary(), "dst_ip": book.dictionary()}
        arrays = [self._array(field, rows, dictionaries.get(field.name)) for field in RING_SCHEMA]
        return pa.RecordBatch.from_arrays(arrays, schema=RING_SCHEMA)

    def _trim(self, rows: int) -> None:
        """Gives back what the batch does not use: callers may keep batches for long."""
        for name, (width, _, _) in _COLUMNS.items():
            self._buffers[name].resize(rows * width, shrink_to_fit=True)
        for name in _BITMAPS:
            self._buffers[name].resize((rows + 7) // 8, shrink_to_fit=True)
        for name in _BINARIES:
            used = getattr(self.columns, name).offsets[rows]
            self._buffers[f"{name}.offsets"].resize((rows + 1) * 4, shrink_to_fit=True)
            self._buffers[f"{name}.data"].resize(used, shrink_to_fit=True)

    def _array(self, field: pa.Field, rows: int, dictionary: pa.Array | None) -> pa.Array:
        if field.name in _BINARIES:
            buffers = [None, self._buffers[f"{field.name}.offsets"], self._buffers[f"{field.name}.data"]]
            return pa.Array.from_buffers(field.type, rows, buffers, 0)
        _, bitmap, counter = _COLUMNS[field.name]
        nulls = getattr(self.columns, counter) if counter else 0
        validity = self._buffers[bitmap] if bitmap and nulls else None
        buffers = [validity, self._buffers[field.name]]
        if dictionary is not None:
            return pa.DictionaryArray.from_buffers(field.type, rows, buffers, dictionary, nulls)
        return pa.Array.from_buffers(field.type, rows, buffers, nulls)


def _pointers() -> dict[str, Any]:
    """C type of each member that points to a buffer."""
    fields = dict(ffi.typeof("struct nt_columns").fields)
    fields.update(ffi.typeof("struct nt_binary_column").fields)
    return {name: field.type for name, field in fields.items() if field.type.kind == "pointer"}


_POINTERS = _pointers()
