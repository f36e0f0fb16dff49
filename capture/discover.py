"""Listens to what multicast arrives on an interface and tells the flows apart: `with Discovery("eth1") as discovery`.

Takes nothing from anybody (a packet socket gets copies) and joins nothing. Needs CAP_NET_RAW.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nanotape.capture.discovered import Discovered, DiscoveredFlow
from nanotape.capture.errors import DiscoverError
from nanotape.capture.interface_state import has_xdp_program, interface_index, is_up
from nanotape.capture.sightings import SIGHTING_DTYPE, flow_of
from nanotape.config.framing import BUILT_IN, Framing
from nanotape.native import ffi, lib

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SLICE_S = 0.1  # a signal is answered so soon
_WINDOW_S = 1.0
_SAMPLE_S = 0.25


def parse_network(text: str, *, unicast: bool) -> Network:
    """Reads `233.252.0.1` or `233.252.0.0/24`, IPv6 likewise; `unicast` allows addresses that are no groups.

    Raises:
        DiscoverError: it is neither.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or not (unicast or network.is_multicast):
        what = "an address" if unicast else "a multicast address"
        raise DiscoverError(f"--group: expected {what}, as in 233.252.0.1, or 233.252.0.0/24, found {text!r}")
    return network


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """What to listen to."""

    udp: bool = False
    """Unicast too."""
    promiscuous: bool = True
    """Also what is not for this host: all that a tap, a mirror port or a flooding switch sends here."""
    groups: tuple[Network, ...] = ()
    """Only packets to these; empty: to any."""
    ports: tuple[int, ...] = ()
    """Only packets to these UDP ports; empty: to any."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Counts of all entries at one moment; entries only ever grow in number and keep their places."""

    at_s: float
    packets: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    bytes: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))


class Rates:
    """How fast counts went up over the last second, or since the beginning where that is later."""

    def __init__(self, at_s: float) -> None:
        """Begins with nothing counted."""
        self._samples = deque([_Sample(at_s)])

    def sample(self, at_s: float, packets: npt.NDArray[np.uint64], octets: npt.NDArray[np.uint64]) -> None:
        """Remembers the counts of now, unless it has just done so; forgets what is older than the window."""
        if at_s - self._samples[-1].at_s >= _SAMPLE_S:
            self._samples.append(_Sample(at_s, packets.copy(), octets.copy()))
        while len(self._samples) > 1 and self._samples[1].at_s <= at_s - _WINDOW_S:
            self._samples.popleft()

    def of(
        self, at_s: float, packets: npt.NDArray[np.uint64], octets: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Packets and bytes a second of each entry, given the counts of now."""
        past = self._samples[0]
        seconds = at_s - past.at_s
        if seconds <= 0:
            return np.zeros(len(packets)), np.zeros(len(octets))
        return _grown(packets, past.packets) / seconds, _grown(octets, past.bytes) / seconds


def _grown(now: npt.NDArray[np.uint64], past: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    before = np.zeros(len(now), np.uint64)
    before[: len(past)] = past
    return (now - before).astype(np.float64)


class Discovery:
    """An open packet socket and what it has seen. Not for several threads; a context manager."""

    def __init__(
        self,
        interface: str,
        options: DiscoverOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the socket: from here on packets are collected, and `listen` looks at them.

        Args:
            interface: Name of the network interface.
            options: What to listen to.
            clock: Seconds that only ever grow.

        Raises:
            DiscoverError: no such interface, it is not up, or CAP_NET_RAW is missing.
        """
        self.interface, self.options, self._clock = interface, options or DiscoverOptions(), clock
        self._handle = _open(interface, self.options)
        self._index = interface_index(interface)
        self._started_s = self._listened_to_s = clock()
        self._rates = Rates(self._started_s)

    @property
    def can_hear(self) -> bool:
        """False: the interface is down, gone, or another of the same name since."""
        return self._index != 0 and interface_index(self.interface) == self._index and is_up(self.interface)

    @property
    def seconds(self) -> float:
        """How long it has listened."""
        return self._listened_to_s - self._started_s

    def listen(self, seconds: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Looks at what arrives, with the GIL released.

        Args:
            seconds: How long.
            stop: Asked ten times a second whether to end sooner.

        Raises:
            DiscoverError: the kernel ended it.
        """
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0 and not stop():
            self._run(min(left, _SLICE_S))

    def _run(self, seconds: float) -> None:
        error = lib.nt_discover_run(self._open_handle(), max(1, math.ceil(seconds * 1000)))
        if error:
            raise DiscoverError(f"{self.interface}: expected to go on listening, found: {errno.errorcode[-error]}")
        self._listened_to_s = self._clock()
        seen = self._seen()
        self._rates.sample(self._listened_to_s, seen["packets"], seen["bytes"])

    def _open_handle(self) -> Any:
        if self._handle is None:
            raise DiscoverError(f"{self.interface}: this discovery was closed; open another")
        return self._handle

    def _seen(self) -> npt.NDArray[np.void]:
        """The native table itself: it changes with the next run."""
        sightings = lib.nt_discover_sightings(self._open_handle())
        raw = ffi.buffer(sightings.entries, sightings.count * SIGHTING_DTYPE.itemsize)
        return np.frombuffer(raw, SIGHTING_DTYPE) if sightings.count else np.zeros(0, SIGHTING_DTYPE)

    def snapshot(
        self, most: int | None = None, guesses: int = 0, framings: Mapping[str, Framing] = BUILT_IN
    ) -> Discovered:
        """What was found so far.

        Args:
            most: Only so many flows, the busiest; None: all.
            guesses: Of how many of them, the busiest first, to guess the framing.
            framings: Among these.
        """
        handle = self._open_handle()
        sightings = lib.nt_discover_sightings(handle)
        dropped = lib.nt_discover_dropped(handle)
        return Discovered(
            interface=self.interface,
            seconds=self.seconds,
            select="udp" if self.options.udp else "multicast",
            flows=self._flows(most, guesses, framings),
            flow_count=sightings.count,
            packets=sightings.packets,
            unparsed=sightings.unparsed,
            fragments=sightings.fragments,
            filtered=sightings.filtered,
            not_kept=sightings.not_kept,
            dropped=None if dropped == lib.NT_COUNT_UNKNOWN else dropped,
            unselected=lib.nt_discover_unselected(handle),
            xdp_program=has_xdp_program(self.interface),
        )

    def _flows(self, most: int | None, guesses: int, framings: Mapping[str, Framing]) -> tuple[DiscoveredFlow, ...]:
        seen = self._seen()
        packets, octets = self._rates.of(self._listened_to_s, seen["packets"], seen["bytes"])
        # lexsort: the last key counts most; equal rates stay in the order in which they were first seen.
        order = np.lexsort((-seen["packets"].astype(np.int64), -packets))[:most]
        return tuple(
            flow_of(row, rate, octet_rate, self.seconds, framings if place < guesses else None)
            for place, (row, rate, octet_rate) in enumerate(
                zip(seen[order], packets[order].tolist(), octets[order].tolist(), strict=True)
            )
        )

    def close(self) -> None:
        """Closes the socket, and with it ends promiscuity; a second time nothing."""
        if self._handle is not None:
            lib.nt_discover_close(self._handle)
            self._handle = None

    def __enter__(self) -> Discovery:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()


def _open(interface: str, options: DiscoverOptions) -> Any:
    groups = ffi.new("struct nt_prefix[]", len(options.groups))
    for place, network in enumerate(options.groups):
        packed = network.network_address.packed
        ffi.memmove(groups[place].address, packed, len(packed))
        groups[place].family, groups[place].bits = network.version, network.prefixlen
    native = ffi.new("struct nt_discover_options *")
    ports = ffi.new("uint16_t[]", options.ports)
    native.select = lib.NT_SELECT_UDP if options.udp else lib.NT_SELECT_MULTICAST
    native.promiscuous = options.promiscuous
    native.filter.groups, native.filter.group_count = groups, len(options.groups)
    native.filter.ports, native.filter.port_count = ports, len(options.ports)
    handle = ffi.new("struct nt_discover **")
    fault = ffi.new("struct nt_fault *")
    error = lib.nt_discover_open(handle, interface.encode("utf-8", "surrogateescape"), native, fault)
    if error in (-errno.EPERM, -errno.EACCES):
        raise DiscoverError(
            f"{interface}: discover needs CAP_NET_RAW: run it as root, or give the interpreter the capability: "
            f"setcap cap_net_raw+ep {os.path.realpath(sys.executable)}"
        )
    if error:
        raise DiscoverError(ffi.string(fault.text).decode("utf-8", "replace"))
    return handle[0]
