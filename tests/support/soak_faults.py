"""Faults of the world for a soak: each begins, ends by itself within some seconds, and says what it was.

A `World` is a running `nanotape run` in the capturing namespace, started again when it has ended, as a service manager
would.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import foreign_xdp
import namespaces
from bpf_objects import Objects, objects_of
from command_line import NANOTAPE
from deadline import wait_for
from running_service import set_link
from service_rig import NOBODY, RING_GID, Rig

SUPERVISOR, HOLDER, CAPTURE, RECORDER = "supervisor", "holder", "capture", "recorder"
START_S, END_S = 180, 180
"""A recorder that has been killed, or starved, first takes and makes good what it left."""
NOTHING = "nothing: it was not there"
_WORDS = {HOLDER: "nanotape-holder", CAPTURE: "nanotape-capture", RECORDER: " record "}


class World:
    """One rig under faults."""

    def __init__(self, rig: Rig, pair: namespaces.NamespacePair, chance: random.Random, foreign: int | None) -> None:
        """Starts nothing yet; `foreign` is the id of an XDP program of others."""
        self.rig, self.pair, self.chance, self._foreign = rig, pair, chance, foreign
        self.happened: list[tuple[float, str]] = []
        self.objects: Objects = set()
        """BPF objects of all XDP programs of ours that were seen."""
        self.starts = 0
        self._to_come: list[Callable[[], str | None]] = []
        """Each kind of fault once, in random order, before any comes again."""
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_before = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The service; at the end it is asked to end, and nothing is left."""
        try:
            self.ensure_running()
            yield
        finally:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                self._await_end(self._process)

    def ensure_running(self) -> None:
        """Starts it, if it has ended; it is ready then."""
        if self._process is not None and self._process.poll() is None:
            return
        process = self.begin()
        with self._told():
            wait_for(lambda: self._is_ready() or process.poll() is not None, "the service to be ready", START_S)
            assert process.poll() is None, "expected the service to run"

    def begin(self) -> subprocess.Popen[bytes]:
        """Gives the command, and does not wait."""
        self._ready_before = self._times_ready()
        with self.rig.talk.open("a", encoding="utf-8") as talk:
            command = [*self.rig.capture_side, *NANOTAPE, "run", "--config", str(self.rig.config), "--json"]
            self._process = subprocess.Popen(command, stdout=talk, stderr=talk)
        self.starts += 1
        return self._process

    def restart_in_order(self) -> None:
        """Stops it, and starts it again."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._await_end(self._process)
        self.ensure_running()

    def _await_end(self, process: subprocess.Popen[bytes]) -> None:
        with self._told():
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"waited {END_S} s for the service to end") from None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Says what runs, what happened and what was said, if something within fails."""
        try:
            yield
        except AssertionError as error:
            words = ["ps", "-ww", "-eo", "pid,ppid,stat,wchan:20,etime,args"]
            running = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
            ours = [line for line in running if str(self.rig.folder) in line]
            talk = self.rig.talk.read_text(encoding="utf-8")[-3000:]
            raise AssertionError("\n".join([str(error), *ours, str(self.happened[-3:]), talk])) from None

    def _is_ready(self) -> bool:
        return self._times_ready() > self._ready_before

    def _times_ready(self) -> int:
        words = self.rig.talk.read_text(encoding="utf-8") if self.rig.talk.exists() else ""
        return words.count("capturing, recording")

    def pid(self, name: str) -> int | None:
        """Of a part of it that runs."""
        assert self._process is not None
        if name == SUPERVISOR:
            return self._process.pid
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line.split()[0] for line in listed.stdout.splitlines() if _WORDS[name] in line]
        found = [pid for pid in found if _is_for_long(pid)]
        return int(found[0]) if found else None

    def in_ring(self) -> int:
        """Packets since the ring was made."""
        with self.rig.ring() as ring:
            return sum(source.loop.packets for source in ring.sources())

    def goes_on(self, seconds: float = 60) -> None:
        """Waits until packets come in again, by itself; only an ended service is started again."""

        def more(before: int) -> bool:
            self.ensure_running()
            return self.in_ring() > before

        self.ensure_running()
        before = self.in_ring()
        try:
            wait_for(lambda: more(before), "packets to come in again", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.happened[-3:]}; {self.rig.talk.read_text()[-3000:]}") from None

    def befall(self) -> str:
        """One random fault, and its end; returns what it was."""
        if not self._to_come:
            self._to_come = self.chance.sample(faults := self._faults(), len(faults))
        with contextlib.suppress(subprocess.CalledProcessError, KeyError, IndexError):
            self.objects |= objects_of(foreign_xdp.attached_id(self.pair.right))
        begun = time.time()
        what = self._to_come.pop()() or NOTHING
        self.happened.append((begun, what))
        return what

    def _faults(self) -> list[Callable[[], str | None]]:
        """All kinds; those of which more is to be learned are there twice."""
        faults: list[Callable[[], str | None]] = [
            *(partial(self.kill, name) for name in (SUPERVISOR, HOLDER, CAPTURE, CAPTURE, RECORDER, RECORDER)),
            *(partial(self._stop, name) for name in (CAPTURE, RECORDER, RECORDER)),
            self._link_down, self._rename, self._addresses, self._moved,
            self._no_memory, self._no_room,
        ]  # fmt: skip
        if self._foreign is not None and shutil.which("bpftool"):
            faults += [self._detach, self._replace]
        return faults

    def _wait(self, least: float, most: float) -> None:
        """However long a fault lasts; its end is no condition to wait for."""
        time.sleep(self.chance.uniform(least, most))

    def signal(self, name: str, number: int) -> int | None:
        """To a part of it, if it runs; its process id."""
        pid = self.pid(name)
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, number)
        return pid

    def kill(self, name: str) -> str | None:
        """SIGKILL; with holder or supervisor all ends."""
        pid = self.signal(name, signal.SIGKILL)
        if pid and name in (SUPERVISOR, HOLDER) and self._process is not None:
            self._await_end(self._process)
        return f"kill of {name} {pid}" if pid else None

    def _stop(self, name: str) -> str | None:
        pid = self.signal(name, signal.SIGSTOP)
        if pid is None:
            return None
        self._wait(*((0.2, 2.0) if name == CAPTURE else (1.0, 8.0)))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return f"stop of {name} {pid}"

    def _link_down(self) -> str:
        set_link(self.pair.right, "down")
        self._wait(0.1, 2.0)
        set_link(self.pair.right, "up")
        return "link set down"

    def _rename(self) -> str:
        right = self.pair.right
        right.run("ip", "link", "set", right.interface, "name", "eth9")
        self._wait(0.3, 3.0)
        right.run("ip", "link", "set", "eth9", "name", right.interface)
        return "renamed"

    def _addresses(self) -> str:
        right = self.pair.right
        right.run("ip", "address", "flush", "dev", right.interface)
        self._wait(0.3, 2.0)
        right.run("ip", "address", "add", f"{right.address}/24", "dev", right.interface)
        right.run("ip", "route", "replace", "224.0.0.0/4", "dev", right.interface)
        return "addresses changed"

    def _moved(self) -> str:
        left, right = self.pair.left, self.pair.right
        right.run("ip", "link", "set", right.interface, "netns", left.namespace)
        self._wait(0.1, 2.0)
        left.run("ip", "link", "set", right.interface, "netns", right.namespace)
        namespaces._bring_up(right, 1500)
        return "moved away and back"

    def _detach(self) -> str:
        foreign_xdp.detach_ours(self.pair.right)
        return "XDP program detached"

    def _replace(self) -> str:
        foreign_xdp.detach_ours(self.pair.right, then_attach=self._foreign)
        self._wait(1.0, 3.0)
        foreign_xdp.detach_foreign(self.pair.right)
        return "XDP program replaced"

    def _no_memory(self) -> str | None:
        return self._limit("as", 1 << 20)

    def _no_room(self) -> str | None:
        """A disk that takes nothing more, as one that is full: every file that grows is too large."""
        return self._limit("fsize", 4096)

    def _limit(self, what: str, more_bytes: int) -> str | None:
        pid = self.pid(RECORDER)
        if pid is None:
            return None
        with contextlib.suppress(OSError, StopIteration, subprocess.CalledProcessError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            size = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize:"))
            _prlimit(pid, f"--{what}={(size if what == 'as' else 0) + more_bytes}:")
            self._wait(0.5, 4.0)
            _prlimit(pid, f"--{what}=unlimited:")
        return f"{'no memory' if what == 'as' else 'no room on disk'} for recorder {pid}"


def _prlimit(pid: int, limit: str) -> None:
    """Only its own user may, short of a capability that we may not have."""
    become = ("setpriv", "--reuid", str(NOBODY), "--regid", str(RING_GID), "--clear-groups")
    subprocess.run([*become, "prlimit", "--pid", str(pid), limit], check=True, capture_output=True)


def in_namespace(side: namespaces.Side) -> set[int]:
    """Processes that are in a side's network namespace, or keep it alive by a descriptor."""
    inode = os.stat(f"/run/netns/{side.namespace}").st_ino
    found = set()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            held = [process / "ns" / "net", *(process / "fd").iterdir()]
            if any(_inode(each) == inode for each in held):
                found.add(int(process.name))
    return found


def _inode(link: pathlib.Path) -> int | None:
    """Of the namespace that a link in /proc leads to; None: it is something else, or gone."""
    with contextlib.suppress(OSError):
        target = os.readlink(link)
        return int(target[5:-1]) if target.startswith("net:[") else None
    return None


@dataclasses.dataclass(frozen=True)
class Holdings:
    """What a process has of what may leak."""

    name: str
    descriptors: collections.Counter[str]
    """By what they lead to; numbers are left out."""
    archive_files: int
    """Those that it has open besides: for each table a segment and its sidecar, and those that are being finished."""
    mebibytes: int
    """Of memory of its own; what it sees of a ring is everybody's."""

    def more_than(self, before: Holdings) -> dict[str, Any]:
        """By how much it grew."""
        grown = self.descriptors - before.descriptors
        more = self.descriptors.total() - before.descriptors.total()
        return {
            "of": self.name,
            "descriptors": more,
            "archive_files": self.archive_files,
            "mebibytes": self.mebibytes - before.mebibytes,
            "new": dict(grown),
        }


def holdings(name: str, pid: int) -> Holdings:
    """Of a process that lives."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = next(int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("RssAnon:"))
    targets: collections.Counter[str] = collections.Counter()
    for each in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            targets[re.sub(r"\d+", "#", os.readlink(each))] += 1
    files = {target: count for target, count in targets.items() if ".arrow." in target}
    return Holdings(name, targets - collections.Counter(files), sum(files.values()), resident)


def _is_for_long(pid: str) -> bool:
    """Whether a process is there, and is no look for listeners, which comes and goes."""
    with contextlib.suppress(OSError):
        return "--listeners" not in pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return False
