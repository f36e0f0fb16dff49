"""What `nanotape top` costs with a thousand channels at ten pictures a second, and how soon a key is answered.

`top_bench.py [SECONDS] [CHANNELS]`: a real `nanotape top` in a pseudo-terminal, over a ring in files whose recorder
tells anew each second. A page of Markdown, with the steal time beside the figures; 1800 for half an hour a pane.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import pty
import re
import select
import signal
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from crafted_host import CraftedHost
from deadline import wait_for

from nanotape.cli.bench.steal import Steal

COLUMNS, LINES = 160, 50
REFRESH_S = 0.1
KEYS = 40
SETTLED_S = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")
_ESCAPES = re.compile(rb"\x1b(\[[0-9;?<=>]*[A-Za-z]|\][^\x07]*\x07|[=>PNc\\])")
MARKS = {"overview": ("1", b"LOSS"), "channels": ("2", b"ch-0000")}
"""Of each pane: its key, and what is drawn only when it comes to be seen."""


@dataclass(slots=True)
class Terminal:
    """A terminal with `nanotape top` in it, whose output is read by a thread of its own."""

    pid: int
    master: int
    output: bytearray = field(default_factory=bytearray)
    changed: threading.Condition = field(default_factory=threading.Condition)
    bytes_in: int = 0

    def read(self) -> None:
        """Until it ends."""
        while True:
            select.select([self.master], [], [])
            try:
                came = os.read(self.master, 65_536)
            except OSError:
                return
            with self.changed:
                self.output += came
                self.bytes_in += len(came)
                self.changed.notify_all()

    def answer_s(self, key: str, mark: bytes) -> float:
        """Seconds from a key to what it brings on the screen."""
        with self.changed:
            self.output.clear()
            began = time.monotonic()
            os.write(self.master, key.encode())
            found = self.changed.wait_for(lambda: mark in _ESCAPES.sub(b"", bytes(self.output)), 10)
            assert found, f"key {key}: {mark!r} did not come"
            return time.monotonic() - began

    def cpu_s(self) -> float:
        """All processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_bytes(self) -> int:
        """Memory that it takes now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(seconds: float, channels: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        with CraftedHost(Path(folder), channels) as host:
            # A process of its own: what it computes is not to keep us from reading the terminal.
            feeder = multiprocessing.get_context("fork").Process(target=feed, args=(host,), daemon=True)
            feeder.start()
            terminal = start(host)
            try:
                rows = [measured(terminal, name, seconds) for name in MARKS]
                keys = answers(terminal)
            finally:
                os.kill(terminal.pid, signal.SIGTERM)
                os.waitpid(terminal.pid, 0)
                feeder.terminate()
                feeder.join()
    tell(seconds, channels, rows, keys)


def feed(host: CraftedHost) -> None:
    """What a capture, a recorder and a clock service do, as far as others see it."""
    second = 0
    while True:
        time.sleep(0.1)
        host.publish(50)
        host.record()
        if int(time.monotonic()) != second:
            second = int(time.monotonic())
            host.tell(second, packets_per_s=500, peak_packets_per_s=900, peak_1ms_packets=5, peak_1ms_bits=8000)
            host.tell_clock(offset_ns=second % 500)


def start(host: CraftedHost) -> Terminal:
    """Until the first picture is drawn."""
    command = [
        sys.executable,
        "-m",
        "nanotape.cli.main",
        "top",
        "--config",
        str(host.config),
        "--refresh",
        str(REFRESH_S),
    ]
    pid, master = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(command[0], command)
    ioctl(master, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    terminal = Terminal(pid, master)
    threading.Thread(target=terminal.read, daemon=True).start()
    wait_for(lambda: MARKS["overview"][1] in bytes(terminal.output), "the first picture", 30)
    return terminal


def measured(terminal: Terminal, name: str, seconds: float) -> dict[str, float | str]:
    """Processor time and memory while a pane is seen."""
    key, mark = MARKS[name]
    if name != "overview":
        terminal.answer_s(key, mark)
    time.sleep(SETTLED_S)
    began_rss, began_cpu, began, began_bytes = (
        terminal.rss_bytes(),
        terminal.cpu_s(),
        time.monotonic(),
        terminal.bytes_in,
    )
    with Steal() as steal:
        time.sleep(seconds)
    wall = time.monotonic() - began
    return {
        "pane": name,
        "cpu": (terminal.cpu_s() - began_cpu) / wall,
        "rss": terminal.rss_bytes() / 2**20,
        "growth": (terminal.rss_bytes() - began_rss) / 2**20,
        "output": (terminal.bytes_in - began_bytes) / wall,
        "steal": steal.share,
    }


def answers(terminal: Terminal) -> list[float]:
    """Of keys that go from pane to pane, at moments that have nothing to do with the pictures'."""
    found = []
    for number in range(KEYS):
        key, mark = MARKS["overview" if number % 2 == 0 else "channels"]
        found.append(terminal.answer_s(key, mark))
        time.sleep(0.137)
    return found


def tell(seconds: float, channels: int, rows: Sequence[dict[str, float | str]], keys: Sequence[float]) -> None:
    """The page."""
    print(f"{channels:,} channels, {channels * 2:,} lines, {COLUMNS} x {LINES}, a picture each {REFRESH_S} s, ", end="")
    print(f"{seconds:,.0f} s a pane; {platform.system()} {platform.release()}, {os.cpu_count()} cores\n")
    print("| pane | of one core | memory | grown by | to the terminal | steal |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            "| {pane} | {cpu:.1%} | {rss:.0f} MiB | {growth:.1f} MiB | {output:,.0f} B/s | {steal:.2%} |".format(**row)
        )
    ordered = sorted(keys)
    print(f"\nA key is answered in {statistics.median(ordered) * 1e3:.0f} ms (median of {len(ordered)}), ", end="")
    print(f"p90 {ordered[int(len(ordered) * 0.9)] * 1e3:.0f} ms, at most {ordered[-1] * 1e3:.0f} ms.")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
