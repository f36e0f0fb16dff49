"""Sends a simulated exchange as UDP multicast on its lines, paced, with faults made on purpose, and logs what it sent.

The sending is native and in a thread of its own with the GIL released. Needs no privilege. What is dropped after the
kernel took a datagram cannot be seen from here, and the log says so.
"""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from nanotape.capture.errors import SimulationError, SimulationUsageError
from nanotape.capture.exchange import ExchangeParameters
from nanotape.capture.sent_faults import SentDuplicate, SentGap, SentReorder, SentRestart
from nanotape.capture.sent_log import SentLine, SentLog, SentLogWriter
from nanotape.capture.simulated_line import Duplicate, Gap, Line, LineFault, Reorder, check
from nanotape.native import ffi, lib


class SimulatedExchange:
    """Opens its lines at once, sends from `start` to the end of the stream or `stop`, once. A context manager."""

    def __init__(
        self,
        parameters: ExchangeParameters,
        lines: Sequence[Line],
        faults: Sequence[LineFault] = (),
        log: str | os.PathLike[str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Checks everything, opens the sockets and begins the log; nothing is sent yet.

        Raises:
            SimulationUsageError: a value that cannot be meant, or an interface that is not there.
            SimulationError: a socket or the log cannot be opened.
        """
        check(lines, faults)
        self.parameters = parameters
        self.lines = tuple(lines)
        self._fault = ffi.new("struct nt_fault *")
        self._faults = [
            {kind: _native_faults(faults, line.name, kind) for kind in (Gap, Duplicate, Reorder)} for line in lines
        ]
        self._restarts = [_native_restarts(parameters) for _ in lines]
        self._sender = self._open()
        self._started_ns = now_ns()
        self._writer = SentLogWriter(log, parameters, self._started_ns) if log is not None else None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._result: SentLog | None = None
        self._failure: SimulationError | None = None

    def _open(self) -> Any:
        options = ffi.new("struct nt_sender_line_options[]", len(self.lines))
        for place, line in enumerate(self.lines):
            options[place].name = line.name.encode("ascii")
            # The kernel wants the group's bytes as they are on the wire.
            options[place].group = int.from_bytes(ipaddress.IPv4Address(line.group).packed, "little")
            options[place].port = line.port
            options[place].interface_index = line.interface_index
            options[place].ttl = line.ttl
            options[place].loop = line.interface == "lo" if line.loop is None else line.loop
            options[place].delay_ns = line.delay_ns
            faults = self._faults[place]
            for native, kind in (("gaps", Gap), ("duplicates", Duplicate), ("reorders", Reorder)):
                given = getattr(options[place], native)
                given.faults, given.count = faults[kind], len(faults[kind])
            options[place].restarts = self._restarts[place]
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
        gaps, duplicates, reorders = (
            [self._told(fault) for fault in self._faults[place][kind]] for kind in (Gap, Duplicate, Reorder)
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
            unsent=max(0, counters.generated + counters.repeated - counters.sent - counters.withheld),
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
            gaps=tuple(SentGap(*told) for told in gaps),
            repeated=counters.repeated,
            duplicates=tuple(SentDuplicate(*told) for told in duplicates),
            reorders=tuple(SentReorder(*told) for told in reorders),
            restarts=self._restarted(place),
        )

    def _told(self, fault: Any) -> tuple[int, int, int, int | None, int, str | None]:
        reached = fault.first_sequence > 0
        session = self.parameters.session_after(fault.restarts) if reached else None
        return (
            fault.first_packet, fault.packets, fault.done, fault.first_sequence or None, fault.messages, session
        )  # fmt: skip

    def _restarted(self, place: int) -> tuple[SentRestart, ...]:
        return tuple(
            SentRestart(
                restart.packet, restart.new_session, self.parameters.session_after(number), native.expected or None
            )
            for number, (restart, native) in enumerate(
                zip(self.parameters.restarts, self._restarts[place], strict=True), start=1
            )
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


def _native_faults(faults: Sequence[LineFault], line: str, kind: type[LineFault]) -> Any:
    chosen = sorted(
        (fault for fault in faults if fault.line == line and type(fault) is kind), key=lambda fault: fault.first_packet
    )
    made = ffi.new("struct nt_sender_fault[]", len(chosen))
    for place, fault in enumerate(chosen):
        made[place].first_packet, made[place].packets = fault.first_packet, fault.packets
    return made


def _native_restarts(parameters: ExchangeParameters) -> Any:
    made = ffi.new("struct nt_sender_restart[]", len(parameters.restarts))
    for place, restart in enumerate(parameters.restarts):
        made[place].packet = restart.packet
    return made


def simulate(
    parameters: ExchangeParameters,
    lines: Sequence[Line],
    faults: Sequence[LineFault] = (),
    log: str | os.PathLike[str] | None = None,
) -> SentLog:
    """Sends the whole stream and returns what was sent. For an endless stream use SimulatedExchange.

    Raises:
        SimulationUsageError: a value that cannot be meant, or an interface that is not there.
        SimulationError: the sending failed.
    """
    if parameters.packets is None:
        raise SimulationUsageError("packets: expected a number, found none: this call would never return")
    with SimulatedExchange(parameters, lines, faults, log) as exchange:
        exchange.start()
        result = exchange.wait()
    if result is None:
        raise SimulationError("the sender's thread ended without a result")
    return result
