"""What a simulated exchange sent: a file of two JSON lines, the parameters at the start and the counts at the end.

The payloads themselves are not stored: they are made again from the parameters, byte for byte. A file without its
second line is of a sender that runs still or was killed, and is refused.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.errors import SimulationError
from nanotape.capture.exchange import ExchangeParameters, ExchangeStream
from nanotape.capture.sent_faults import SentDuplicate, SentGap, SentReorder, SentRestart
from nanotape.capture.sent_order import sent_order

KIND = "nanotape-sent-log"
VERSION = 1
NOT_VISIBLE = (
    "sent = taken by the kernel without an error; what a driver, a link or a receiver drops is not visible here"
)


@dataclasses.dataclass(frozen=True, slots=True)
class SentLine:
    """One line's counts, while it runs or at the end."""

    name: str
    group: str
    port: int
    interface: str
    delay_ns: int
    generated: int
    sent: int
    withheld: int
    unsent: int
    """Made and due, neither sent nor withheld, or held back to be late: 0 at a clean end."""
    heartbeats: int
    ends: int
    messages: int
    bytes: int
    batches: int
    retries: int
    """Times the kernel had no room (EAGAIN, ENOBUFS) and was asked again."""
    crc32c: int
    """Of all payloads sent, end to end, in order."""
    late_max_ns: int
    """Worst delay behind the schedule."""
    first_ns: int | None
    """UTC; None: nothing was sent."""
    last_ns: int | None
    gaps: tuple[SentGap, ...]
    repeated: int = 0
    """Datagrams sent a second time, on purpose; they are among the `sent`."""
    duplicates: tuple[SentDuplicate, ...] = ()
    reorders: tuple[SentReorder, ...] = ()
    restarts: tuple[SentRestart, ...] = ()

    @property
    def rate(self) -> float | None:
        """Datagrams a second between the first and the last batch; None where that is no time at all."""
        if self.first_ns is None or self.last_ns is None or self.last_ns <= self.first_ns:
            return None
        return self.sent * 1e9 / (self.last_ns - self.first_ns)


@dataclasses.dataclass(frozen=True, slots=True)
class SentLog:
    """The whole log."""

    parameters: ExchangeParameters
    started_ns: int
    """UTC."""
    ended: str
    """`finished` (the stream's end), `stopped` (on request) or `failed`."""
    error: str | None
    lines: tuple[SentLine, ...]

    def line(self, name: str) -> SentLine:
        """Returns a line by name.

        Raises:
            SimulationError: there is none of that name.
        """
        for line in self.lines:
            if line.name == name:
                return line
        raise SimulationError(f"line {name}: not in this log, which has {', '.join(line.name for line in self.lines)}")

    def batches(self, name: str, rows: int = 16_384) -> Iterator[tuple[npt.NDArray[np.void], pa.BinaryArray]]:
        """Yields what the line sent, made again, in that order: facts (`exchange.PACKET_DTYPE`) and payloads."""
        line = self.line(name)
        left = line.sent
        made = ExchangeStream(self.parameters).batches(rows)
        for batch in sent_order(made, line.gaps, line.duplicates, line.reorders):
            facts, payloads = batch.facts[:left], batch.payloads[:left]
            left -= len(facts)
            if len(facts):
                yield facts, payloads
            if left == 0:
                return

    def payloads(self, name: str) -> Iterator[bytes]:
        """Yields each payload that the line sent, made again, in the order of sending."""
        for _, payloads in self.batches(name):
            yield from payloads.to_pylist()

    def as_json(self) -> dict[str, Any]:
        """Returns the report of `nanotape simulate --json`."""
        lines = [dataclasses.asdict(line) | {"rate": line.rate} for line in self.lines]
        return {
            "parameters": self.parameters.as_json(),
            "started_ns": self.started_ns,
            "ended": self.ended,
            "error": self.error,
            "note": NOT_VISIBLE,
            "lines": lines,
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SentLog:
        """Reads a log.

        Raises:
            SimulationError: no such file, no log, another version, or a log without its end.
        """
        try:
            documents = [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise SimulationError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SimulationError(f"{path}: expected the two JSON lines of a sent log, found: {error}") from error
        return cls._from_documents(os.fspath(path), documents)

    @classmethod
    def _from_documents(cls, path: str, documents: list[Any]) -> SentLog:
        head = documents[0] if documents else None
        if not isinstance(head, dict) or head.get("kind") != KIND:
            raise SimulationError(f"{path}: expected a log of `nanotape simulate --log`, found something else")
        if head.get("version") != VERSION:
            raise SimulationError(f"{path}: expected log version {VERSION}, found {head.get('version')}")
        if len(documents) != 2:
            raise SimulationError(f"{path}: the log has no end: its sender runs still or was killed; make a new one")
        end = documents[1]
        try:
            return cls(
                parameters=ExchangeParameters.from_json(head["parameters"]),
                started_ns=head["started_ns"],
                ended=end["ended"],
                error=end["error"],
                lines=tuple(_line_from_json(line) for line in end["lines"]),
            )
        except (KeyError, TypeError) as error:
            raise SimulationError(f"{path}: the log lacks or has too many fields: {error}") from error


_FAULTS = {"gaps": SentGap, "duplicates": SentDuplicate, "reorders": SentReorder, "restarts": SentRestart}


def _line_from_json(document: dict[str, Any]) -> SentLine:
    faults = {name: tuple(kind(**each) for each in document.get(name, ())) for name, kind in _FAULTS.items()}
    return SentLine(**document | faults)


class SentLogWriter:
    """Writes the first line at once, so that a bad path is known before anything is sent, and the second at the end."""

    def __init__(self, path: str | os.PathLike[str], parameters: ExchangeParameters, started_ns: int) -> None:
        """Creates the file, or empties it.

        Raises:
            SimulationError: it cannot be written.
        """
        self._path = pathlib.Path(path)
        head = {"kind": KIND, "version": VERSION, "started_ns": started_ns, "parameters": parameters.as_json()}
        self._write(head, "w")

    def finish(self, log: SentLog) -> None:
        """Appends the counts.

        Raises:
            SimulationError: it cannot be written.
        """
        lines = [dataclasses.asdict(line) for line in log.lines]
        self._write({"ended": log.ended, "error": log.error, "note": NOT_VISIBLE, "lines": lines}, "a")

    def _write(self, document: dict[str, Any], mode: str) -> None:
        try:
            with self._path.open(mode, encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")
        except OSError as error:
            raise SimulationError(f"{self._path}: the log cannot be written: {error.strerror}") from error
