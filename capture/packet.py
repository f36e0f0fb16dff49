"""One packet as a plain object: for scripts and tests. Where speed counts, use the batches that it is made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA


@dataclass(frozen=True, slots=True)
class Packet:
    """One row of `RING_SCHEMA`, which says the units; None where the column is null."""

    ring_seq: int
    ts: int
    """UTC, nanoseconds since 1970: Python's datetime would round it."""
    ts_kind: str
    ts_raw: int | None
    """The stamp that `ts` was taken instead of, as `ts`; of a clock that nobody set, what that said."""
    rx_delay_ns: int | None
    epoch: int | None
    flow_id: int
    flow_seq: int
    source: int
    src_ip: str | None
    dst_ip: str | None
    src_port: int | None
    dst_port: int | None
    vlan: int | None
    wire_len: int
    payload_len: int
    lost_before: int
    flags: int
    header: bytes
    payload: bytes
    trailer: bytes

    @property
    def frame(self) -> bytes:
        """The captured frame, byte for byte."""
        return self.header + self.payload + self.trailer

    @property
    def flag_names(self) -> frozenset[str]:
        """Names of the flags that are set."""
        return frozenset(name for name, bit in FLAG_BITS.items() if self.flags & bit)


def packets_of(batch: pa.RecordBatch) -> Iterator[Packet]:
    """The rows of a batch, in order."""
    columns = [batch.column(name) for name in RING_SCHEMA.names]
    columns[RING_SCHEMA.get_field_index("ts")] = batch.column("ts").cast(pa.int64())
    for row in zip(*(column.to_pylist() for column in columns), strict=True):
        yield Packet(*row)
