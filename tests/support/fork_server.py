"""A process that has loaded `nanotape` once and forks into every command that tests call: that saves each its start.

A command is a process of its own all the same, with its own streams, environment, folder, session and exit. The server
ends with the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import importlib.util
import io
import json
import os
import pathlib
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

_REQUEST_BYTES = 1 << 17
_NEW_NETWORK, _NEW_MOUNTS = 0x4000_0000, 0x0002_0000  # CLONE_NEWNET, CLONE_NEWNS
_SLAVE_ALL, _DETACH = (1 << 19) | (1 << 14), 2  # MS_SLAVE | MS_REC, MNT_DETACH
_LOADED = ("duckdb", "polars", "pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "numpy.ma", "rich.table")


class ForkServer:
    """The tests' side: starts the server and runs commands through it."""

    def __init__(self) -> None:
        """Starts it."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def close(self) -> None:
        """Ends it."""
        self._control.close()
        self._process.wait()

    def run(self, words: Sequence[str], stdin: bytes, seconds: float, namespace: str = "") -> tuple[int, bytes, bytes]:
        """Runs `nanotape` with these words; returns exit status, standard output, standard error.

        Raises:
            subprocess.TimeoutExpired: It took longer; it is killed.
        """
        command = self.start(words, stdin, namespace)
        output, errors = command.communicate(seconds)
        assert command.returncode is not None
        return command.returncode, output, errors

    def start(self, words: Sequence[str], stdin: bytes = b"", namespace: str = "") -> ForkedCommand:
        """Starts `nanotape` with these words, in a network namespace as `ip netns exec` would."""
        request = {"words": list(words), "environment": dict(os.environ), "folder": os.getcwd(), "namespace": namespace}
        mine, theirs = socket.socketpair()
        pipes = [os.pipe() for _ in range(3)]
        given = [pipes[0][0], pipes[1][1], pipes[2][1]]
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno(), *given])
        finally:
            theirs.close()
            for descriptor in given:
                os.close(descriptor)
        pid = int.from_bytes(mine.recv(4), "little")
        assert pid, "the fork server has ended"
        with os.fdopen(pipes[0][1], "wb") as written:
            written.write(stdin)  # what a command is told fits into a pipe
        return ForkedCommand(words, pid, mine, *(os.fdopen(pipe[0], "rb", buffering=0) for pipe in pipes[1:]))


class ForkedCommand:
    """A running command, with what tests use of subprocess.Popen. Its output is read by `communicate` alone."""

    def __init__(
        self, words: Sequence[str], pid: int, back: socket.socket, output: io.RawIOBase, errors: io.RawIOBase
    ) -> None:
        """Of a process that the server has forked, which says on `back` how it ended."""
        self.pid = pid
        self.returncode: int | None = None
        self._words, self._back, self._streams = words, back, (output, errors)

    def poll(self) -> int | None:
        """Its exit status; None: it runs."""
        return self._ended(0)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: It runs on.
        """
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(["nanotape", *self._words], timeout)
        return status

    def communicate(self, timeout: float = 60.0) -> tuple[bytes, bytes]:
        """Standard output and standard error, once it has ended; nothing when they were read already.

        Raises:
            subprocess.TimeoutExpired: It took longer; it is killed.
        """
        if self._streams[0].closed:
            return b"", b""
        said = _read([stream.fileno() for stream in self._streams], timeout)
        if said is None:
            self.kill()
        self.wait()
        for each in (*self._streams, self._back):
            each.close()
        if said is None:
            raise subprocess.TimeoutExpired(["nanotape", *self._words], timeout)
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._back], [], [], seconds)[0]:
            self.returncode = int.from_bytes(self._back.recv(4), "little", signed=True)
        return self.returncode


def _read(descriptors: Sequence[int], seconds: float) -> list[bytes] | None:
    """What comes from each until all have ended; None when the time is over first."""
    end = time.monotonic() + seconds
    parts = {descriptor: bytearray() for descriptor in descriptors}
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                parts[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
    return [bytes(part) for part in parts.values()]


@functools.cache
def fork_server() -> ForkServer:
    """The one of this process."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def _load() -> None:
    """All that any verb may want, as far as it is there: what is not is loaded, or missed, by the command itself."""
    verbs = importlib.import_module("nanotape.cli.verbs").VERBS
    modules = [f"nanotape.cli.{where.partition(':')[0]}" for where in verbs.values()]
    storage = importlib.util.find_spec("nanotape.storage")
    folders = storage.submodule_search_locations if storage else None
    modules += [f"nanotape.storage.{path.stem}" for path in pathlib.Path((folders or ["."])[0]).glob("*.py")]
    for name in (*modules, *_LOADED):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _serve(control: socket.socket) -> list[str]:
    """Forks for each request. Returns only in a forked process, with the words of its command."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control, *running], [], [])[0]:
            if ready is not control:
                pid, back = running.pop(ready)
                os.close(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with back, contextlib.suppress(BrokenPipeError):
                    back.sendall(status.to_bytes(4, "little", signed=True))
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _REQUEST_BYTES, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                control.close()
                for pidfd, (_, other) in running.items():
                    os.close(pidfd)
                    other.close()
                return _become(json.loads(message), descriptors)
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            back = socket.socket(fileno=descriptors[0])
            back.sendall(pid.to_bytes(4, "little"))
            running[os.pidfd_open(pid)] = pid, back


def _become(request: dict[str, object], descriptors: Sequence[int]) -> list[str]:
    back, *streams = descriptors
    os.close(back)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.setsid()
    if request["namespace"]:
        _enter(str(request["namespace"]))
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    return list(request["words"])  # type: ignore[call-overload]


def _enter(namespace: str) -> None:
    """As `ip netns exec` does: the network of the namespace, and a /sys that shows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}", "rb") as place:
        done = [libc.setns(place.fileno(), _NEW_NETWORK), libc.unshare(_NEW_MOUNTS)]
    done.append(libc.mount(b"", b"/", b"none", _SLAVE_ALL, None))
    done.append(libc.umount2(b"/sys", _DETACH))
    done.append(libc.mount(namespace.encode(), b"/sys", b"sysfs", 0, None))
    if any(done):
        raise OSError(ctypes.get_errno(), f"{namespace}: cannot be entered: {done}")


def _status_of(main: Callable[[], None]) -> int:
    """Runs it; returns the status with which Python would have ended, once all that Python does before is done."""
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
    sys.stderr.flush()
    return status if isinstance(status, int) else int(bool(status))


if __name__ == "__main__":
    _load()
    gc.freeze()  # or a collection in a command would touch, and so copy, all that was loaded
    with socket.socket(fileno=int(sys.argv[1])) as socket_of_requests:
        words_of_command = _serve(socket_of_requests)
    sys.argv = ["nanotape", *words_of_command]
    os._exit(_status_of(importlib.import_module("nanotape.cli.main").main))  # to take all down again takes long
