"""The stage of demo and benchmark: two network namespaces joined by veth, huge pages, a folder; all is removed again.

What a killed one left standing is taken down by the next of its name: each writes down what it makes before it does.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nanotape.capture.errors import HostError
from nanotape.capture.places import hugetlbfs_mounts
from nanotape.capture.processes import is_alive

LEDGERS = Path("/run")
INTERFACE = "feed0"
_PAGES = Path("/proc/sys/vm/nr_hugepages")
_HUGE_2M = 2 << 20


class SceneUnavailable(HostError):
    """Raised when this machine cannot give what a scene needs."""


class _CommandFailed(Exception):
    pass


_INSTEAD = {
    "demo": "the demo as root needs network namespaces and veth; run it as an ordinary user for the one on loopback",
    "bench": "a wire is two network namespaces and veth; measure what needs none: nanotape bench ring record",
}


@dataclass(slots=True)
class Ledger:
    """What one process made on this machine, in a file named after it."""

    name: str
    """`demo` or `bench`."""
    pid: int
    folder: str
    namespaces: list[str] = field(default_factory=list)
    pages_added: int = 0
    """Huge pages reserved beyond those of others."""
    mount: str | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return LEDGERS / f"{_stem(self.name)}{self.pid}.json"

    def write(self) -> None:
        """Before each thing that is made; whole, whenever we may be killed."""
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(self.path)

    def undo(self) -> None:
        """Takes everything down; what is gone already is no error."""
        for name in self.namespaces:
            _try("ip", "netns", "delete", name)
        for folder in self._huge_folders():
            shutil.rmtree(folder, ignore_errors=True)
        if self.mount:
            _try("umount", "--lazy", self.mount)
        if self.pages_added:
            with contextlib.suppress(OSError):
                # Others may have reserved more or given theirs back meanwhile: only ours go.
                now = int(_PAGES.read_text(encoding="ascii"))
                _PAGES.write_text(str(max(0, now - self.pages_added)), encoding="ascii")
        remove_folders(Path(self.folder))
        self.path.unlink(missing_ok=True)

    def _huge_folders(self) -> list[Path]:
        """Ring data of ours on any hugetlbfs."""
        return [path / Path(self.folder).name for path, _ in hugetlbfs_mounts()]


def shared_memory(folder: Path) -> Path:
    """A scene's folder of shared memory: a ring must lie in memory, not on disk."""
    return Path("/dev/shm") / folder.name  # noqa: S108 - removed again


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it plays."""

    folder: Path
    """Everything that is not the kernel's; open to the unprivileged processes."""
    interface: str
    """Of the capturing side."""
    exchange: tuple[str, ...]
    """Put before a command of the exchange's host."""
    capture: tuple[str, ...]
    """Put before a command of the capturing host."""
    root: bool
    hugepages: Path | None
    """A hugetlbfs with the pages that were asked for."""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """In a session of its own, and deaf until it is in it: Ctrl-C does not reach it, so that it works to its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _try(*command: str) -> bool:
    """Runs a command that may fail; says whether it succeeded."""
    with contextlib.suppress(OSError):
        return _run(*command).returncode == 0
    return False


def remove_folders(folder: Path) -> None:
    """Removes a scene's folder and its shared memory."""
    for path in (folder, shared_memory(folder)):
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(name: str, base: Path) -> None:
    """Takes down what scenes of this name and user left that did not live to do it.

    Args:
        name: `demo` or `bench`.
        base: Where their folders are.
    """
    stem = _stem(name)
    for path in sorted(LEDGERS.glob(f"{stem}*.json")) if os.geteuid() == 0 else ():
        with contextlib.suppress(ValueError, TypeError):
            ledger = Ledger(**json.loads(path.read_text(encoding="utf-8")))
            if not is_alive(ledger.pid):
                ledger.undo()
    for parent in (base, shared_memory(base).parent):
        for path in parent.glob(f"{stem}*"):
            pid = path.name.removeprefix(stem)
            if pid.isdigit() and path.lstat().st_uid == os.geteuid() and not is_alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def scene(name: str, huge_bytes: int) -> Iterator[Scene]:
    """Sets the stage, as root with namespaces and huge pages, else on loopback; clears it at the end.

    Args:
        name: `demo` or `bench`; whatever is made is named after it and this process.
        huge_bytes: Huge pages wanted, as root; without them it goes on with ordinary ones.

    Raises:
        SceneUnavailable: As root, namespaces or veth cannot be made.
    """
    root = os.geteuid() == 0
    base = Path("/var/tmp") if root else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - removed again
    ledger = Ledger(name, os.getpid(), str(base / f"{_stem(name)}{os.getpid()}"))
    remove_leftovers(name, base)
    try:
        if not root:
            Path(ledger.folder).mkdir(mode=0o700)
            yield Scene(Path(ledger.folder), "lo", (), (), root=False, hugepages=None)
            return
        ledger.write()
        Path(ledger.folder).mkdir(mode=0o755)
        pages = _reserve(ledger, huge_bytes)
        try:
            exchange, capture = _namespaces(ledger)
        except _CommandFailed as error:
            raise SceneUnavailable(f"{error}; {_INSTEAD[name]}") from None
        yield Scene(Path(ledger.folder), INTERFACE, _inside(exchange), _inside(capture), root=True, hugepages=pages)
    finally:
        if root:
            ledger.undo()
        else:
            remove_folders(Path(ledger.folder))


def _stem(name: str) -> str:
    return f"nanotape-{name}-"


def _inside(namespace: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", namespace)


def _namespaces(ledger: Ledger) -> tuple[str, str]:
    exchange, capture = (f"nt-{ledger.name}-{ledger.pid}-{side}" for side in ("exchange", "capture"))
    ledger.namespaces += [exchange, capture]
    ledger.write()
    for name in (exchange, capture):
        _do("ip", "netns", "add", name)
    _do("ip", "-n", capture, "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE, "netns", exchange)
    for name, address in ((exchange, "10.255.0.1/30"), (capture, "10.255.0.2/30")):
        _do("ip", "-n", name, "address", "add", address, "dev", INTERFACE)
        _do("ip", "-n", name, "link", "set", "lo", "up")
        _do("ip", "-n", name, "link", "set", INTERFACE, "up")
    # Without a NIC to finish them, checksums left to the hardware would stand unfinished in the archive.
    _do(*_inside(exchange), "ethtool", "-K", INTERFACE, "tx", "off")
    _do("ip", "-n", exchange, "route", "add", "224.0.0.0/4", "dev", INTERFACE)
    return exchange, capture


def _reserve(ledger: Ledger, wanted_bytes: int) -> Path | None:
    """Huge pages beyond those that others have; None, and nothing changed, when there is no room for them."""
    try:
        before = int(_PAGES.read_text(encoding="ascii"))
        ledger.pages_added = -(-wanted_bytes // _HUGE_2M)
        ledger.write()
        wanted = before + ledger.pages_added
        _PAGES.write_text(str(wanted), encoding="ascii")
        if int(_PAGES.read_text(encoding="ascii")) < wanted:
            _PAGES.write_text(str(before), encoding="ascii")
            ledger.pages_added = 0
            ledger.write()
            return None
    except OSError:
        return None
    # A mount of our own: another's may be that of a scene that ends before we do.
    mount = Path(ledger.folder) / "hugepages"
    mount.mkdir()
    ledger.mount = str(mount)
    ledger.write()
    if _try("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(mount)):
        return mount
    return next((path for path, size in hugetlbfs_mounts() if size == _HUGE_2M), None)


def _do(*command: str) -> None:
    try:
        done = _run(*command)
    except FileNotFoundError:
        raise SceneUnavailable(
            f"{command[0]}: expected this program, it is not installed; install iproute2 and ethtool"
        ) from None
    if done.returncode:
        raise _CommandFailed(f"{' '.join(command)}: {done.stderr.strip() or 'failed'}")
