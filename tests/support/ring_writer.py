"""Writes records into a ring through the binding, for tests of its readers: on the heap, or in files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nanotape.native import ffi, lib

HEADER_BYTES = 48
RAW_STAMP_BYTES = 8
EPOCH_NS = 1_700_000_000_000_000_000
GROUP_UNCHANGED = 2**32 - 1


@dataclass(frozen=True)
class Written:
    """One record to write."""

    frame: bytes
    wire_length: int | None = None
    ts_ns: int = EPOCH_NS
    ts_kind: int = 1
    rx_delay_ns: int = 100
    flow_id: int = 0
    flow_seq: int = 0
    source: int = 0
    flags: int = 0
    ts_raw: int | None = None
    """Stands behind the frame, where there is one."""

    @property
    def length(self) -> int:
        """Bytes of the record, not rounded up."""
        return HEADER_BYTES + len(self.frame) + (0 if self.ts_raw is None else RAW_STAMP_BYTES)


def span(written: Written) -> int:
    """Bytes that the record takes in the ring."""
    return (written.length + 7) & ~7


def fault() -> Any:
    """A place for an error's text."""
    return ffi.new("struct nt_fault *")


class RingWriter:
    """The one writer of a ring."""

    def __init__(self, handle: Any, next_seq: int) -> None:
        """Takes over a mapped ring whose next record is `next_seq`."""
        self.handle = handle
        self._writer = ffi.new("struct nt_writer *")
        self._begin(next_seq)

    @classmethod
    def private(cls, capacity: int) -> Self:
        """On the heap. Whoever makes a `Ring` of `handle` closes it."""
        handle, problem = ffi.new("struct nt_ring *"), fault()
        assert lib.nt_ring_make_private(handle, capacity, problem) == 0, ffi.string(problem.text)
        return cls(handle, 1)

    @classmethod
    def attach(cls, folder: Path, name: str = "test", capacity: int = 1 << 20) -> Self:
        """In files, which are made when they are not there."""
        options = ffi.new("struct nt_ring_options *")
        options.name, options.shm_directory = name.encode(), bytes(folder)
        options.capacity, options.hugepages, options.group = capacity, lib.NT_HUGEPAGES_OFF, GROUP_UNCHANGED
        handle, problem, next_seq = ffi.new("struct nt_ring *"), fault(), ffi.new("uint64_t *")
        error = lib.nt_ring_attach_writer(handle, options, 0, next_seq, problem)
        assert error == 0, ffi.string(problem.text)
        return cls(handle, next_seq[0])

    def _begin(self, next_seq: int) -> None:
        self.next_seq = next_seq
        lib.nt_writer_init(self._writer, self.handle, next_seq)

    def close(self) -> None:
        """As a writer ends; not for a private ring."""
        lib.nt_ring_close(self.handle)

    def restart(self) -> None:
        """What a new writer process would do, on a private ring."""
        next_seq, problem = ffi.new("uint64_t *"), fault()
        assert lib.nt_ring_restart(self.handle, 0, next_seq, problem) == 0, ffi.string(problem.text)
        self._begin(next_seq[0])

    def write(self, *records: Written) -> None:
        """Publishes records, in as few batches as the ring takes."""
        waiting = list(records)
        while waiting:
            lengths = ffi.new("uint32_t[]", [record.length for record in waiting])
            taken = lib.nt_writer_reserve(self._writer, lengths, len(waiting))
            assert taken > 0, "the ring takes no such record"
            for record in waiting[:taken]:
                self._put(record)
            lib.nt_writer_publish(self._writer)
            waiting = waiting[taken:]

    def _put(self, written: Written) -> None:
        record = lib.nt_writer_next(self._writer, written.length)
        record.flags, record.source, record.ts_kind = written.flags, written.source, written.ts_kind
        record.ts_ns, record.rx_delay_ns = written.ts_ns, written.rx_delay_ns
        record.flow_id, record.flow_seq = written.flow_id, written.flow_seq
        record.capture_length = len(written.frame)
        record.wire_length = len(written.frame) if written.wire_length is None else written.wire_length
        ffi.memmove(record + 1, written.frame, len(written.frame))
        if written.ts_raw is not None:
            record.flags |= lib.NT_RECORD_RAW_STAMP
            raw = written.ts_raw.to_bytes(RAW_STAMP_BYTES, "little", signed=True)
            ffi.memmove(ffi.cast("uint8_t *", record + 1) + len(written.frame), raw, RAW_STAMP_BYTES)
        self.next_seq += 1
