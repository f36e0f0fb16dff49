"""A reader of a ring as a process of its own, to be stopped and killed; a journal on disk says what it took.

As a script: ring_consumer.py DESCRIPTOR JOURNAL START ROWS LAPS. It lets the writer go LAPS times around the ring before each
read, until SIGTERM; then it takes what is left and ends.
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

from nanotape.capture.ring import Ring


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """One batch, as a reader took it; positions in bytes of the ring."""

    first: int
    last: int
    rows: int
    lost_first: int
    """`lost_before` of its first row."""
    lost_inside: int
    """Sum of `lost_before` of its other rows."""
    lost: int
    """The reader's own count since it began."""
    events: int
    position: int
    """After the batch."""
    bytes: int
    """What its records take in the ring, padding not counted."""
    tail_before: int
    tail_after: int


class Consumer:
    """A consumer process and its journal; `start` again after a death, and it goes on where the journal ends."""

    def __init__(self, descriptor: pathlib.Path, journal: pathlib.Path, rows: int = 65_536, laps: float = 0.0) -> None:
        """Starts nothing yet."""
        self.journal = journal
        self._arguments = (descriptor, rows, laps)
        self._process: subprocess.Popen[str] | None = None

    def start(self, start: int | None = None) -> None:
        """Starts it at the oldest record, or where the journal ends, and waits until it stands there."""
        taken = self.taken()
        begin = str(taken[-1].last + 1) if taken else "oldest"
        descriptor, rows, laps = self._arguments
        command = [sys.executable, __file__, str(descriptor), str(self.journal), str(start or begin), str(rows), str(laps)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

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
        whole = [line for line in self.journal.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        return [Taken(**json.loads(line)) for line in whole]


def _consume(descriptor: str, journal: int, start: str, rows: int, laps: float) -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    with Ring.open(descriptor) as ring, ring.reader("oldest" if start == "oldest" else int(start)) as reader:
        print("ready", flush=True)
        while True:
            ending = bool(stopped)
            while not stopped and ring.tail - reader.position < laps * ring.capacity_bytes:
                time.sleep(0.001)
            before = ring.tail
            batch = reader.read(max_rows=rows)
            if batch is not None:
                entry = _taken(batch, reader, before, ring.tail)
                os.write(journal, (json.dumps(dataclasses.asdict(entry)) + "\n").encode())
            elif ending:
                return
            else:
                time.sleep(0.001)


def _taken(batch: Any, reader: Any, before: int, after: int) -> Taken:
    sequences, lost_before = batch.column("ring_seq").to_numpy(), batch.column("lost_before").to_numpy()
    frames = batch.column("wire_len").to_numpy().astype("int64")
    return Taken(
        first=int(sequences[0]),
        last=int(sequences[-1]),
        rows=len(sequences),
        lost_first=int(lost_before[0]),
        lost_inside=int(lost_before[1:].sum()),
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
    _consume(_descriptor, _file, _start, int(_rows), float(_laps))
