"""tcpdump, dumpcap and netsniff-ng: how each is asked for a 512 MiB buffer and a pcap file; what it says it lost."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.cli.bench import numbers
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.processor_time import ended_children_s, of_process_s
from nanotape.cli.bench.veth import Offered, Wire

BUFFER_MIB = 512
_STARTED_S, _ENDED_S = 20.0, 60.0
_DRAIN_S = 120.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Tool:
    """One of the others."""

    name: str
    command: Callable[[str, Path], list[str]]
    """From interface and file."""
    ready: str
    """It says so on standard error or output once it captures."""
    dropped: str
    """Pattern of the count that it says the kernel dropped for it."""
    quiet_s: float = 0.6
    """Idle so long, it has seen all: longer than the kernel keeps a block that is not full."""


TOOLS = (
    Tool(
        "tcpdump",
        lambda interface, file: [
            *("tcpdump", "-n", "-i", interface, "-B", str(BUFFER_MIB << 10), "-s", "262144", "-Z", "root"),
            *("--time-stamp-precision=nano", "-w", str(file)),
        ],
        "listening on",
        r"(\d+) packets? dropped by kernel",
        quiet_s=1.5,  # its blocks wait for a second
    ),
    Tool(
        "dumpcap",
        lambda interface, file: ["dumpcap", "-q", "-P", "-i", interface, "-B", str(BUFFER_MIB), "-w", str(file)],
        "File: ",
        r"received/dropped on interface [^:]*: \d+/(\d+)",
    ),
    Tool(
        "netsniff-ng",
        lambda interface, file: [
            *("netsniff-ng", "--in", interface, "--out", str(file), "--ring-size", f"{BUFFER_MIB}MiB", "--silent"),
            *("-T", "0xa1b23c4d", "--notouch-irq"),
        ],
        "Running!",
        r"(\d+)\s+packets? failed|(\d+)\s+packets? dropped|(\d+)\s+drops?",
    ),
)


def absent() -> list[str]:
    """Those that are not installed here."""
    return [tool.name for tool in TOOLS if shutil.which(tool.name) is None]


def installed() -> list[Tool]:
    """Those that are."""
    return [tool for tool in TOOLS if shutil.which(tool.name) is not None]


def run(tool: Tool, wire: Wire, folder: Path, packets: int, rate: int) -> dict[str, Any]:
    """One run of one tool; its file is removed.

    Args:
        tool: Which.
        wire: What it captures from.
        folder: Where its file lies meanwhile.
        packets: How many to offer.
        rate: Packets a second; 0: as fast as it goes.

    Raises:
        BenchError: It does not start, or does not end.
    """
    file, talk = folder / f"{tool.name}.pcap", folder / f"{tool.name}.log"
    try:
        with _capturing(tool, wire, file, talk) as process:
            before_s = of_process_s(process.pid)
            offered = wire.offer(packets, rate)
            _wait_idle(process, file, tool.quiet_s)
            if process.poll() is not None:  # what it did not write then is no loss of its capturing
                ended = f"ended with {process.returncode}: {_last_words(talk)}"
                raise BenchError(f"{tool.name}: expected it to capture until it is told to end, it {ended}")
            cpu_s = _end(tool, process) - before_s
        tally = numbers.of_pcap(file)
        return _account(tool, offered, tally, cpu_s) | {
            "bytes": file.stat().st_size,
            "lost_says_tool": _dropped(tool, talk.read_text(encoding="utf-8", errors="replace")),
        }
    except ValueError as error:
        raise BenchError(str(error)) from None
    finally:
        file.unlink(missing_ok=True)
        talk.unlink(missing_ok=True)


def _account(tool: Tool, offered: Offered, tally: numbers.Tally, cpu_s: float) -> dict[str, Any]:
    return figures(offered) | {
        "contender": tool.name,
        "captured": tally.packets,
        "lost": offered.sent - tally.packets,
        "cpu_us": cpu_s / max(1, tally.packets) * 1e6,
        "exact": tally.is_within(offered.sent),
    }


def figures(offered: Offered) -> dict[str, Any]:
    """What a repetition tells of the sending side."""
    return {
        "sent": offered.sent,
        "pps": offered.pps,
        "link_lost": offered.link_lost,
        "sender_cpu_us": offered.sender_cpu_s / max(1, offered.sent) * 1e6,
        "slipped_s": offered.slipped_s,
        "late_max_s": offered.late_max_s,
        "steal": offered.steal,
        "stolen_s": offered.stolen_s,
    }


@contextlib.contextmanager
def _capturing(tool: Tool, wire: Wire, file: Path, talk: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The tool, pinned and ready; gone at the end, one way or the other."""
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # where we are killed it must not capture on
        *(*wire.scene.capture, "taskset", "-c", str(wire.core)),
        *tool.command(wire.scene.interface, file),
    ]
    with talk.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _STARTED_S
        while tool.ready not in talk.read_text(encoding="utf-8", errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{tool.name}: does not capture: {_last_words(talk)}")
            time.sleep(_LOOK_S)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _last_words(talk: Path) -> str:
    lines = talk.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _end(tool: Tool, process: "subprocess.Popen[bytes]") -> float:
    """Ends it in order; all the CPU time that it took, in seconds."""
    spent = ended_children_s()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_ENDED_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{tool.name}: expected it to end on SIGINT, it does not") from None
    return ended_children_s() - spent


def _wait_idle(process: "subprocess.Popen[bytes]", file: Path, quiet_s: float) -> None:
    """Until it has taken what waits in its buffer: SIGINT would let it leave that."""
    deadline = time.monotonic() + _DRAIN_S
    before, since = (-1.0, -1), time.monotonic()
    while time.monotonic() < deadline and process.poll() is None:
        now = (of_process_s(process.pid), file.stat().st_size if file.exists() else 0)
        if now[1] != before[1] or now[0] - before[0] > 2 / os.sysconf("SC_CLK_TCK"):
            before, since = now, time.monotonic()
        elif time.monotonic() - since > quiet_s:
            return
        time.sleep(_LOOK_S)


def _dropped(tool: Tool, words: str) -> int | None:
    """None: it did not say."""
    found = re.findall(tool.dropped, words)
    counts = [int(count) for each in found for count in (each if isinstance(each, tuple) else (each,)) if count]
    return sum(counts) if counts else None
