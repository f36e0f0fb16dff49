"""What a user may do with a running service: a process that becomes that user, tries each thing, and tells.

As a script: service_probe.py RUN_FOLDER ARCHIVE INTERFACE UID GID NAME=PID... prints a JSON object, one outcome an
attempt. Nothing that succeeds does harm.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping

from ring_probe import _become, _open, _outcome

PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
SYS_PIDFD_GETFD = 438
SO_MARK = 36


def outcomes(
    folder: pathlib.Path, archive: pathlib.Path, interface: str, pids: Mapping[str, int], uid: int, gid: int
) -> dict[str, str]:
    """What became of each attempt: `done`, or an errno's name.

    Args:
        folder: Of the ring, in the run directory.
        archive: Of the recorder.
        interface: That exists.
        pids: Of each process, by name.
        uid: Who tries.
        gid: The only group of theirs.
    """
    words = [folder, archive, interface, uid, gid, *(f"{name}={pid}" for name, pid in pids.items())]
    command = [sys.executable, __file__, *map(str, words)]
    # A session of its own: within one, everybody may have a process go on (SIGCONT).
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, start_new_session=True)
    told: dict[str, str] = json.loads(done.stdout)
    return told


def _attempts(
    folder: pathlib.Path, archive: pathlib.Path, interface: str, pids: Mapping[str, int]
) -> dict[str, Callable[[], object]]:
    segments = [path for path in archive.rglob("*") if path.is_file()]
    found: dict[str, Callable[[], object]] = {
        "plan: read": _open(folder / "plan", os.O_RDONLY),
        "plan: write": _open(folder / "plan", os.O_RDWR),
        "configuration: write": _open(folder / "nanotape.toml", os.O_RDWR),
        "state: write": _open(folder / "service.json", os.O_RDWR),
        "service's lock: open": _open(folder / "service.lock", os.O_RDONLY),
        "run directory: make a file": lambda: _make(folder.parent / "next"),
        "ring's folder: make a file": lambda: _make(folder / "next"),
        "ring's folder: list": lambda: os.listdir(folder),
        "readers: make a file": lambda: _make(folder / "readers" / "next"),
        "holder's socket: connect": lambda: _connect(folder / "holder.sock"),
        "control socket: connect": lambda: _connect(folder.parent / f"{folder.name}.control", socket.SOCK_STREAM),
        "archive: make a file": lambda: _make(archive / "next"),
        "archive: write a file": _open(segments[0], os.O_RDWR),
        "archive: change a file's mode": lambda: segments[0].chmod(segments[0].stat().st_mode & 0o777),
        "network: see every frame": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300).close(),
        "network: mark packets": _mark,
        "network: take the interface": lambda: _priority_of(interface),
    }
    for name, pid in pids.items():
        found |= {
            f"{name}: signal": lambda pid=pid: os.kill(pid, signal.SIGCONT),
            f"{name}: attach": lambda pid=pid: _attach(pid),
            f"{name}: read its memory": _open(pathlib.Path(f"/proc/{pid}/mem"), os.O_RDONLY),
            f"{name}: list its descriptors": lambda pid=pid: os.listdir(f"/proc/{pid}/fd"),
            f"{name}: take a descriptor": lambda pid=pid: _take_descriptor(pid),
        }
    return found


def _make(path: pathlib.Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def _connect(path: pathlib.Path, kind: int = socket.SOCK_SEQPACKET) -> None:
    with socket.socket(socket.AF_UNIX, kind) as end:
        end.connect(str(path))


def _mark() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, SO_MARK, 1)


def _priority_of(interface: str) -> None:
    """Sets its queue length to what it is: takes CAP_NET_ADMIN, and changes nothing."""
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        request = bytearray(struct.pack("16si20x", interface.encode(), 0))
        fcntl.ioctl(end, 0x8942, request)  # SIOCGIFTXQLEN
        fcntl.ioctl(end, 0x8943, request)  # SIOCSIFTXQLEN


def _attach(pid: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    _checked(library.ptrace(PTRACE_SEIZE, pid, None, None))
    # Detached by our end: seized, it was never stopped.


def _take_descriptor(pid: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        os.close(_checked(library.syscall(SYS_PIDFD_GETFD, pidfd, 2, 0)))
    finally:
        os.close(pidfd)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _main(folder: str, archive: str, interface: str, uid: str, gid: str, *named: str) -> None:
    pids = {name: int(pid) for name, _, pid in (word.partition("=") for word in named)}
    attempts = _attempts(pathlib.Path(folder), pathlib.Path(archive), interface, pids)  # root still finds the files
    if int(uid):
        _become(int(uid), int(gid))
    print(json.dumps({name: _outcome(attempt) for name, attempt in attempts.items()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
