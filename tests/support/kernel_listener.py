"""What reaches the kernel on an interface: a packet socket in a process of its own, which logs each frame."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import namespaces

# 4: outgoing. Every protocol; the socket is bound before "ready" is said, and takes all until its stdin closes.
PROGRAM = """
import select, socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
wire.bind((sys.argv[1], 3))
print("ready", flush=True)
ending = False
while True:
    readable = select.select([wire] if ending else [wire, sys.stdin], [], [], 0 if ending else None)[0]
    if not readable:
        break
    if wire in readable:
        frame, address = wire.recvfrom(65536)
        if address[2] != 4:
            print(frame.hex())
    elif sys.stdin in readable:
        ending = True
"""


class KernelListener:
    """Collects the frames that XDP left to the kernel."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> list[bytes]:
        """Ends it and returns the frames, in order."""
        said, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return [bytes.fromhex(line) for line in said.splitlines()]


@contextlib.contextmanager
def kernel_listener(side: namespaces.Side) -> Iterator[KernelListener]:
    """A listener on this side's interface."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = side.start(sys.executable, "-c", PROGRAM, side.interface, **pipes)
    try:
        assert process.stdout.readline() == "ready\n"
        yield KernelListener(process)
    finally:
        process.kill()
        process.communicate()
