"""Chooses rows of a ring's batches by channel, line, group, port and source: column by column, no row by itself.

Values of one kind are alternatives; of different kinds all must fit. An empty filter lets everything through.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.capture.counters import Flow
from nanotape.capture.flow_table import OTHER_CHANNEL, FlowTable

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PacketFilter:
    """What to let through."""

    channels: frozenset[str] = frozenset()
    """Names of channels; `other`: what belongs to none."""
    lines: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """Destination addresses as the ring's columns spell them: see `address`."""
    ports: frozenset[int] = frozenset()
    """UDP destination ports. A later fragment, which has none, has its flow's."""
    sources: frozenset[str] = frozenset()
    """Senders' addresses."""

    def unknown(self, flows: Iterable[Flow]) -> tuple[str, ...]:
        """Channels and lines of the filter that none of the flows has."""
        known = tuple(flows)
        channels = self.channels - {flow.channel for flow in known} - {OTHER_CHANNEL}
        lines = self.lines - {flow.line for flow in known}
        return (*(f"channel {name}" for name in sorted(channels)), *(f"line {name}" for name in sorted(lines)))


def address(text: str) -> str:
    """An IPv4 or IPv6 address as the columns spell it.

    Raises:
        ValueError: It is none.
    """
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except OSError:
        raise ValueError(f"expected an IPv4 or IPv6 address, found {text!r}") from None


class BatchFilter:
    """A filter on the batches of one ring."""

    def __init__(self, wanted: PacketFilter, flows: FlowTable) -> None:
        """Looks the flows up."""
        self._wanted, self._flows = wanted, flows
        self._read_flows()

    def mask(self, batch: pa.RecordBatch) -> Mask | None:
        """Which rows fit; None: all."""
        wanted = self._wanted
        if wanted == PacketFilter():
            return None
        fits = np.ones(batch.num_rows, np.bool_)
        flow_ids = batch.column("flow_id").to_numpy()
        if (wanted.channels or wanted.lines or wanted.ports) and self._flows.refresh(np.unique(flow_ids).tolist()):
            self._read_flows()
        if wanted.channels or wanted.lines:
            fits &= np.isin(flow_ids, self._flow_ids)
        if wanted.groups:
            fits &= _among(batch.column("dst_ip"), wanted.groups)
        if wanted.sources:
            fits &= _among(batch.column("src_ip"), wanted.sources)
        if wanted.ports:
            ports = batch.column("dst_port")
            named = _bits(pc.is_in(ports, value_set=pa.array(sorted(wanted.ports), pa.uint16())))
            fits &= named | (_bits(ports.is_null()) & np.isin(flow_ids, self._port_flow_ids))
        return fits

    def _read_flows(self) -> None:
        wanted, flows = self._wanted, self._flows.all()
        self._flow_ids = [
            flow.id
            for flow in flows
            if flow.channel in (wanted.channels or (flow.channel,)) and flow.line in (wanted.lines or (flow.line,))
        ]
        if OTHER_CHANNEL in wanted.channels and not wanted.lines:
            self._flow_ids.append(0)
        self._port_flow_ids = [flow.id for flow in flows if flow.port in wanted.ports]


def _among(column: pa.DictionaryArray, values: frozenset[str]) -> Mask:
    """Looks at each address once, not at each row."""
    chosen = pc.is_in(column.dictionary, value_set=pa.array(sorted(values), pa.string()))
    return _bits(pc.fill_null(pc.take(chosen, column.indices), False))


def _bits(column: pa.BooleanArray) -> Mask:
    bits: Mask = column.to_numpy(zero_copy_only=False)
    return bits
