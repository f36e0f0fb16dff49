"""Sends payloads to one destination, in order, as one UDP datagram each: many with a system call (sendmmsg), uncopied.

What the kernel refuses is counted and left out: a relay that waits for one destination would fail all others.
"""

import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nanotape.capture.errors import RelayRefused
from nanotape.capture.interface_state import interface_index
from nanotape.capture.relay_target import Target

Addresses = npt.NDArray[np.uint64]

_CHUNK = 1024  # UIO_MAXIOV: the kernel takes no more at once
_SEND_BUFFER_BYTES = 4 << 20
_SEND_TIMEOUT_US = 100_000  # a stop is noticed, though an interface takes nothing
_NO_ROOM_S = 0.1  # so long a packet is offered again, once between two calls of `mend`
_NO_ROOM_SLEEP_S = 50e-6
_IP_RECVERR, _IPV6_RECVERR = 11, 25  # linux/in.h: else a packet that the interface's queue drops counts as sent
_FAILED_FOR_ANOTHER = 4  # tries: an answer to an earlier packet (ICMP) makes the next send fail

_IOVEC = np.dtype([("base", np.uint64), ("length", np.uint64)])
_MMSGHDR = np.dtype(
    [
        ("name", np.uint64),
        ("name_length", np.uint32),
        ("_padding", np.uint32),
        ("vector", np.uint64),
        ("vector_length", np.uint64),
        ("control", np.uint64),
        ("control_length", np.uint64),
        ("flags", np.int32),
        ("_padding2", np.uint32),
        ("sent", np.uint32),
        ("_padding3", np.uint32),
    ]
)  # struct mmsghdr of a 64-bit Linux
assert (_IOVEC.itemsize, _MMSGHDR.itemsize) == (16, 64)  # noqa: S101

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
_libc.sendmmsg.restype = ctypes.c_int


class Pieces(Protocol):
    """Where the bytes of some datagrams lie: one array for each piece of them, all of one length."""

    @property
    def pieces(self) -> tuple[tuple[Addresses, Addresses], ...]:
        """Address in memory and length in bytes."""


class Outlet:
    """One destination and its socket. Close it."""

    def __init__(
        self,
        target: Target,
        ttl: int | None = None,
        loop: bool = False,
        is_raw: bool = False,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the socket.

        Args:
            target: Where to.
            ttl: Hops that it may go; None: 1 for a group, the host's default for others.
            loop: Whether receivers of a group on this host get it too.
            is_raw: What is sent has its IP header already.
            sleep: Waits so many seconds.
            clock: Seconds.

        Raises:
            RelayRefused: No such interface, or no right to open it.
        """
        self.target = target
        self.sent = self.bytes = 0
        """Datagrams that the kernel took, and bytes of their payloads."""
        self.failures = 0
        """Datagrams that it refused for good."""
        self.unfit = 0
        """Datagrams that cannot go there: their source is of another family of addresses."""
        self.refused = 0
        """Answers that nobody listens there, to what was sent before."""
        self.last_error: str | None = None
        self._ttl, self._loop, self._is_raw = ttl, loop, is_raw
        self._is_stuck = False  # a packet was offered in vain for so long: the next ones are offered but once
        self._sleep, self._clock = sleep, clock
        self._messages = np.zeros(_CHUNK, _MMSGHDR)
        self._open()

    def _open(self) -> None:
        target = self.target
        self._index = interface_index(target.interface) if target.interface else 0
        self._socket = _open(target, self._ttl, loop=self._loop, is_raw=self._is_raw)
        name = _name(target, 0 if self._is_raw else target.port, self._index)
        self._name = ctypes.create_string_buffer(name, len(name))
        self._messages["name"] = ctypes.addressof(self._name)
        self._messages["name_length"] = len(name)

    def mend(self) -> None:
        """Waits once more for a destination that took nothing; makes a new socket for an interface that was made anew.

        The old socket of an interface that was removed would fail for ever. To be called now and then.
        """
        self._is_stuck = False
        if self.target.interface is None or interface_index(self.target.interface) in (0, self._index):
            return
        before = self._socket
        try:
            self._open()
        except RelayRefused:  # it may be ready the next time
            self._index = 0
        else:
            before.close()

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def send(self, pieces: Pieces) -> None:
        """Sends datagrams whose bytes stay where they are meanwhile."""
        parts = pieces.pieces
        count = len(parts[0][0])
        for begin in range(0, count, _CHUNK):
            end = min(begin + _CHUNK, count)
            vectors = np.empty((end - begin, len(parts)), _IOVEC)
            for place, (addresses, lengths) in enumerate(parts):
                vectors["base"][:, place] = addresses[begin:end]
                vectors["length"][:, place] = lengths[begin:end]
            width = _IOVEC.itemsize * len(parts)
            first = vectors.ctypes.data
            self._messages["vector"][: end - begin] = first + width * np.arange(end - begin, dtype=np.uint64)
            self._messages["vector_length"][: end - begin] = len(parts)
            self._send_chunk(end - begin, parts[-1][1][begin:end])

    def _send_chunk(self, count: int, payload_bytes: Addresses) -> None:
        done = 0
        while done < count:
            taken = self._call(done, count - done)
            if taken > 0:
                self.sent += taken
                self.bytes += int(payload_bytes[done : done + taken].sum())
                done += taken
            else:
                self.failures += 1
                done += 1

    def _call(self, begin: int, count: int) -> int:
        """Datagrams that the kernel took; 0: it takes the first of them in no way."""
        where = self._messages.ctypes.data + begin * _MMSGHDR.itemsize
        until: float | None = None
        tries = 0
        while True:
            taken = int(
                _libc.sendmmsg(self._socket.fileno(), where, count, socket.MSG_DONTWAIT if self._is_stuck else 0)
            )
            if taken > 0:
                return taken
            number = ctypes.get_errno()
            if number in (errno.ENOBUFS, errno.EAGAIN):
                until = self._clock() + _NO_ROOM_S if until is None else until
                if not self._is_stuck and self._clock() < until:
                    self._sleep(_NO_ROOM_SLEEP_S)
                    continue
                self._is_stuck = True
            elif number == errno.EINTR:
                continue
            elif number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH) and tries < _FAILED_FOR_ANOTHER:
                self.refused += number == errno.ECONNREFUSED
                tries += 1
                continue
            self.last_error = os.strerror(number)
            return 0


def _open(target: Target, ttl: int | None, *, loop: bool, is_raw: bool) -> socket.socket:
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    opened = None
    try:
        if is_raw:
            opened = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        else:
            opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("=qq", 0, _SEND_TIMEOUT_US))
        _set_way(opened, target, ttl, loop)
    except OSError as error:
        if opened is not None:
            opened.close()
        raise RelayRefused(_reason(target, error, is_raw)) from None
    return opened


def _set_way(opened: socket.socket, target: Target, ttl: int | None, loop: bool) -> None:
    index = socket.if_nametoindex(target.interface) if target.interface else 0
    if target.version == 4:
        opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4x4xi", index))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(loop))
        hops = [(socket.IP_MULTICAST_TTL, ttl or 1), *([(socket.IP_TTL, ttl)] if ttl else [])]
        for option, value in hops:
            opened.setsockopt(socket.IPPROTO_IP, option, value)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, int(loop))
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl or 1)
        if ttl:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    if target.interface and not target.is_multicast:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, target.interface.encode() + b"\0")


def _reason(target: Target, error: OSError, is_raw: bool) -> str:
    if error.errno == errno.EPERM and is_raw:
        return f"--keep-source: {target}: expected root or CAP_NET_RAW, found neither; leave it out, or grant the right"
    if error.errno in (None, errno.ENODEV, errno.ENXIO):  # None: of if_nametoindex
        return f"{target}: no such interface (ip link shows those there are)"
    return f"{target}: cannot be opened: {error.strerror}"


def _name(target: Target, port: int, scope: int) -> bytes:
    """A sockaddr_in or sockaddr_in6."""
    if target.version == 4:
        return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(target.address) + bytes(8)
    packed = socket.inet_pton(socket.AF_INET6, target.address)
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0) + packed + struct.pack("=I", scope)
