"""The HTTP endpoint that Prometheus reads: `GET /metrics`, and nothing else. Ends nothing, whatever is asked of it."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nanotape.capture.metrics.exposition import CONTENT_TYPE
from nanotape.capture.severity import Error

_CLIENT_S = 10.0
_CLIENTS = 16
"""At once; one more, and the oldest is let go: who may use loopback is not to use up our descriptors and threads."""


class MetricsServer:
    """Listens from `start` to `stop`."""

    def __init__(self, address: str, port: int, text: Callable[[], str], log: Callable[[str], None]) -> None:
        """Listens nowhere yet.

        Args:
            address: Of this host.
            port: 0: any that is free.
            text: Makes a page; called from several threads.
            log: Takes one line at a time.
        """
        self._where, self._text, self._log = (address, port), text, log
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int | None:
        """Where it listens; None: it does not."""
        return None if self._server is None else int(self._server.server_address[1])

    def start(self) -> None:
        """Listens. Where that cannot be is a line of the log: capturing is worth more than being watched."""
        try:
            self._server = _server_class(self._where[0])(self._where, _handler(self._text, self._log))
        except OSError as error:
            address, port = self._where
            line = f"metrics: {address} port {port}: cannot listen: {error.strerror}; set metrics.port to another"
            self._log(Error(line))
            return
        self._thread = threading.Thread(target=self._server.serve_forever, name="nanotape-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends. May be called twice."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None


def _server_class(address: str) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads = True
        block_on_close = False
        request_queue_size = 16

        def __init__(self, *arguments: Any) -> None:
            self._clients: dict[socket.socket, None] = {}
            self._lock = threading.Lock()
            super().__init__(*arguments)

        def process_request(self, request: Any, client_address: Any) -> None:
            with self._lock:
                self._clients[request] = None
                oldest = next(iter(self._clients)) if len(self._clients) > _CLIENTS else None
                if oldest is not None:
                    del self._clients[oldest]
                    with contextlib.suppress(OSError):
                        oldest.shutdown(socket.SHUT_RDWR)  # its thread wakes up and closes it
            super().process_request(request, client_address)

        def shutdown_request(self, request: Any) -> None:
            with self._lock:  # a descriptor that is closed must not be shut down: it may be another's by now
                self._clients.pop(request, None)
                super().shutdown_request(request)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is no news."""

    return Server


def _handler(text: Callable[[], str], log: Callable[[str], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_S
        server_version, sys_version = "nanotape", ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "expected /metrics")
                return
            try:
                page = text().encode()
            except Exception as error:  # a defect of ours: whoever watches must see that it cannot
                log(f"metrics: {type(error).__name__}: {error}")
                self.send_error(500)
                return
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Each scrape would be a line."""

    return Handler
