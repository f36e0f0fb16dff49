"""IPv4 groups that the kernel has joined on an interface, read off /proc/net/igmp of its namespace."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence


def joined_groups(wrap: Sequence[str], interface: str) -> set[str]:
    """As addresses, 224.0.0.1 included, which every interface that is up has.

    Args:
        wrap: Put before a command, so that it runs in the namespace.
        interface: Whose memberships.
    """
    told = subprocess.run([*wrap, "cat", "/proc/net/igmp"], capture_output=True, text=True, check=True).stdout
    groups: dict[str, set[str]] = {}
    name = ""
    for line in told.splitlines()[1:]:
        words = line.split()
        if line.startswith("\t"):
            groups[name].add(socket.inet_ntoa(bytes.fromhex(words[0])[::-1]))  # the bytes stand backwards
        else:
            name = words[1]
            groups[name] = set()
    return groups.get(interface, set())
