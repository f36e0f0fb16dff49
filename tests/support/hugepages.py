"""Reserves 2 MiB huge pages for the length of a test and mounts a hugetlbfs of its own; restores all of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import namespaces

RESERVED = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
FREE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")


class Unavailable(Exception):
    """Raised when this machine cannot give the pages; the text is the reason to skip."""


def remove_leftovers() -> None:
    """Unmounts what a killed test run left mounted."""
    for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        kind, target = line.split()[2], pathlib.Path(line.split()[1])
        if kind == "hugetlbfs" and namespaces.owner_is_gone(target.name):
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)
            with contextlib.suppress(OSError):
                target.rmdir()


@contextlib.contextmanager
def hugepages(count: int) -> Iterator[pathlib.Path]:
    """Yields a mounted hugetlbfs folder with at least `count` free pages of 2 MiB behind it.

    Raises:
        Unavailable: no root, no support, or not enough contiguous memory.
    """
    if os.geteuid() != 0:
        raise Unavailable("needs root: reserving huge pages and mounting hugetlbfs")
    if not RESERVED.exists():
        raise Unavailable("this kernel has no 2 MiB huge pages")
    remove_leftovers()
    before = int(RESERVED.read_text(encoding="ascii"))
    target = pathlib.Path(tempfile.mkdtemp(prefix=f"{namespaces.PREFIX}{os.getpid()}-huge-"))
    mounted = False
    try:
        RESERVED.write_text(str(before + max(0, count - int(FREE.read_text(encoding="ascii")))), encoding="ascii")
        free = int(FREE.read_text(encoding="ascii"))
        if free < count:
            raise Unavailable(f"needs {count} huge pages of 2 MiB, got {free}: memory is short or fragmented")
        command = ["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", os.fspath(target)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"cannot mount hugetlbfs: {done.stderr.strip()}")
        mounted = True
        yield target
    finally:
        if mounted:
            for entry in target.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)
        target.rmdir()
        RESERVED.write_text(str(before), encoding="ascii")
