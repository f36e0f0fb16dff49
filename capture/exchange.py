"""The simulated exchange as a stream of MoldUDP64 payloads, made from parameters alone.

The same parameters give the same bytes on any machine at any time; nothing here sends, waits or reads a clock.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.errors import SimulationUsageError
from nanotape.native import ffi, lib

PACKET_DTYPE = np.dtype(
    [
        ("number", "<u8"),
        ("due_ns", "<u8"),
        ("sequence", "<u8"),
        ("messages", "<u4"),
        ("bytes", "<u4"),
        ("kind", "<u4"),
        ("restarts", "<u4"),
    ]
)
SEED_LIMIT = 2**64


class PacketKind(enum.IntEnum):
    """What a datagram is."""

    DATA = 0
    HEARTBEAT = 1
    END_OF_SESSION = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """The sequence begins at 1 again, on all lines."""

    packet: int
    """Number of the datagram from which on; 2 or more."""
    new_session: bool = False
    """In a new session, whose name `ExchangeParameters.session_after` tells; else in the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExchangeParameters:
    """Everything that the payloads depend on."""

    seed: int = 1
    rate: float = 10_000.0
    """Data packets a second and line, on average; kept to a thousandth."""
    packets: int | None = None
    """Data packets in all; None: endless. Heartbeats and the end of the session come on top."""
    symbols: int = 50
    burst: float = 1.0
    """1: evenly spaced. 4: four times as fast, in bursts, with quiet between them. Kept to a hundredth."""
    session: str = ""
    """Up to 10 ASCII characters; empty: becomes `NT` and the seed's last eight digits."""
    end_of_session: bool = True
    """Whether an end-of-session packet follows the last data packet."""
    restarts: tuple[Restart, ...] = ()
    """Ascending, 8 at most."""

    def __post_init__(self) -> None:
        """Checks what would not survive the conversion to C; the rest is checked there."""
        if not 0 <= self.seed < SEED_LIMIT:
            raise SimulationUsageError(f"seed: expected 0 to 2^64 - 1, found {self.seed}")
        if not 0.001 <= self.rate <= 10_000_000:
            raise SimulationUsageError(f"rate: expected 0.001 to 10,000,000 packets a second, found {self.rate:g}")
        if not 1 <= self.burst <= 1000:
            raise SimulationUsageError(f"burst: expected a factor of 1 (even) to 1000, found {self.burst:g}")
        if self.packets is not None and not 1 <= self.packets < 2**63:
            raise SimulationUsageError(f"packets: expected at least 1, found {self.packets}")
        if not 1 <= self.symbols <= lib.NT_MARKET_SYMBOLS_MAX:
            raise SimulationUsageError(f"symbols: expected 1 to {lib.NT_MARKET_SYMBOLS_MAX}, found {self.symbols}")
        if not (self.session.isascii() and self.session.isprintable() and len(self.session) <= 10):
            raise SimulationUsageError(f"session: expected up to 10 printable ASCII characters, found {self.session!r}")
        if len(self.restarts) > lib.NT_EXCHANGE_RESTARTS_MAX:
            raise SimulationUsageError(
                f"resets and new sessions: expected at most {lib.NT_EXCHANGE_RESTARTS_MAX}, found {len(self.restarts)}"
            )
        if not all(2 <= restart.packet < 2**63 for restart in self.restarts):
            raise SimulationUsageError("resets and new sessions: expected packets from 2 on")
        if not self.session:
            object.__setattr__(self, "session", f"NT{self.seed % 10**8:08d}")

    def native(self) -> Any:
        """Returns a `struct nt_exchange_options *`."""
        options = ffi.new("struct nt_exchange_options *")
        options.seed = self.seed
        options.rate_mhz = round(self.rate * 1000)
        options.packets = self.packets or 0
        options.symbols = self.symbols
        options.burst_percent = round(self.burst * 100)
        options.end_of_session = self.end_of_session
        options.session = self.session.ljust(10).encode("ascii")
        options.restart_count = len(self.restarts)
        for place, restart in enumerate(self.restarts):
            options.restarts[place].packet, options.restarts[place].new_session = restart.packet, restart.new_session
        return options

    def session_after(self, restarts: int) -> str:
        """The session's name, without the spaces behind it, after so many restarts."""
        sessions = sum(restart.new_session for restart in self.restarts[:restarts])
        name = self.session.rstrip(" ")
        return f"{name[:7]}R{sessions:02d}" if sessions else name

    def as_json(self) -> dict[str, Any]:
        """Returns what `from_json` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ExchangeParameters:
        """Makes parameters of what a log says."""
        restarts = tuple(Restart(**each) for each in document.get("restarts", ()))
        return cls(**document | {"restarts": restarts})


@dataclasses.dataclass(frozen=True, slots=True)
class ExchangePacket:
    """One datagram of the stream."""

    number: int
    """From 1; heartbeats and the end of the session are counted too."""
    due_ns: int
    """When it is to be sent, in ns after the start."""
    sequence: int
    """Of its first message, or the next one expected."""
    messages: int
    kind: PacketKind
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class ExchangeBatch:
    """Datagrams that follow each other: `facts` (PACKET_DTYPE) and `payloads` have one entry each."""

    facts: npt.NDArray[np.void]
    payloads: pa.BinaryArray


class ExchangeStream:
    """Makes the datagrams in order, once: a second iteration goes on after the last batch that was made."""

    def __init__(self, parameters: ExchangeParameters) -> None:
        """Starts the stream at its first datagram.

        Raises:
            SimulationUsageError: a parameter is out of range.
        """
        handle = ffi.new("struct nt_exchange **")
        fault = ffi.new("struct nt_fault *")
        if lib.nt_exchange_create(handle, parameters.native(), fault):
            raise SimulationUsageError(ffi.string(fault.text).decode())
        self._exchange = ffi.gc(handle[0], lib.nt_exchange_destroy)

    def batches(self, rows: int = 16_384) -> Iterator[ExchangeBatch]:
        """Yields batches of up to `rows` datagrams, made natively in one pass; the last may be smaller."""
        capacity = rows * lib.NT_MOLD_PAYLOAD_BYTES_MAX
        while True:
            facts = np.zeros(rows, PACKET_DTYPE)
            offsets = np.zeros(rows + 1, np.int32)
            data = np.empty(capacity, np.uint8)
            made = lib.nt_exchange_fill(
                self._exchange,
                ffi.from_buffer("uint8_t[]", data),
                capacity,
                ffi.from_buffer("struct nt_exchange_packet[]", facts),
                ffi.from_buffer("int32_t[]", offsets[1:]),
                rows,
            )
            if made == 0:
                return
            # A copy of what is used: the buffer was sized for the largest payloads.
            used = pa.py_buffer(data[: offsets[made]].tobytes())
            payloads = pa.BinaryArray.from_buffers(pa.binary(), made, [None, pa.py_buffer(offsets[: made + 1]), used])
            yield ExchangeBatch(facts[:made], payloads)

    def __iter__(self) -> Iterator[ExchangePacket]:
        """Yields single datagrams."""
        for batch in self.batches(rows=256):
            for fact, payload in zip(batch.facts.tolist(), batch.payloads.to_pylist(), strict=True):
                number, due_ns, sequence, messages, _, kind, _ = fact
                yield ExchangePacket(number, due_ns, sequence, messages, PacketKind(kind), payload)
