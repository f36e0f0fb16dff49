"""Has the kernel report the groups that are joined on an interface again: a switch may have forgotten them.

The kernel does so by itself when an interface is set up, and for MLD when a carrier comes back; but for IGMP not. So it
is asked by a query, as a router would ask it, whose time to live of 0 keeps it on this host.
"""

import socket
import struct

from nanotape.capture.errors import HostError

_ALL_SYSTEMS = "224.0.0.1"
_QUERY = struct.pack(">BBH4sBBH", 0x11, 1, 0, bytes(4), 2, 0, 0)
"""General, of version 3 (RFC 3376 4.1), answered within 0.1 s: by reports of the version that is in use."""


def report_again(interface: str) -> None:
    """All IPv4 groups of an interface are reported once more, within a moment. Nothing but the reports is sent.

    Raises:
        HostError: No right to, or no such interface.
    """
    try:
        index = socket.if_nametoindex(interface)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP) as asker:
            asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4x4xi", index))
            asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            asker.sendto(query(), (_ALL_SYSTEMS, 0))
    except PermissionError:
        raise HostError(
            f"{interface}: joins cannot be reported again now: expected root or CAP_NET_RAW; "
            "what a switch has forgotten comes again after its router's next query"
        ) from None
    except OSError as error:
        raise HostError(f"{interface}: joins cannot be reported again now: {error.strerror}") from None


def query() -> bytes:
    """With its checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{len(_QUERY) // 2}H", _QUERY))
    total = (total & 0xFFFF) + (total >> 16)
    return _QUERY[:2] + struct.pack(">H", total ^ 0xFFFF) + _QUERY[4:]
