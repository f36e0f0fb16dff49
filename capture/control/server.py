"""The listening side of control sockets: a thread that accepts, and one for each client, of which there are few.

Garbage, silence, a flood or a client that does not read costs that client its connection and nobody else anything.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.control.peers import Peer, may_steer, peer_of
from nanotape.capture.control.protocol import LINE_BYTES, Request, answer_line, error_line, parse
from nanotape.capture.errors import CaptureError, ControlError
from nanotape.capture.severity import Info
from nanotape.config import ConfigError

Act = Callable[[str, Request], Mapping[str, Any]]
"""Does what is asked of a ring's service; raises CaptureError or ConfigError with the line to answer."""
_END_S = 2.0
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """What clients may take."""

    clients: int = 16
    """At once; one more is told so and let go."""
    silence_s: float = 30.0
    """Without a whole request; then it is let go."""
    write_s: float = 5.0
    """For an answer to be taken."""


class ControlServer:
    """Listens for the rings of one supervisor, from `start` to `stop`."""

    def __init__(
        self,
        sockets: Mapping[str, Path],
        gid: int,
        act: Act,
        log: Callable[[str], None],
        limits: ControlLimits | None = None,
        ask_peer: Callable[[socket.socket], Peer] = peer_of,
    ) -> None:
        """Listens nowhere yet.

        Args:
            sockets: Where to listen, by ring.
            gid: Group whose members may steer.
            act: Called from several threads.
            log: Takes one line at a time.
            limits: None: the defaults.
            ask_peer: Tells who has connected.
        """
        self._paths, self._gid, self._act, self._log = sockets, gid, act, log
        self._limits, self._ask_peer = limits or ControlLimits(), ask_peer
        self._listeners: dict[int, tuple[str, socket.socket]] = {}
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._accept_all, name="nanotape-control", daemon=True)

    def start(self) -> None:
        """Listens. A socket that cannot be made is a line of the log: capturing is worth more than being steered."""
        for ring, path in self._paths.items():
            try:
                listener = listen_at(path, self._gid)
            except ControlError as error:
                self._log(f"{error}; nobody can steer ring {ring} while this service runs")
            else:
                self._listeners[listener.fileno()] = ring, listener
        self._thread.start()

    def stop(self) -> None:
        """Ends, with all connections, and removes the sockets."""
        os.eventfd_write(self._ended, 1)
        self._thread.join()
        for ring, listener in self._listeners.values():
            listener.close()
            self._paths[ring].unlink(missing_ok=True)
        with self._lock:
            clients = dict(self._clients)
        for connection in clients:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)  # what is being answered may be answered still
        for thread in clients.values():
            if thread is not threading.current_thread():
                thread.join(_END_S)
        os.close(self._ended)

    def _accept_all(self) -> None:
        while True:
            readable = select.select([self._ended, *self._listeners], [], [])[0]
            if self._ended in readable:
                return
            for fd in readable:
                ring, listener = self._listeners[fd]
                try:
                    connection = listener.accept()[0]
                except OSError:  # it has gone already, or there is no descriptor to be had: it would be tried at once
                    select.select([self._ended], [], [], _PAUSE_S)
                else:
                    self._take(ring, connection)

    def _take(self, ring: str, connection: socket.socket) -> None:
        connection.settimeout(self._limits.write_s)
        with self._lock:
            is_full = len(self._clients) >= self._limits.clients
        if is_full:
            with contextlib.suppress(OSError), connection:
                connection.sendall(error_line(f"{self._limits.clients} clients are connected already; try again"))
            return
        thread = threading.Thread(target=self._serve, args=(ring, connection), name="nanotape-control", daemon=True)
        with self._lock:
            self._clients[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # there is no thread to be had just now; the next may find one
            with self._lock:
                self._clients.pop(connection)
            connection.close()

    def _serve(self, ring: str, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError), connection:
                peer = self._ask_peer(connection)
                if not may_steer(peer, self._gid):
                    self._log(f"control: process {peer.pid} of user {peer.uid} refused: not in group {self._gid}")
                    connection.sendall(error_line(f"user {peer.uid} may not steer: not in group {self._gid}"))
                    return
                self._converse(ring, connection, peer)
        finally:
            with self._lock:
                self._clients.pop(connection, None)

    def _converse(self, ring: str, connection: socket.socket, peer: Peer) -> None:
        waiting = b""
        while True:
            line, ended, rest = waiting.partition(b"\n")
            if ended:
                waiting = rest
                connection.settimeout(self._limits.write_s)
                connection.sendall(self._answer(ring, line, peer))
                continue
            if len(waiting) >= LINE_BYTES:
                connection.sendall(error_line(f"expected a line of at most {LINE_BYTES} bytes; good-bye"))
                return
            connection.settimeout(self._limits.silence_s)
            came = connection.recv(LINE_BYTES - len(waiting))
            if not came:
                return
            waiting += came

    def _answer(self, ring: str, line: bytes, peer: Peer) -> bytes:
        try:
            request = parse(line)
            if request.do != "status":
                self._log(Info(f"control: {request.do} asked for by process {peer.pid} of user {peer.uid}"))
            return answer_line(self._act(ring, request))
        except (CaptureError, ConfigError) as error:
            return error_line(str(error))
        except Exception as error:  # a defect of ours: who asked is told, and the service goes on
            self._log(f"control: {type(error).__name__}: {error}")
            return error_line(f"{type(error).__name__}: {error}")


def listen_at(path: Path, gid: int) -> socket.socket:
    """A listening socket for the owner and a group; a dead one's is replaced, a live one's is not.

    Raises:
        ControlError: It cannot be made.
    """
    if _is_alive(path):
        raise ControlError(f"{path}: another service listens there; stop it first")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket():
                path.unlink()
        listener.bind(str(path))
        if path.lstat().st_gid != gid:
            os.chown(path, -1, gid, follow_symlinks=False)
        path.chmod(0o660)  # who was quicker is asked for its credentials all the same
        listener.listen()
    except (OSError, ValueError) as error:
        listener.close()
        raise ControlError(f"{path}: the control socket cannot be made: {error}") from None
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
