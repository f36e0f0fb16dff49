"""Whether an interface is there and up, asked of the kernel by name. Needs no privilege."""

import fcntl
import os
import socket
import struct

_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1


def interface_index(name: str) -> int:
    """Its number, which no other interface of the namespace ever gets; 0: there is none of this name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def is_up(name: str) -> bool:
    """False too where there is none of this name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            reply = fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16s24x", os.fsencode(name)))
        except OSError:
            return False
    return bool(struct.unpack_from("=H", reply, 16)[0] & _IFF_UP)
