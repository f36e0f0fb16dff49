"""The native table of what was seen on an interface (native/discover/sightings.h), entry by entry."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nanotape.capture.discovered import DiscoveredFlow
from nanotape.capture.framing_guess import guess_framing
from nanotape.capture.framing_reading import PayloadSample
from nanotape.config.framing import Framing
from nanotape.native import lib

SAMPLE_DTYPE = np.dtype(
    [("stamp_ns", "<i8"), ("payload_bytes", "<u4"), ("kept_bytes", "<u2"), ("fragment", "<u2"), ("payload", "V48")]
)
"""struct nt_sample of native/discover/sightings.h."""

SIGHTING_DTYPE = np.dtype(
    [
        ("source", "V16"),
        ("group", "V16"),
        ("family", "<u2"),
        ("port", "<u2"),
        ("vlan", "<u2"),
        ("inner_vlan", "<u2"),
        ("smallest", "<u4"),
        ("largest", "<u4"),
        ("packets", "<u8"),
        ("bytes", "<u8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("sample_count", "<u4"),
        ("reserved", "V44"),
        ("samples", SAMPLE_DTYPE, (8,)),
    ]
)
"""struct nt_sighting of native/discover/sightings.h."""

_FIRST_BYTES = 32


def flow_of(
    row: np.void, rate_pps: float, bytes_per_second: float, seconds: float, framings: Mapping[str, Framing] | None
) -> DiscoveredFlow:
    """An entry of the table as facts.

    Args:
        row: Of SIGHTING_DTYPE.
        rate_pps: Packets a second of now.
        bytes_per_second: Of now.
        seconds: How long was listened.
        framings: To guess its framing among, which takes half a millisecond; None: not to.
    """
    entry: Any = row.item()
    source, group, family, port, vlan, inner, smallest, largest, packets, octets, first, last, count = entry[:13]
    samples = row["samples"][:count].tolist()
    _, length, kept, _, data = samples[0] if samples else (0, 0, 0, 0, b"")
    return DiscoveredFlow(
        source=_address(source, family),
        group=_address(group, family),
        port=port,
        vlan=None if vlan == lib.NT_VLAN_NONE else vlan,
        inner_vlan=None if inner == lib.NT_VLAN_NONE else inner,
        packets=packets,
        bytes=octets,
        rate_pps=rate_pps,
        mean_pps=packets / seconds if seconds > 0 else 0.0,
        bytes_per_second=bytes_per_second,
        smallest=smallest,
        largest=largest,
        payload_bytes=length,
        first_bytes=data[: min(kept, _FIRST_BYTES)].hex(),
        first_ns=first,
        last_ns=last,
        framing=None if framings is None else guess_framing(_samples(samples), framings),
    )


def _samples(samples: Sequence[tuple[Any, ...]]) -> list[PayloadSample]:
    """Without fragments: their headers speak of more than is there."""
    return [
        PayloadSample(stamp, length, data[:kept]) for stamp, length, kept, fragment, data in samples if not fragment
    ]


def _address(raw: bytes, family: int) -> str:
    return str(ipaddress.IPv4Address(raw[:4]) if family == lib.NT_FAMILY_IPV4 else ipaddress.IPv6Address(raw))
