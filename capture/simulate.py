"""Sends a simulated exchange as UDP multicast on its lines, paced, with gaps made on purpose, and logs what it sent.

The sending is native and in a thread of its own with the GIL released. Needs no privilege. What is dropped after the
kernel took a datagram cannot be seen from here, and the log says so.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from nanotape.capture.errors import SimulationError, SimulationUsageError
from nanotape.capture.exchange import ExchangeParameters
from nanotape.capture.sent_log import SentGap, SentLine, SentLog, SentLogWriter
from nanotape.native import ffi, lib

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,15})=(?P<group>[0-9.]+):(?P<port>[0-9]+)(@(?P<interface>[^@]+))?")
_GAP = re.compile(r"(?P<line>[^:]+):(?P<first>[0-9]+):(?P<packets>[0-9]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One of the lines that carry the same stream."""

    name: str
    group: str
    port: int
    interface: str
    delay_ns: int = 0
    """How far it lags behind the schedule."""
    ttl: int = 1
    loop: bool | None = None
    """Whether receivers on this host get it too; None: on `lo` only."""

    @classmethod
    def parse(cls, text: str, interface: str) -> Line:
        """Reads `A=239.192.0.1:31001` or `A=239.192.0.1:31001@eth1`.

        Raises:
            SimulationUsageError: it is neither.
        """
        match = _LINE.fullmatch(text)
        if match is None:
            raise SimulationUsageError(f"line: expected NAME=GROUP:PORT or NAME=GROUP:PORT@INTERFACE, found {text!r}")
        return cls(match["name"], match["group"], int(match["port"]), match["interface"] or interface)


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Datagrams `first_packet`, `first_packet + 1`, ... of a line, made and not sent. The first datagram is 1."""

    line: str
    first_packet: int
    packets: int

    @classmethod
    def parse(cls, text: str) -> Gap:
        """Reads `A:1000:5`: on line A, five datagrams from number 1000 on.

        Raises:
            SimulationUsageError: it is something else.
        """
        match = _GAP.fullmatch(text)
        if match is None:
            raise SimulationUsageError(f"gap: expected LINE:FIRST_PACKET:PACKETS, as in A:1000:5, found {text!r}")
        return cls(match["line"], int(match["first"]), int(match["packets"]))


def _check(lines: Sequence[Line], gaps: Sequence[Gap]) -> None:
    names = [line.name for line in lines]
    if not 1 <= len(lines) <= lib.NT_SENDER_LINES_MAX:
        raise SimulationUsageError(f"expected 1 to {lib.NT_SENDER_LINES_MAX} lines, found {len(lines)}")
    for line in lines:
        if names.count(line.name) > 1:
            raise SimulationUsageError(f"line {line.name}: given twice; each line needs its own name")
        _check_line(line)
    for gap in gaps:
        if gap.line not in names:
            raise SimulationUsageError(f"gap on line {gap.line}: no such line; the lines are {', '.join(names)}")
        if not (1 <= gap.first_packet < 2**63 and 1 <= gap.packets < 2**63):
            raise SimulationUsageError(
                f"gap {gap.line}:{gap.first_packet}:{gap.packets}: "
                "expected a first packet of at least 1 and a count of at least 1"
            )


def _check_line(line: Line) -> None:
    try:
        multicast = ipaddress.IPv4Address(line.group).is_multicast
    except ValueError:
        multicast = False
    if not multicast:
        raise SimulationUsageError(
            f"line {line.name}: expected an IPv4 multicast group (224.0.0.0 to 239.255.255.255), found {line.group}"
        )
    if not 1 <= line.port <= 65535:
        raise SimulationUsageError(f"line {line.name}: expected a port of 1 to 65535, found {line.port}")
    if not 0 <= line.ttl <= 255:
        raise SimulationUsageError(f"line {line.name}: expected a TTL of 0 to 255, found {line.ttl}")
    if not 0 <= line.delay_ns <= 60 * 10**9:
        raise SimulationUsageError(f"line {line.name}: expected a delay of 0 to 60 s, found {line.delay_ns} ns")


def _interface_index(line: Line) -> int:
    try:
        return socket.if_nametoindex(line.interface)
    except OSError:
        found = ", ".join(name for _, name in socket.if_nameindex())
        raise SimulationUsageError(f"line {line.name}: no interface {line.interface} here; found {found}") from None


class SimulatedExchange:
    """Opens its lines at once, sends from `start` to the end of the stream or `stop`, once. A context manager."""

    def __init__(
        self,
        parameters: ExchangeParameters,
        lines: Sequence[Line],
        gaps: Sequence[Gap] = (),
        log: str | os.PathLike[str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Checks everything, opens the sockets and begins the log; nothing is sent yet.

        Raises:
            SimulationUsageError: a value that cannot be meant, or an interface that is not there.
            SimulationError: a socket or the log cannot be opened.
        """
        _check(lines, gaps)
        self.parameters = parameters
        self.lines = tuple(lines)
        self._gaps = [sorted((g for g in gaps if g.line == line.name), key=lambda g: g.first_packet) for line in lines]
        self._fault = ffi.new("struct nt_fault *")
        self._native_gaps = [self._make_gaps(chosen) for chosen in self._gaps]
        self._sender = self._open()
        self._started_ns = now_ns()
        self._writer = SentLogWriter(log, parameters, self._started_ns) if log is not None else None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._result: SentLog | None = None
        self._failure: SimulationError | None = None

    @staticmethod
    def _make_gaps(gaps: Sequence[Gap]) -> Any:
        made = ffi.new("struct nt_sender_gap[]", len(gaps))
        for place, gap in enumerate(gaps):
            made[place].first_packet = gap.first_packet
            made[place].packets = gap.packets
        return made

    def _open(self) -> Any:
        options = ffi.new("struct nt_sender_line_options[]", len(self.lines))
        for place, line in enumerate(self.lines):
            options[place].name = line.name.encode("ascii")
            # The kernel wants the group's bytes as they are on the wire.
            options[place].group = int.from_bytes(ipaddress.IPv4Address(line.group).packed, "little")
            options[place].port = line.port
            options[place].interface_index = _interface_index(line)
            options[place].ttl = line.ttl
            options[place].loop = line.interface == "lo" if line.loop is None else line.loop
            options[place].delay_ns = line.delay_ns
            options[place].gap_count = len(self._gaps[place])
            options[place].gaps = self._native_gaps[place]
        handle = ffi.new("struct nt_sender **")
        error = lib.nt_sender_open(handle, self.parameters.native(), options, len(self.lines), self._fault)
        if error:
            text = ffi.string(self._fault.text).decode()
            raise SimulationUsageError(text) if error == -22 else SimulationError(text)
        return ffi.gc(handle[0], lib.nt_sender_close)

    def start(self) -> None:
        """Begins to send, in a thread.

        Raises:
            SimulationError: it was started before.
        """
        if self._thread is not None:
            raise SimulationError("this simulated exchange was started before; make another")
        self._thread = threading.Thread(target=self._run, name="nanotape-simulate", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failed = lib.nt_sender_run(self._sender, self._fault) != 0
        error = ffi.string(self._fault.text).decode() if failed else None
        ended = "failed" if failed else "stopped" if self._stopped else "finished"
        result = SentLog(self.parameters, self._started_ns, ended, error, self.counters())
        try:
            if self._writer is not None:
                self._writer.finish(result)
        except SimulationError as log_error:
            self._failure = log_error
        if error is not None:
            self._failure = SimulationError(error)
        self._result = result

    def stop(self) -> None:
        """Asks the sender to end; `wait` returns soon after. For any thread, and for signal handlers."""
        self._stopped = True
        lib.nt_sender_stop(self._sender)

    @property
    def running(self) -> bool:
        """Whether the thread sends still."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> SentLog | None:
        """Waits for the end and returns what was sent; None when `timeout` seconds passed first.

        Raises:
            SimulationError: the sending failed, the log could not be finished, or it was never started.
        """
        if self._thread is None:
            raise SimulationError("this simulated exchange was not started")
        self._thread.join(timeout)
        if self._thread.is_alive():
            return None
        if self._failure is not None:
            raise self._failure
        return self._result

    def counters(self) -> tuple[SentLine, ...]:
        """Returns each line's counts as they are now."""
        return tuple(self._read(place) for place in range(len(self.lines)))

    def _read(self, place: int) -> SentLine:
        line = self.lines[place]
        counters = ffi.new("struct nt_sender_counters *")
        lib.nt_sender_read(self._sender, place, counters)
        gaps = tuple(
            SentGap(gap.first_packet, gap.packets, gap.withheld, gap.first_sequence or None, gap.messages)
            for gap in self._native_gaps[place]
        )
        return SentLine(
            name=line.name,
            group=line.group,
            port=line.port,
            interface=line.interface,
            delay_ns=line.delay_ns,
            generated=counters.generated,
            sent=counters.sent,
            withheld=counters.withheld,
            unsent=max(0, counters.generated - counters.sent - counters.withheld),
            heartbeats=counters.heartbeats,
            ends=counters.ends,
            messages=counters.messages,
            bytes=counters.bytes,
            batches=counters.batches,
            retries=counters.retries,
            crc32c=counters.crc32c,
            late_max_ns=counters.late_max_ns,
            first_ns=counters.first_ns or None,
            last_ns=counters.last_ns or None,
            gaps=gaps,
        )

    def __enter__(self) -> SimulatedExchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops and waits for the thread; the sockets go with the object."""
        if self._thread is not None and self._thread.is_alive():
            self.stop()
            self._thread.join()


def simulate(
    parameters: ExchangeParameters,
    lines: Sequence[Line],
    gaps: Sequence[Gap] = (),
    log: str | os.PathLike[str] | None = None,
) -> SentLog:
    """Sends the whole stream and returns what was sent. For an endless stream use SimulatedExchange.

    Raises:
        SimulationUsageError: a value that cannot be meant, or an interface that is not there.
        SimulationError: the sending failed.
    """
    if parameters.packets is None:
        raise SimulationUsageError("packets: expected a number, found none: this call would never return")
    with SimulatedExchange(parameters, lines, gaps, log) as exchange:
        exchange.start()
        result = exchange.wait()
    if result is None:
        raise SimulationError("the sender's thread ended without a result")
    return result
