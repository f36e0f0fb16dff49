"""A real systemd as process 1 of a PID namespace, in a network namespace of the tests, with folders of its own.

`/etc` and `/var/lib` are overlays, `/run`, `/dev/shm`, `/opt` and `/home` empty: what it writes there is gone with it.
Of Debian's own units only the journal runs. Its control groups lie below ours, and are removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import namespaces
from deadline import wait_for

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
EXECUTABLE = "/opt/nanotape/nanotape"
_STARTS_S, _CALL_S = 30, 120
_SCRIPT = pathlib.Path(__file__).with_name("live_systemd.sh")


def missing_for_systemd() -> str | None:
    """Says why none can be started here, or None."""
    if not SYSTEMD.exists() or shutil.which("systemctl") is None:
        return "needs systemd (apt-get install systemd)"
    absent = [tool for tool in ("unshare", "nsenter") if shutil.which(tool) is None]
    return f"needs {' and '.join(absent)} (apt-get install util-linux)" if absent else None


@dataclasses.dataclass(frozen=True)
class LiveSystemd:
    """One that runs."""

    pid: int
    """Of its process 1, as this host numbers it."""
    talk: pathlib.Path
    """What process 1 says."""

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command in all of its namespaces, as root.

        Raises:
            AssertionError: It failed; with what it said, and the end of the journal.
        """
        inside = ["nsenter", "--target", str(self.pid), "--all", *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=_CALL_S, input=stdin)
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}\n{self.journal()}"
            )
        return done

    def write(self, path: str, text: str) -> None:
        """A file, as its processes see it, that all may read."""
        self.run("sh", "-c", f'mkdir -p "$(dirname {path})" && cat > {path}', stdin=text)

    def journal(self, *options: str) -> str:
        """The newest lines."""
        return self.run("journalctl", "--no-pager", "--quiet", "-n", "60", *options, check=False).stdout

    def journalled(self, unit: str) -> list[dict[str, Any]]:
        """All entries of a unit's processes."""
        lines = self.run("journalctl", "--no-pager", "--quiet", "-o", "json", "-u", unit).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def shown(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", what, "--value", unit).stdout.strip()

    def main_pid(self, unit: str) -> int:
        """Of the process that a service is, as its own namespace numbers it; 0: none."""
        return int(self.shown(unit, "MainPID"))

    def kill(self, unit: str, number: int) -> None:
        """A signal to the process that a service is."""
        self.run("kill", f"-{number}", str(self.main_pid(unit)))

    def processes(self, name: str) -> list[dict[str, str]]:
        """Status, as /proc has it, of the processes whose command line has a word."""
        found = []
        for folder in pathlib.Path(f"/proc/{self.pid}/root/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if name in (folder / "cmdline").read_text(encoding="utf-8").split("\0"):
                    lines = (folder / "status").read_text(encoding="utf-8").splitlines()
                    found.append({key: value.strip() for key, _, value in (line.partition(":") for line in lines)})
        return found


@contextlib.contextmanager
def live_systemd(side: namespaces.Side) -> Iterator[LiveSystemd]:
    """Starts one in a network namespace; at the end all its processes are killed, and its traces removed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{namespaces.PREFIX}{os.getpid()}-systemd-", dir="/var/tmp"))
    groups = _control_groups(folder.name)
    shown = (sys.base_prefix, sysconfig.get_path("purelib"))
    process = None
    try:
        with (folder / "talk").open("wb") as talk:
            process = subprocess.Popen(
                side.command("sh", str(_SCRIPT), str(folder), *shown, EXECUTABLE),
                stdin=subprocess.DEVNULL, stdout=talk, stderr=talk, start_new_session=True,
                preexec_fn=lambda: _enter(groups),
            )  # fmt: skip
        yield _started(process, folder / "talk")
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_CALL_S)
        for group in groups:
            _remove(group)
        shutil.rmtree(folder, ignore_errors=True)


def _started(process: subprocess.Popen[bytes], talk: pathlib.Path) -> LiveSystemd:
    def first_child() -> int | None:
        assert process.poll() is None, talk.read_text(encoding="utf-8")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        names = {pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip(): int(pid) for pid in children}
        return names.get("systemd")

    systemd = LiveSystemd(wait_for(first_child, "systemd to be process 1", _STARTS_S), talk)

    def state() -> bool:
        assert process.poll() is None, talk.read_text(encoding="utf-8")
        return systemd.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    wait_for(state, "systemd to run", _STARTS_S)
    return systemd


def _control_groups(name: str) -> list[pathlib.Path]:
    """One of our own in each hierarchy that lets us: systemd makes its own below the one that it is in."""
    made = []
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        base = pathlib.Path("/sys/fs/cgroup")
        first = controllers.removeprefix("name=").partition(",")[0]
        for top in (base / controllers, base / first) if controllers else (base / "unified", base):
            group = pathlib.Path(f"{top}{path}") / name
            if (group.parent / "cgroup.procs").exists() and first != "cpuset":
                with contextlib.suppress(OSError):
                    group.mkdir()
                    made.append(group)
                break
    return made


def _enter(groups: list[pathlib.Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text("0", encoding="ascii")


def _remove(group: pathlib.Path) -> None:
    """With all below it; its processes have been killed, and go in their own time."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if group.exists():
            time.sleep(0.05)
