"""Folders of the benchmark, on the disk that is measured and in memory, and huge pages; all is gone when it ends.

What a killed one left is removed by the next.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.processes import is_alive
from nanotape.cli.bench.errors import BenchError

STEM = "nanotape-bench-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - removed again
_DISK = Path("/var/tmp")  # noqa: S108 - likewise
_PAGES = Path("/proc/sys/vm/nr_hugepages")
_HUGE_2M = 2 << 20
_BLOCK_BYTES = 512  # of st_blocks, stat(2)
_MOUNT, _RESERVED = "hugepages", "pages"  # in the folder on tmpfs


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a part may write."""

    disk: Path
    memory: Path
    """On tmpfs."""
    hugepages: Path | None = None
    """A folder on hugetlbfs with as many pages as were asked for; None: there are none to be had."""


def disk_folder(folder: Path | None) -> Path:
    """The folder whose disk is measured."""
    return (folder or _DISK).absolute()  # what we start may be elsewhere


@contextlib.contextmanager
def workspace(folder: Path | None, huge_bytes: int = 0) -> Iterator[Workspace]:
    """Makes the folders, and removes them.

    Args:
        folder: On the disk that is measured; None: below /var/tmp.
        huge_bytes: Huge pages wanted; without privilege or memory for them there are none.

    Raises:
        BenchError: A folder cannot be made.
    """
    remove_leftovers(folder)
    with contextlib.ExitStack() as stack:
        disk, memory = (_folder(stack, base) for base in (disk_folder(folder), _MEMORY))
        yield Workspace(disk, memory, _hugepages(memory, huge_bytes) if huge_bytes else None)


def check_room(folder: Path, wanted_bytes: int) -> None:
    """Not every tool says that its disk was full; what it lost then would be told of its capturing.

    Raises:
        BenchError: The disk has less room.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        wanted = f"expected room for {wanted_bytes / 1e9:.1f} GB, found {free / 1e9:.1f}"
        raise BenchError(f"{folder.parent}: {wanted}; make some, or choose another with --folder")


def size_of(folder: Path, pattern: str = "*") -> int:
    """Bytes of all files below a folder, as they lie on the disk: holes in them are none."""
    found = (path.stat() for path in folder.rglob(pattern) if path.is_file())
    return sum(min(facts.st_size, facts.st_blocks * _BLOCK_BYTES) for facts in found)


def _folder(stack: contextlib.ExitStack, base: Path) -> Path:
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{STEM}{os.getpid()}-", dir=base))
    except OSError as error:
        raise BenchError(
            f"{base}: cannot make a folder in it: {error.strerror}; choose another with --folder"
        ) from None
    stack.callback(_remove, made)
    made.chmod(0o755)  # the service's unprivileged processes look into it
    return made


def _hugepages(memory: Path, wanted_bytes: int) -> Path | None:
    """Pages beyond those that others have, and a mount of our own: what is in it needs no other tidying."""
    if os.geteuid():
        return None
    with contextlib.suppress(OSError, ValueError):
        before, wanted = _pages(), -(-wanted_bytes // _HUGE_2M)
        (memory / _RESERVED).write_text(str(wanted), encoding="ascii")  # first: we may be killed
        _PAGES.write_text(str(before + wanted), encoding="ascii")
        gained = _pages() - before
        (memory / _RESERVED).write_text(str(max(0, gained)), encoding="ascii")
        mount = memory / _MOUNT
        mount.mkdir()
        command = ("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(mount))
        if gained >= wanted and not subprocess.run(command, capture_output=True, check=False).returncode:
            return mount
    return None


def _pages() -> int:
    return int(_PAGES.read_text(encoding="ascii"))


def _remove(folder: Path) -> None:
    """A folder with its mount, and its pages given back."""
    if os.path.ismount(folder / _MOUNT):
        for path in (folder / _MOUNT).iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        subprocess.run(("umount", "--lazy", str(folder / _MOUNT)), capture_output=True, check=False)
    with contextlib.suppress(OSError, ValueError):
        reserved = int((folder / _RESERVED).read_text(encoding="ascii"))
        _PAGES.write_text(str(max(0, _pages() - reserved)), encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path | None) -> None:
    """Removes what benchmarks of this user left that were killed; `folder` as for `workspace`."""
    for base in (disk_folder(folder), _MEMORY):
        for path in base.glob(f"{STEM}*-*"):
            pid = path.name.removeprefix(STEM).split("-")[0]
            with contextlib.suppress(OSError):
                if pid.isdigit() and path.lstat().st_uid == os.geteuid() and not is_alive(int(pid)):
                    _remove(path)
