"""A process that has loaded `nanotape` once and forks into every command that tests call: that saves each its start.

A command is a process of its own all the same, with its own streams, environment, folder, session and exit. The server
ends with the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import importlib.util
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

    def run(self, words: Sequence[str], stdin: bytes, seconds: float) -> tuple[int, bytes, bytes]:
        """Runs `nanotape` with these words; returns exit status, standard output, standard error.

        Raises:
            subprocess.TimeoutExpired: It took longer; it is killed.
        """
        request = json.dumps({"words": list(words), "environment": dict(os.environ), "folder": os.getcwd()})
        with contextlib.ExitStack() as stack:
            mine, theirs = socket.socketpair()
            pipes = [os.pipe() for _ in range(3)]
            for end in (mine, theirs):
                stack.enter_context(end)
            written = stack.enter_context(os.fdopen(pipes[0][1], "wb"))
            read = [stack.enter_context(os.fdopen(pipe[0], "rb", buffering=0)) for pipe in pipes[1:]]
            given = [pipes[0][0], pipes[1][1], pipes[2][1]]
            try:
                socket.send_fds(self._control, [request.encode()], [theirs.fileno(), *given])
            finally:
                theirs.close()
                for descriptor in given:
                    os.close(descriptor)
            pid = int.from_bytes(mine.recv(4), "little")
            assert pid, "the fork server has ended"
            written.write(stdin)  # what a command is told fits into a pipe
            written.close()
            said = _read([mine.fileno(), *(file.fileno() for file in read)], seconds)
            if said is None:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["nanotape", *words], seconds)
            status, output, errors = said
            return int.from_bytes(status, "little", signed=True), output, errors


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
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    return list(request["words"])  # type: ignore[call-overload]


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
