"""A rig's configuration made wrong, what `nanotape` says to it, and a `nanotape run` in the foreground beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import subprocess
from collections.abc import Iterator

from command_line import NANOTAPE, refusal
from deadline import wait_for
from service_rig import RING, Rig

SMALL = {"capacity": "16 MiB", "descriptors": 4096}
"""Enough for a service that is to be refused."""
OUR_PROGRAM = "nt_select"
CAPTURE_SAYS = ("ring test: not locked", "socket:lo:0: receive buffer", "loop: system calls are not counted")


def edit(rig: Rig, old: str, new: str) -> None:
    """Changes the configuration; what is to be changed must stand in it once."""
    text = rig.config.read_text(encoding="utf-8")
    assert text.count(old) == 1, text
    rig.config.write_text(text.replace(old, new), encoding="utf-8")


def refused(
    rig: Rig, status: int = 2, verb: str = "run", wrap: tuple[str, ...] = (), news: tuple[str, ...] = ()
) -> str:
    """What the verb says with the rig's configuration, once it is sure that it left nothing."""
    folders = (rig.folder, rig.shm)
    line = refusal(verb, "--config", rig.config, unchanged=folders, status=status, wrap=wrap, news=news)
    if rig.capture_side:
        shown = subprocess.run([*rig.capture_side, "ip", "-d", "link"], capture_output=True, text=True, check=True)
        assert OUR_PROGRAM not in shown.stdout
    return line


@dataclasses.dataclass(slots=True)
class Running:
    """A `nanotape run` in the foreground of a user."""

    rig: Rig
    process: subprocess.Popen[str]

    def stop(self) -> str:
        """Ctrl-C; returns what it reports."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.rig.talk.read_text(encoding="utf-8")
        return output


@contextlib.contextmanager
def running(rig: Rig) -> Iterator[Running]:
    """Starts it and waits until it captures."""
    with rig.talk.open("w", encoding="utf-8") as talk:
        command = [*rig.capture_side, *NANOTAPE, "run", "--config", str(rig.config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=talk, text=True)
    try:
        wait_for(lambda: "capturing" in rig.talk.read_text(encoding="utf-8") or process.poll(), "the service", 40)
        assert process.poll() is None, rig.talk.read_text(encoding="utf-8")
        archive = rig.folder / "archive"
        reserves = (archive / "segments" / RING / "events.reserve", archive / ".retention" / "reserve")
        # Made in a recorder's first second; a file may be read to its end by then.
        wait_for(lambda: all(map(pathlib.Path.exists, reserves)) or process.poll() is not None, "its reserves")
        yield Running(rig, process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def in_ring(rig: Rig) -> int:
    """Packets in a ring that has had one writer."""
    with rig.ring() as ring:
        assert ring.epoch == 1
        return sum(source.loop.packets for source in ring.sources())
