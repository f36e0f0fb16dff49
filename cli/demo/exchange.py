"""The exchange of the demo: `nanotape simulate` in its own namespace, with gaps of its own making."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nanotape.capture.errors import ServiceError
from nanotape.capture.sent_log import SentLog
from nanotape.cli.demo.configuration import LINES
from nanotape.cli.scene import Scene

BURST = 4
_STARTED_S = 20.0
_LEAST_FOR_GAPS = 100


class Exchange:
    """The sending process."""

    def __init__(self, scene: Scene, rate: int, seconds: float) -> None:
        """Starts it. The gaps: one on A alone, which B fills; one on both, which nothing can fill."""
        self.log_path = scene.folder / "sent.json"
        packets = max(1, round(rate * seconds))
        one, both = packets // 5, packets // 2
        gaps = ("--gap", f"A:{one}:7", "--gap", f"A:{both}:3", "--gap", f"B:{both}:3")
        command = [
            *("setpriv", "--pdeathsig", "TERM"),
            *scene.exchange,
            *(sys.executable, "-P", "-m", "nanotape.cli.main", "simulate", "--interface", scene.interface),
            *("--rate", str(rate), "--packets", str(packets), "--burst", str(BURST), "--symbols", "200"),
            *gaps * (packets >= _LEAST_FOR_GAPS),
            *("--log", str(self.log_path), "--every", "0.2", "--json"),
        ]
        for name, (group, port) in LINES.items():
            command += ["--line", f"{name}={group}:{port}"]
        self.sent: dict[str, int] = {}
        """By line, a moment ago."""
        # A session of its own: Ctrl-C reaches the demo alone, which ends everything in order.
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._deadline = time.monotonic() + _STARTED_S
        self._first = threading.Event()
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        """Whether it has sent all."""
        return self._process.poll() is not None

    def is_sending(self, timeout_s: float) -> bool:
        """Waits until it reports the first packets, or has ended.

        Raises:
            ServiceError: It does neither, for too long.
        """
        if self._first.wait(timeout_s):
            return True
        if time.monotonic() > self._deadline:
            said = " ".join(self._said)
            raise ServiceError(f"simulate: expected it to send within {_STARTED_S:.0f} s, it does not; {said}")
        return False

    def result(self) -> SentLog:
        """Its own log of what it sent.

        Raises:
            ServiceError: It failed.
        """
        if self._process.wait() != 0:
            self._reader.join()
            raise ServiceError("simulate: " + (" ".join(self._said) or f"exit status {self._process.returncode}"))
        return SentLog.read(self.log_path)

    def stop(self) -> None:
        """Ends it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stderr:
            report = _progress(line)
            if report is None:
                self._said.append(line.strip())
            else:
                self.sent = {entry["name"]: entry["sent"] for entry in report["lines"]}
                self._first.set()
        self._first.set()


def _progress(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def link_drops(scene: Scene) -> int:
    """Packets that the link between the namespaces dropped before any XDP program saw them."""
    if not scene.root:
        return 0
    path = Path("/sys/class/net") / scene.interface / "statistics" / "tx_dropped"
    command = [*scene.exchange, "cat", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    return int(done.stdout)
