"""A host that captures nothing, and looks as if it did: a ring in files, what its recorder, service and clocks tell.

Its figures are what a test sets, so that what a screen shows of them can be told beforehand.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Self

from ring_flows import add_flow
from ring_writer import RingWriter, Written, fault

from nanotape.capture.clock.journal import FOLDER, STATE_NAME
from nanotape.capture.counters import COUNT_UNKNOWN, SourceStats
from nanotape.capture.ring import Ring
from nanotape.native import ffi, lib

FRAME_BYTES = 200
UNKNOWN = tuple(name for name in SourceStats.__slots__ if name not in ("socket_drops", "updated_ns"))
"""What a source of sockets does not count."""
CLOCK = {
    "clock": "system", "interface": "", "state": "locked", "source": "chrony", "why": "a test says so",
    "offset_ns": 120, "error_ns": 1500, "path_delay_ns": None, "grandmaster": None, "utc_offset_s": 37,
    "utc_offset_source": "kernel", "budget": {},
}  # fmt: skip


class CraftedHost:
    """Rings, recorder and files below one folder; a context manager."""

    def __init__(self, folder: Path, channels: int = 4, capacity: int = 1 << 20, ring: str = "main") -> None:
        """Makes a ring of so many channels, each with the lines A and B, read by a recorder."""
        self.folder, self.ring_name = folder, ring
        self.shm, self.run, self.archive = folder / "shm", folder / "run", folder / "archive"
        for place in (self.shm, self.run / ring / "readers", self.archive):
            place.mkdir(parents=True, exist_ok=True)
        self.lines = [(f"ch-{number:04d}", line) for number in range(channels) for line in ("A", "B")]
        self.config = folder / "nanotape.toml"
        self.config.write_text(self._configuration(), encoding="utf-8")
        (self.run / ring / "nanotape.toml").write_text(self._configuration(), encoding="utf-8")
        self._begin(capacity)

    def _begin(self, capacity: int = 1 << 20) -> None:
        self.writer = RingWriter.attach(self.shm, self.ring_name, capacity)
        for number, (channel, line) in enumerate(self.lines):
            add_flow(self.writer, channel, line, _group(number), 31000)
        slot = ffi.new("uint32_t *")
        assert lib.nt_ring_source_slot(self.writer.handle, b"socket", b"lo", 2, 0, slot, fault()) == 0
        self.source = self.writer.handle.sources[slot[0]]
        for name in UNKNOWN:
            setattr(self.source.stats, name, COUNT_UNKNOWN)
        self.ring = Ring.open(self.ring_name, self.shm)
        self.recorder = self.ring.reader("latest", reader_name="recorder", run_directory=self.run)
        self.recorder.publish_status(0, 0, 0)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes what is open."""
        self.end()

    def _configuration(self) -> str:
        paths = f'run_dir = "{self.run}"\narchive = "{self.archive}"\nshm_dir = "{self.shm}"\n'
        parts = [f'[paths]\n{paths}[ring]\nname = "{self.ring_name}"\n[source]\nkind = "socket"\ninterface = "lo"\n']
        for number, (channel, line) in enumerate(self.lines):
            if line == "A":
                parts.append(f'[[channel]]\nname = "{channel}"\nfeed = "feed"\nframing = "none"\n')
            parts.append(f'[[channel.line]]\nname = "{line}"\ngroup = "{_group(number)}"\nport = 31000\n')
        return "\n".join(parts)

    def publish(self, packets: int = 1, **counters: int) -> None:
        """Puts so many packets into the ring, counted as a capture does; its loop's counters grow by these."""
        now_ns, loop = time.time_ns(), self.source.loop
        self.writer.write(*(Written(b"x" * FRAME_BYTES, ts_ns=now_ns, flow_id=1) for _ in range(packets)))
        loop.packets += packets
        loop.bytes += packets * FRAME_BYTES
        loop.last_packet_ns = now_ns
        for name, count in {"polls_busy": packets, "polls_idle": 100, **counters}.items():
            setattr(loop, name, getattr(loop, name) + count)

    def drop(self, packets: int) -> None:
        """Counts packets as lost before the loop, in the socket."""
        self.source.stats.socket_drops += packets

    def record(self) -> None:
        """The recorder takes all there is."""
        while self.recorder.read() is not None:
            pass
        self.recorder.publish_status(self.recorder.records, 0, self.recorder.records * FRAME_BYTES // 2, settled=True)

    def tell(self, second: int = 0, **ring: Any) -> None:
        """The recorder tells of its lines, with figures that change from second to second."""
        at_ns = time.time_ns()
        lines = [self._line(number, name, second, at_ns) for number, name in enumerate(self.lines)]
        told = {"at_ns": at_ns, "lines": lines, "switches": [], "ring": ring}
        self._replace(self.run / self.ring_name / "readers" / "recorder.feeds.json", told)

    def _line(self, number: int, name: tuple[str, str], second: int, at_ns: int) -> dict[str, Any]:
        rate = 100 + (number * 7 + second * 13) % 900
        counts = {"gaps": number % 3, "missing": number % 5, "duplicates": second % 7, "reordered": 0, "bad": 0}
        rates = {"packets_per_s": rate, "bits_per_s": rate * FRAME_BYTES * 8, "messages_per_s": rate * 2}
        first = {"first_share": (number % 100) / 100, "lead_p50_ns": 100 * (number % 50), "skew_log2": [0, 1, second]}
        return {
            "channel": name[0], "line": name[1], "last_ts_ns": at_ns, "session": None, "key": None,
            "last_seq": second * 1000 + number, "packets": rate * (second + 1), "framing": "moldudp64",
            **counts, **rates, **first,
        }  # fmt: skip

    def tell_clock(self, pid: int | None = None, **changes: Any) -> None:
        """The clock service tells, as a process of this test's or another."""
        clock = {**CLOCK, **changes}
        state = {"version": 1, "at_ns": time.time_ns(), "pid": pid or os.getpid(), "mode": "chrony"}
        state |= {"clocks": [clock], "interfaces": [], "processes": [], "findings": []}
        (self.run / FOLDER).mkdir(exist_ok=True)
        self._replace(self.run / FOLDER / STATE_NAME, state)

    def _replace(self, path: Path, told: dict[str, Any]) -> None:
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(path)

    def end(self) -> None:
        """The capture and the recorder end cleanly; the ring stays."""
        if self.writer is not None:
            self.ring.close()
            self.writer.close()
            self.writer = None

    def remove(self) -> None:
        """The ring goes away."""
        self.end()
        for path in self.shm.iterdir():
            path.unlink()

    def restart(self) -> None:
        """The ring is made anew, under its name."""
        self.remove()
        self._begin()


def _group(number: int) -> str:
    return f"239.{1 + number // 65_000}.{number // 250 % 256}.{number % 250 + 1}"
