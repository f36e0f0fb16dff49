"""One service of two rings, each on an interface of its own, between two namespaces that two wires join.

Line A goes over the first wire into ring `a`, line B over the second into ring `b`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import namespaces
from command_line import NANOTAPE
from deadline import wait_for
from service_rig import CAPTURE_UID, LINES, RING_GID, Exchange, Rig, Wanted, make_rig

from nanotape.capture.conservation import ring_books
from nanotape.capture.ring import Ring

RINGS = ("a", "b")
SECOND = (namespaces.Side("", "veth-l2", "10.212.0.1"), namespaces.Side("", "veth-r2", "10.212.0.2"))
TEMPLATE = """
[paths]
run_dir = "{folder}/run"
archive = "{folder}/archive"
shm_dir = "{shm}"

[user]
capture = "{uid}"
record = "nobody"
group = "{gid}"

[source]
zerocopy = "off"
umem_hugepages = "off"

[recorder]
flush_interval = "100ms"

[[ring]]
name = "a"
capacity = "256 MiB"
hugepages = "off"
[ring.source]
interface = "{first}"

[[ring]]
name = "b"
capacity = "128 MiB"
hugepages = "off"
[ring.source]
interface = "{second}"
descriptors = 32768

[[channel]]
name = "itch"
feed = "simulated"
framing = "moldudp64"
[[channel.line]]
name = "A"
group = "{a[0]}"
port = {a[1]}
interface = "{first}"
[[channel.line]]
name = "B"
group = "{b[0]}"
port = {b[1]}
ring = "b"
"""


@dataclasses.dataclass(slots=True)
class TwoRings:
    """The running `nanotape run --json`."""

    rig: Rig
    process: subprocess.Popen[str]

    def ring(self, name: str) -> Ring:
        """One of the rings, opened as a reader."""
        return Ring.open(name, self.rig.shm)

    def writer(self, name: str) -> int | None:
        """The process that writes a ring; None: none lives."""
        with self.ring(name) as ring:
            return ring.writer_pid if ring.writer_alive else None

    def holder(self, name: str) -> int:
        """The holder of a ring."""
        plan = os.fsencode(self.rig.folder / "run" / name / "plan")
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                if plan in words and b"holder" in words[0] and b"--listeners" not in words:
                    return int(entry.name)
        raise AssertionError(f"no holder of ring {name}")

    def kill_capture(self, name: str) -> None:
        """SIGKILL, and until its successor is at work."""
        old = wait_for(lambda: self.writer(name), f"a writer of {name}")
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.writer(name) not in (None, old), "its successor")

    def exchange(self, line: str, *options: str) -> Exchange:
        """Sends one line over its own wire."""
        interface = self.rig.exchange_interface if line == "A" else SECOND[0].interface
        exchange = Exchange(dataclasses.replace(self.rig, exchange_interface=interface), options, [line])
        wait_for(
            lambda: exchange.log.exists() or not exchange.running(), "its log"
        )  # the next is named by their number
        return exchange

    def in_ring(self, name: str) -> int:
        """Packets of a ring so far."""
        with self.ring(name) as ring:
            return sum(source.loop.packets for source in ring.sources())

    def wait_taken(self, name: str, sent: int) -> None:
        """Until all that was sent is in the ring, or accounted for as lost."""

        def taken() -> bool:
            with self.ring(name) as ring:
                books = ring_books(ring)
            return books.in_ring + books.lost >= sent

        wait_for(taken, f"{sent} packets in ring {name}", 30)

    def attached(self) -> set[str]:
        """The interfaces of the capturing side that bear an XDP program."""
        command = [*self.rig.capture_side, "ip", "-o", "-d", "link", "show"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {line.split(": ")[1].partition("@")[0] for line in shown.splitlines() if "prog/xdp" in line}

    def said(self) -> str:
        """What the service and its processes have said."""
        return self.rig.talk.read_text(encoding="utf-8")

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; returns exit status and standard output."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@contextlib.contextmanager
def two_rings(pair: namespaces.NamespacePair) -> Iterator[TwoRings]:
    """The service, once both rings capture."""
    with make_rig(Wanted(), pair) as rig:
        _second_wire(pair)
        groups = {name.lower(): where.split(":") for name, where in LINES.items()}
        wires = {"first": pair.right.interface, "second": SECOND[1].interface}
        accounts = {"uid": CAPTURE_UID, "gid": RING_GID}
        text = TEMPLATE.format(folder=rig.folder, shm=rig.shm, **accounts, **wires, **groups)
        rig.config.write_text(text, encoding="utf-8")
        with starting(rig) as made:
            yield made


@contextlib.contextmanager
def starting(rig: Rig, *options: str, rings: int = 2) -> Iterator[TwoRings]:
    """A `nanotape run` of this configuration, once all its rings capture."""
    begin = len(rig.talk.read_text(encoding="utf-8")) if rig.talk.exists() else 0
    with rig.talk.open("a", encoding="utf-8") as talk:
        command = [*rig.capture_side, *NANOTAPE, "run", "--json", "--config", str(rig.config), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=talk, text=True)
    made = TwoRings(rig, process)
    try:
        wait_for(lambda: made.said()[begin:].count(": capturing") == rings or process.poll() is not None, "it", 60)
        assert process.poll() is None, made.said()
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def _second_wire(pair: namespaces.NamespacePair) -> None:
    left, right = (
        dataclasses.replace(new, namespace=old.namespace)
        for new, old in zip(SECOND, (pair.left, pair.right), strict=True)
    )
    peer = ("peer", "name", right.interface, "netns", right.namespace)
    pair.left.run("ip", "link", "add", left.interface, "type", "veth", *peer)
    for side in (left, right):
        side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.disable_ipv6=1", check=False)
        side.run("ip", "address", "add", f"{side.address}/24", "dev", side.interface)
        side.run("ip", "link", "set", side.interface, "up")
        offloads = ("tx", "off", "gso", "off", "gro", "off", "tso", "off")
        side.run("ethtool", "-K", side.interface, *offloads, check=False)
