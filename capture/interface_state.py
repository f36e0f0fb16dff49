"""Whether an interface is there, up and running, asked of the kernel by name. Needs no privilege."""

import fcntl
import os
import socket
import struct

_SIOCGIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8913, 1, 0x40


def interface_index(name: str) -> int:
    """Its number, which no other interface of the namespace ever gets; 0: there is none of this name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def is_up(name: str) -> bool:
    """False too where there is none of this name."""
    return bool(_flags(name) & _IFF_UP)


def is_running(name: str) -> bool:
    """Whether it is up and has a carrier; False too where there is none of this name."""
    return _flags(name) & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING


def has_xdp_program(name: str) -> bool:
    """Whether an XDP program may take packets before a packet socket sees them; False too where that is not known."""
    from pyroute2 import IPRoute, NetlinkError  # a tenth of a second: for whoever asks

    try:
        with IPRoute() as kernel:
            [link] = kernel.link("get", ifname=name)
    except (OSError, NetlinkError):
        return False
    told = link.get_attr("IFLA_XDP")
    return told is not None and bool(told.get_attr("IFLA_XDP_ATTACHED"))


def _flags(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            reply = fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16s24x", os.fsencode(name)))
        except OSError:
            return 0
    return int(struct.unpack_from("=H", reply, 16)[0])
