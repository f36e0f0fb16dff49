"""A real holder and a logging borrower, for tests of what lies between the NIC and the capture loop.

Writes plan files, starts the executables inside a namespace, reads the borrower's log. Needs root and a C compiler.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import deadline
import namespaces

ROOT = pathlib.Path(__file__).resolve().parents[2]
C_SOURCES = pathlib.Path(__file__).parent / "c"
OFF, PREFER, REQUIRE = 0, 1, 2
CHANNELS, MULTICAST, UDP, ALL = 0, 1, 2, 3
NO_VLAN, ANY_VLAN = 0xFFFF, 0xFFFE
NOBODY = 65534
CLOCK_UTC, CLOCK_TAI = 1, 2
UNSTAMPED, UNPARSED = 2, 1 << 6
TS_KERNEL = 2

HEADER = struct.Struct("<QIIIiIIIIII104s64s256s256sQIIII64x")
SOURCE = struct.Struct("<I16sIIIIIIIIIQQIIIIQ256s256s160x")
FLOW = struct.Struct("<IHHHHI16s16s16s48s64s16s32s16s16x")
LOG_HEADER = struct.Struct("<QQQQ")
LOG_ENTRY = struct.Struct("<QqIIIHBB")
PLAN_MAGIC = 0x314E414C50544E
PLAN_VERSION = 3
BATCH = 64
SOCKET, AFXDP, PACKET = 2, 3, 4
CHANNELS, MULTICAST, UDP, ALL = 0, 1, 2, 3


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """A flow of the plan; `source` None means any."""

    id: int
    group: str = "239.1.1.1"
    port: int = 15000
    vlan: int = NO_VLAN
    source: str | None = None

    def pack(self, interface: str) -> bytes:
        """Returns it as struct nt_flow."""
        group = ipaddress.ip_address(self.group)
        source = ipaddress.ip_address(self.source).packed if self.source else b""
        texts = (interface.encode(), b"feed", f"channel-{self.id}".encode(), b"A", b"raw", b"incremental")
        return FLOW.pack(self.id, group.version, self.port, self.vlan, 0, 0, group.packed, source, *texts)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What the holder is told; the defaults suit a small test."""

    flows: tuple[Flow, ...] = (Flow(1),)
    interface: str = "veth-r"
    join: int = 1
    native_xdp: int = REQUIRE
    zero_copy: int = PREFER
    descriptors: int = 4096
    frame_bytes: int = 2048
    umem_hugepages: int = OFF
    capture_uid: int = NOBODY
    kind: int = AFXDP
    select: int = CHANNELS
    promiscuous: int = 0
    steal: int = 0
    fanout: int = 1

    def pack(self, socket: pathlib.Path) -> bytes:
        """Returns the plan file's bytes."""
        limit = 2**32 - 1
        head = (
            PLAN_MAGIC,
            PLAN_VERSION,
            1,
            len(self.flows),
            -1,
            0,
            1,
            0,
            self.capture_uid,
            limit,
            BATCH,
            os.fsencode(socket),
        )
        ring = (b"test", b"/dev/shm", b"", 1 << 20, 0, 0, limit, 0)
        modes = (self.join, self.native_xdp, self.zero_copy, self.descriptors, self.frame_bytes, self.umem_hugepages)
        chosen = (self.select, self.promiscuous, self.steal, self.fanout)
        source = SOURCE.pack(self.kind, self.interface.encode(), *modes, 0, 0, 0, 0, 0, *chosen, 0, b"", b"")
        return HEADER.pack(*head, *ring) + source + b"".join(flow.pack(self.interface) for flow in self.flows)


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One packet of the borrower's log."""

    flow_seq: int
    stamp_ns: int
    flow_id: int
    length: int
    queue: int
    flags: int
    ts_kind: int
    stamp_clock: int
    frame: bytes


class Log:
    """The borrowers' log file: one after the other appends to it."""

    def __init__(self, path: pathlib.Path, capacity: int = 10_000, snap: int = 2048) -> None:
        """Makes an empty log for `capacity` packets of which `snap` bytes are kept."""
        self.path = path
        self.snap = snap
        self._stride = (LOG_ENTRY.size + snap + 7) & ~7
        with path.open("wb") as file:
            file.write(LOG_HEADER.pack(0, capacity, self._stride, 0))
            file.truncate(LOG_HEADER.size + capacity * self._stride)
        path.chmod(0o666)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def __len__(self) -> int:
        """Packets logged so far."""
        return int(struct.unpack_from("<Q", self._map)[0])

    def __iter__(self) -> Iterator[Seen]:
        """Every packet, in order."""
        for index in range(len(self)):
            start = LOG_HEADER.size + index * self._stride
            fields = LOG_ENTRY.unpack_from(self._map, start)
            kept = min(fields[3], self.snap)
            values = [*fields, self._map[start + LOG_ENTRY.size : start + LOG_ENTRY.size + kept]]
            yield Seen(*values)

    def sequences(self) -> list[int]:
        """The flow sequences alone, in order."""
        size, first = self._stride, LOG_HEADER.size
        return [struct.unpack_from("<Q", self._map, first + index * size)[0] for index in range(len(self))]


@dataclasses.dataclass(slots=True)
class Borrower:
    """A running lane_log."""

    process: subprocess.Popen[str]

    def finish(self) -> list[dict[str, Any]]:
        """Lets it take what waits and returns its lanes' counters."""
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, errors
        return [json.loads(line) for line in output.splitlines()]

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=20)


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """The compiled test programs, in a folder that any user may enter."""

    lane_log: pathlib.Path
    blast: pathlib.Path


LANE_LOG_SOURCES = (
    "holder/borrow.c",
    "holder/pass.c",
    "source/packet.c",
    "source/packet_adopt.c",
    "source/packet_stats.c",
    "source/selector.c",
    "xdp/flow_keys.c",
    "plan/plan.c",
    "fault.c",
)


def compile_program(folder: pathlib.Path, name: str, *native: pathlib.Path) -> pathlib.Path:
    """Builds a C program of tests/support/c with these files of native/, or altered copies of them."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler, "a C compiler (cc) is needed"
    tree = ROOT / "native"
    flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{tree}", f"-I{tree / 'source'}"]
    subprocess.run([compiler, *flags, "-o", folder / name, C_SOURCES / f"{name}.c", *native], check=True)
    return folder / name


@contextlib.contextmanager
def make_programs(alter: tuple[str, str] | None = None) -> Iterator[Programs]:
    """Yields the programs; `alter` replaces a text in the afxdp source, to see a test fail without it."""
    tree = ROOT / "native"
    with tempfile.TemporaryDirectory(prefix=namespaces.PREFIX) as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        source = tree / "source" / "afxdp.c"
        if alter:
            text = source.read_text(encoding="utf-8")
            assert text.count(alter[0]) == 1
            source = folder / "afxdp.c"
            source.write_text(text.replace(*alter), encoding="utf-8")
        borrower = compile_program(folder, "lane_log", source, *(tree / name for name in LANE_LOG_SOURCES))
        yield Programs(borrower, compile_program(folder, "blast"))


@dataclasses.dataclass(slots=True)
class Rig:
    """Starts holders and borrowers, and ends all that it started."""

    folder: pathlib.Path
    holder_path: pathlib.Path
    side: namespaces.Side
    programs: Programs
    _started: list[subprocess.Popen[str]] = dataclasses.field(default_factory=list)

    @property
    def socket(self) -> pathlib.Path:
        """Where the holder listens."""
        return self.folder / "holder.sock"

    def holder(self, plan: Plan, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Starts a holder without waiting for it."""
        file = self.folder / "plan"
        file.write_bytes(plan.pack(self.socket))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = self.side.start(*prefix, self.holder_path, "--plan", file, *arguments, **pipes)
        self._started.append(process)
        return process

    def ready_holder(self, plan: Plan, *arguments: str) -> subprocess.Popen[str]:
        """Starts a holder that must come up."""
        process = self.holder(plan, *arguments)
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line == "ready\n", process.stderr.read()
        return process

    def refused(self, plan: Plan, prefix: tuple[str, ...] = ()) -> str:
        """Starts a holder that must refuse; returns the one line that it says."""
        process = self.holder(plan, prefix=prefix)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 1
        assert output == ""
        line: str = errors.splitlines()[-1]
        return line

    def borrow(self, log: Log, death: str = "", user: int = NOBODY) -> Borrower:
        """Starts a borrower as `user`, outside the namespace, and waits until it has adopted."""
        names = (self.programs.lane_log, self.socket, log.path, self.folder / "plan")
        command = [*map(str, names), str(log.snap), *([death] if death else [])]
        process = subprocess.Popen(
            command,
            user=user,
            group=user,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        if not line.startswith("ready"):
            raise BorrowRefused(process.communicate(timeout=20)[1].strip())
        return Borrower(process)

    def close(self) -> None:
        """Ends everything that still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=20)


class BorrowRefused(Exception):
    """Raised when a borrower could not adopt; the text is what it said."""


@contextlib.contextmanager
def make_rig(holder_path: pathlib.Path, side: namespaces.Side, programs: Programs) -> Iterator[Rig]:
    """Yields a rig whose holders run in `side`, with a folder that any user may enter."""
    with tempfile.TemporaryDirectory(prefix=namespaces.PREFIX) as folder:
        pathlib.Path(folder).chmod(0o755)
        rig = Rig(pathlib.Path(folder), holder_path, side, programs)
        try:
            yield rig
        finally:
            rig.close()


SEND_FRAMES = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
for line in sys.stdin:
    wire.send(bytes.fromhex(line))
"""


def send_frames(side: namespaces.Side, frames: list[bytes]) -> None:
    """Puts raw frames onto the wire, in order."""
    side.run(sys.executable, "-c", SEND_FRAMES, side.interface, input="\n".join(frame.hex() for frame in frames))


def attached_program(side: namespaces.Side) -> str | None:
    """The name of the XDP program on the interface, or None."""
    listed = json.loads(side.run("ip", "-j", "-d", "link", "show", side.interface).stdout)
    program = listed[0].get("xdp", {}).get("prog")
    return str(program.get("name", program["id"])) if program else None


def wait_detached(side: namespaces.Side) -> None:
    """Waits until no XDP program is on the interface."""
    deadline.wait_for(lambda: attached_program(side) is None, "the XDP program to go")
