"""A reader of a ring as a process of its own, to be stopped and killed; a journal on disk says what it took.

As a script: ring_consumer.py DESCRIPTOR JOURNAL START ROWS LAPS. It lets the writer go LAPS times around the ring
before each read, until SIGTERM; then it takes what is left and ends.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

from nanotape.capture.reader import RingReader
from nanotape.capture.ring import Ring


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """One batch, as a reader took it; positions in bytes of the ring."""

    fresh: bool
    """The first batch of its process."""
    first: int
    last: int
    rows: int
    lost_first: int
    """`lost_before` of its first row."""
    lost_inside: int
    """Sum of `lost_before` of its other rows."""
    losses: int
    """Rows with a loss before them."""
    lost: int
    """The reader's own count since it began."""
    events: int
    position: int
    """After the batch."""
    bytes: int
    """What its records take in the ring, of those after the last loss in it, padding not counted."""
    tail_before: int
    tail_after: int


class Consumer:
    """A consumer process and its journal; `start` again after a death, and it goes on where the journal ends."""

    def __init__(self, descriptor: pathlib.Path, journal: pathlib.Path, rows: int = 65_536, laps: float = 0.0) -> None:
        """Starts nothing yet."""
        self.journal = journal
        self._arguments = (descriptor, rows, laps)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it at the sequence after the journal's last, at 1 without one; returns when it stands there."""
        taken = self.taken()
        descriptor, rows, laps = self._arguments
        start = taken[-1].last + 1 if taken else 1
        command = [sys.executable, __file__, *map(str, (descriptor, self.journal, start, rows, laps))]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def finish(self) -> list[Taken]:
        """Lets it take what is left, and returns its journal, of its predecessors too."""
        assert self._process
        self._process.terminate()
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        self._process = None
        return self.taken()

    def taken(self) -> list[Taken]:
        """The journal so far."""
        if not self.journal.exists():
            return []
        whole, _, _ = self.journal.read_text(encoding="utf-8").rpartition("\n")
        return [Taken(**json.loads(line)) for line in whole.splitlines()]


def _consume(descriptor: str, journal: int, start: int, rows: int, laps: float) -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    with Ring.open(descriptor) as ring, ring.reader(start) as reader:
        fresh = True
        print("ready", flush=True)
        while True:
            ending = bool(stopped)
            while not stopped and ring.tail - reader.position < laps * ring.capacity_bytes:
                time.sleep(0.001)
            before = ring.tail
            batch = reader.read(max_rows=rows)
            if batch is not None:
                entry = _taken(batch, reader, before, ring.tail, fresh)
                fresh = False
                os.write(journal, (json.dumps(dataclasses.asdict(entry)) + "\n").encode())
            elif ending:
                return
            else:
                time.sleep(0.001)


def _taken(batch: Any, reader: RingReader, before: int, after: int, fresh: bool) -> Taken:
    sequences, lost_before = batch.column("ring_seq").to_numpy(), batch.column("lost_before").to_numpy()
    rows_after_loss = len(sequences) if not lost_before.any() else int((lost_before[::-1] > 0).argmax()) + 1
    frames = batch.column("wire_len").to_numpy().astype("int64")[-rows_after_loss:]
    return Taken(
        fresh=fresh,
        first=int(sequences[0]),
        last=int(sequences[-1]),
        rows=len(sequences),
        lost_first=int(lost_before[0]),
        lost_inside=int(lost_before[1:].sum()),
        losses=int((lost_before > 0).sum()),
        lost=reader.lost,
        events=reader.loss_events,
        position=reader.position,
        bytes=int(((frames + 48 + 7) // 8 * 8).sum()),
        tail_before=before,
        tail_after=after,
    )


if __name__ == "__main__":
    _, _descriptor, _journal, _start, _rows, _laps = sys.argv
    _file = os.open(_journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _consume(_descriptor, _file, int(_start), int(_rows), float(_laps))
