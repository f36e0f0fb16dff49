"""The demo's stage: two network namespaces joined by veth, huge pages, a folder. All is taken down again.

What a killed demo left standing is taken down by the next one: each writes down what it makes before it makes it.
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
_STEM = "nanotape-demo-"
INTERFACE = "feed0"
_PAGES = Path("/proc/sys/vm/nr_hugepages")
_HUGE_2M = 2 << 20


class SceneUnavailable(HostError):
    """Raised when this machine cannot give the demo what it needs."""


@dataclass(slots=True)
class Ledger:
    """What one demo made on this machine, in a file named after its process."""

    pid: int
    folder: str
    namespaces: list[str] = field(default_factory=list)
    pages_added: int = 0
    """Huge pages reserved beyond those of others."""
    mount: str | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return LEDGERS / f"{_STEM}{self.pid}.json"

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
    """The demo's folder of shared memory: a ring must lie in memory, not on disk."""
    return Path("/dev/shm") / folder.name  # noqa: S108 - removed again


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the demo plays."""

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
    """A hugetlbfs with the pages that the demo asked for."""


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
    """Removes a demo's folder and its shared memory."""
    for path in (folder, shared_memory(folder)):
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(base: Path) -> None:
    """Takes down what demos of this user left that did not live to do it.

    Args:
        base: Where their folders are.
    """
    for path in sorted(LEDGERS.glob(f"{_STEM}*.json")) if os.geteuid() == 0 else ():
        with contextlib.suppress(ValueError, TypeError):
            ledger = Ledger(**json.loads(path.read_text(encoding="utf-8")))
            if not is_alive(ledger.pid):
                ledger.undo()
    for parent in (base, shared_memory(base).parent):
        for path in parent.glob(f"{_STEM}*"):
            pid = path.name.removeprefix(_STEM)
            if pid.isdigit() and path.lstat().st_uid == os.geteuid() and not is_alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def scene(huge_bytes: int) -> Iterator[Scene]:
    """Sets the stage, as root with namespaces and huge pages, else on loopback; clears it at the end.

    Args:
        huge_bytes: Huge pages wanted, as root; without them it goes on with ordinary ones.

    Raises:
        SceneUnavailable: As root, namespaces or veth cannot be made.
    """
    root = os.geteuid() == 0
    base = Path("/var/tmp") if root else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - removed again
    ledger = Ledger(os.getpid(), str(base / f"{_STEM}{os.getpid()}"))
    remove_leftovers(base)
    try:
        if not root:
            Path(ledger.folder).mkdir(mode=0o700)
            yield Scene(Path(ledger.folder), "lo", (), (), root=False, hugepages=None)
            return
        ledger.write()
        Path(ledger.folder).mkdir(mode=0o755)
        pages = _reserve(ledger, huge_bytes)
        exchange, capture = _namespaces(ledger)
        yield Scene(Path(ledger.folder), INTERFACE, _inside(exchange), _inside(capture), root=True, hugepages=pages)
    finally:
        if root:
            ledger.undo()
        else:
            remove_folders(Path(ledger.folder))


def _inside(namespace: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", namespace)


def _namespaces(ledger: Ledger) -> tuple[str, str]:
    exchange, capture = (f"nt-demo-{ledger.pid}-{side}" for side in ("exchange", "capture"))
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
    for path, size in hugetlbfs_mounts():
        if size == _HUGE_2M:
            return path
    mount = Path(ledger.folder) / "hugepages"
    mount.mkdir()
    ledger.mount = str(mount)
    ledger.write()
    return mount if _try("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(mount)) else None


def _do(*command: str) -> None:
    try:
        done = _run(*command)
    except FileNotFoundError:
        raise SceneUnavailable(
            f"{command[0]}: expected this program, it is not installed; install iproute2 and ethtool"
        ) from None
    if done.returncode:
        raise SceneUnavailable(
            f"{' '.join(command)}: {done.stderr.strip() or 'failed'}; "
            "the demo as root needs network namespaces and veth; run it as an ordinary user for the one on loopback"
        )
