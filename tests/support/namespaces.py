"""Two network namespaces joined by a veth pair, for tests that need a wire. Removed at the end, whatever happened.

Names carry the pid that made them, so that the next run removes what a killed one left behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

PREFIX = "nt-test-"
_counter = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One end of the wire."""

    namespace: str
    interface: str
    address: str

    def command(self, *arguments: str | os.PathLike[str]) -> list[str]:
        """Returns a command line that runs the arguments inside this namespace."""
        return ["ip", "netns", "exec", self.namespace, *map(os.fspath, arguments)]

    def run(self, *arguments: str | os.PathLike[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command in this namespace, with its output captured as text; it must succeed unless check=False."""
        options = {"check": True, "capture_output": True, "text": True, "timeout": 60} | options
        return subprocess.run(self.command(*arguments), **options)

    def start(self, *arguments: str | os.PathLike[str], **options: Any) -> subprocess.Popen[Any]:
        """Starts a command in this namespace."""
        return subprocess.Popen(self.command(*arguments), **options)


def entered_by(wrap: Sequence[str]) -> str | None:
    """The namespace that `Side.command()` enters; None: these words do something else."""
    return wrap[3] if len(wrap) == 4 and tuple(wrap[:3]) == ("ip", "netns", "exec") else None


@dataclasses.dataclass(frozen=True, slots=True)
class NamespacePair:
    """`left` sends, `right` captures, by custom; the wire is the same both ways."""

    left: Side
    right: Side


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def owner_is_gone(name: str) -> bool:
    """Says whether the process that made a namespace or folder of this name (`nt-test-PID-...`) has ended."""
    pid = name.removeprefix(PREFIX).partition("-")[0]
    return name.startswith(PREFIX) and pid.isdigit() and not pathlib.Path("/proc", pid).exists()


def remove_leftovers() -> list[str]:
    """Removes namespaces of test runs that are no more, and returns their names."""
    folder = pathlib.Path("/run/netns")
    gone = [entry.name for entry in folder.iterdir() if owner_is_gone(entry.name)] if folder.is_dir() else []
    for name in gone:
        remove_namespace(name)
    return gone


def remove_namespace(name: str) -> None:
    """Ends the processes inside a namespace of ours and deletes it; its veth goes with it."""
    listed = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
    for pid in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def missing_for_namespaces() -> str | None:
    """Says why no pair can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    absent = [tool for tool in ("ip", "ethtool") if shutil.which(tool) is None]
    return f"needs {' and '.join(absent)} (apt-get install iproute2 ethtool)" if absent else None


@contextlib.contextmanager
def namespace_pair(queues: int = 1, mtu: int = 1500) -> Iterator[NamespacePair]:
    """Makes the pair, with `queues` RX and TX queues each, 10.211.0.1 on the left and 10.211.0.2 on the right."""
    remove_leftovers()
    stem = f"{PREFIX}{os.getpid()}-{next(_counter)}"
    pair = NamespacePair(Side(f"{stem}-l", "veth-l", "10.211.0.1"), Side(f"{stem}-r", "veth-r", "10.211.0.2"))
    sides = (pair.left, pair.right)
    try:
        for side in sides:
            _ip("netns", "add", side.namespace)
        count = ("numrxqueues", str(queues), "numtxqueues", str(queues))
        peer = ("peer", "name", pair.right.interface, "netns", pair.right.namespace)
        _ip("-n", pair.left.namespace, "link", "add", pair.left.interface, *count, "type", "veth", *peer, *count)
        for side in sides:
            _bring_up(side, mtu)
        yield pair
    finally:
        for side in sides:
            remove_namespace(side.namespace)


def _bring_up(side: Side, mtu: int) -> None:
    inside = ("-n", side.namespace)
    _ip(*inside, "link", "set", "lo", "up")
    # Router solicitations and MLD reports would be frames that no test sent.
    side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.disable_ipv6=1", check=False)
    _ip(*inside, "link", "set", side.interface, "mtu", str(mtu))
    _ip(*inside, "address", "add", f"{side.address}/24", "dev", side.interface)
    _ip(*inside, "link", "set", side.interface, "up")
    _ip(*inside, "route", "add", "224.0.0.0/4", "dev", side.interface)
    # veth leaves UDP checksums half done and hands merged super-frames over: neither is ever seen on a wire.
    offloads: Sequence[str] = ("tx", "off", "gso", "off", "gro", "off", "tso", "off")
    side.run("ethtool", "-K", side.interface, *offloads, check=False)
