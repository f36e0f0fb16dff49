"""What a relay did and what it could not: by flow what was read, lost and left out, by destination what was sent.

A flow's loss is exact by its own sequence, which counts every packet that was selected for it; None: it has none.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanotape.capture.counters import Flow

LEFT_OUT = ("truncated", "fragment", "unparsed")
"""Why a packet is not relayed: cut short when captured; a part of a datagram; headers that cannot be read, or are
damaged."""

Era = tuple[str, int]
"""What flow sequences count in: they start at 1 with each."""


@dataclass(slots=True)
class FlowBook:
    """One flow that is relayed."""

    flow: Flow
    packets: int = 0
    """Read from the ring, those left out included."""
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEFT_OUT, 0))
    is_counted: bool = False
    """It has sequences."""
    _lost_before: int = 0
    _era: Era | None = None
    _first: int = 0
    _highest: int = 0
    _received: int = 0

    @property
    def lost(self) -> int | None:
        """Packets of it that were selected and not read, between the first and the last that were."""
        if not self.is_counted:
            return None
        return self._lost_before + max(0, self._highest - self._first + 1 - self._received)

    def count(self, era: Era, sequences: npt.NDArray[np.uint64]) -> None:
        """Takes the sequences of some packets, in about their order; of one era."""
        self.packets += len(sequences)
        known = sequences[sequences > 0]
        if not len(known):
            return
        lowest, highest = int(known.min()), int(known.max())
        if era != self._era:
            self._lost_before = self.lost or 0
            # Whoever has read before sees the new count from its first on; before that nothing is known.
            self._first = lowest if self._era is None else 1
            self._era, self._highest, self._received = era, highest, 0
        self.is_counted = True
        self._first, self._highest = min(self._first, lowest), max(self._highest, highest)
        self._received += len(known)


@dataclass(frozen=True, slots=True)
class FlowReport:
    """A flow's counts at one moment."""

    channel: str
    line: str
    group: str
    port: int
    packets: int
    lost: int | None
    """By the flow's own sequence; None: it has none."""
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class TargetReport:
    """A destination's counts at one moment."""

    to: str
    sent: int
    bytes: int
    failures: int
    """Refused by the kernel for good: not sent."""
    unfit: int
    """Not sent: with `--keep-source`, from another family of addresses."""
    refused: int
    """Answers that nobody listens there."""
    last_error: str | None


@dataclass(frozen=True, slots=True)
class RelayReport:
    """A relay at one moment; all counts since it began."""

    ring: str
    reader: str | None
    """Name under which others see it; None: it is not seen."""
    seconds: float
    packets: int
    """Relayed: of each, one datagram to each of its destinations was tried."""
    packets_s: float
    """Since the last report."""
    ring_lost: int
    """Records of the ring that were overwritten before they were read, of whatever flow."""
    loss_events: int
    lag_bytes: int
    delay_max_ns: int | None
    """The longest from a packet's stamp until it was sent, since the last report; None: nothing was."""
    flows: tuple[FlowReport, ...]
    targets: tuple[TargetReport, ...]

    @property
    def lost(self) -> int:
        """Packets of the relayed flows that were lost, as far as their sequences tell."""
        return sum(flow.lost or 0 for flow in self.flows)

    @property
    def left_out(self) -> int:
        """Packets that are not relayed for what they are."""
        return sum(sum(flow.left_out.values()) for flow in self.flows)

    @property
    def failures(self) -> int:
        """Datagrams that did not go out."""
        return sum(target.failures + target.unfit for target in self.targets)

    @property
    def is_whole(self) -> bool:
        """Nothing is missing at any destination, as far as this host knows."""
        return not (self.ring_lost or self.lost or self.left_out or self.failures)

    @property
    def line(self) -> str:
        """For people."""
        found = [
            f"{self.packets:,} packets relayed, {self.packets_s:,.0f}/s",
            f"lost {self.lost:,} (ring records lost: {self.ring_lost:,})",
            f"left out {self.left_out:,}",
            f"not sent {self.failures:,}",
        ]
        if self.delay_max_ns is not None:
            found.append(f"delay up to {self.delay_max_ns / 1e6:,.3f} ms")
        return f"{self.ring}: {', '.join(found)}"
