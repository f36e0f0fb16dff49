"""What a user may do with a ring's files: a process that imports all it needs, becomes that user, tries, and tells.

As a script: ring_probe.py {try|hold} FOLDER UID GID. `try` prints a JSON object, one outcome an attempt. `hold` takes
every lock that it can get, says "held", and keeps them until its stdin closes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import nanotape.capture.reader  # noqa: F401 - a ring loads it with its first reader, when we may read no module any more
from nanotape.capture.errors import PermissionDenied
from nanotape.capture.ring import Ring

DONE = "done"
PR_SET_DUMPABLE = 4


def outcomes(shm: pathlib.Path, holder_socket: pathlib.Path, writer: int, uid: int, gid: int) -> dict[str, str]:
    """What became of each attempt of a user of one group: `done`, an errno's name, or the ring's refusal."""
    said = subprocess.run(
        _command("try", shm, holder_socket, writer, uid, gid), stdout=subprocess.PIPE, check=True
    ).stdout
    told: dict[str, str] = json.loads(said)
    return told


@contextlib.contextmanager
def locks_held(shm: pathlib.Path, uid: int, gid: int) -> Iterator[list[str]]:
    """While it lasts, such a user holds the locks that are named."""
    command = _command("hold", shm, shm, 0, uid, gid)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())
        assert process.poll() is None
    finally:
        process.communicate()


def _command(*arguments: object) -> list[str]:
    return [sys.executable, __file__, *map(str, arguments)]


def _become(uid: int, gid: int) -> None:
    os.setgroups([gid])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)  # else /proc/self is still root's


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except PermissionDenied as refusal:
        return f"refused: {refusal}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return DONE


def _open(path: pathlib.Path, flags: int) -> Callable[[], object]:
    return lambda: os.close(os.open(path, flags))


def _attempts(shm: pathlib.Path, holder_socket: pathlib.Path, writer: int) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {"read": lambda: _read(shm)}
    for kind in ("ring", "data"):
        path = shm / f"test.{kind}"
        found |= {
            f"{kind}: open to write": _open(path, os.O_RDWR),
            f"{kind}: append": _open(path, os.O_WRONLY | os.O_APPEND),
            f"{kind}: cut": lambda path=path: os.truncate(path, path.stat().st_size),  # where it ends: harmless
            f"{kind}: map to write": lambda path=path: _map_writable(path),
            f"{kind}: reopen to write": lambda path=path: _reopen_writable(path),
            f"{kind}: lease": lambda path=path: _lease(path),
            f"{kind}: change mode": lambda path=path: path.chmod(0o666),
            f"{kind}: remove": path.unlink,
        }
    lock = shm / "test.lock"
    return found | {
        "lock: open": _open(lock, os.O_RDONLY),
        "lock: open to write": _open(lock, os.O_RDWR),
        "lock: remove": lock.unlink,
        "shm: make a file": _open(shm / "next.lock", os.O_RDWR | os.O_CREAT | os.O_EXCL),
        "holder: connect": lambda: _connect(holder_socket),
        "plan: open to write": _open(holder_socket.with_name("plan"), os.O_RDWR),
        "writer: stop": lambda: os.kill(writer, signal.SIGSTOP),
    }


def _read(shm: pathlib.Path) -> None:
    with Ring.open("test", shm) as ring, ring.reader("oldest") as reader:
        batch = reader.read()
        if batch is None or batch.column("ring_seq")[0].as_py() != 1:
            raise AssertionError("expected the first record")


def _map_writable(path: pathlib.Path) -> None:
    with path.open("rb") as file:
        mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()


def _reopen_writable(path: pathlib.Path) -> None:
    with path.open("rb") as file:
        os.close(os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDWR))


def _lease(path: pathlib.Path) -> None:
    with path.open("rb") as file:  # would hold up whoever opens the file to write
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _connect(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.connect(str(path))


def _hold(shm: pathlib.Path) -> list[str]:
    held = []
    for kind in ("ring", "data"):
        descriptor = os.open(shm / f"test.{kind}", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held += [f"{kind}: flock", f"{kind}: lockf"]
    return held


def _main(verb: str, shm: str, holder_socket: str, writer: str, uid: str, gid: str) -> None:
    _become(int(uid), int(gid))
    folder = pathlib.Path(shm)
    if verb == "hold":
        print(json.dumps(_hold(folder)), flush=True)
        sys.stdin.read()
        return
    attempts = _attempts(folder, pathlib.Path(holder_socket), int(writer))
    print(json.dumps({name: _outcome(attempt) for name, attempt in attempts.items()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
