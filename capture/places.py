"""The folders and files of a running ring: where they are, with owners and modes that keep the parts apart.

Nothing is made below a parent that does not exist: a mistyped path is refused, not created.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.accounts import Accounts
from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.footprint import Footprint
from nanotape.config.settings import Settings

_SOCKET_PATH_BYTES = 103  # sun_path, as far as a plan holds it
_PAGE_OPTIONS = {"auto": (21, 30), "2 MiB": (21,), "1 GiB": (30,)}


@dataclass(frozen=True, slots=True)
class Places:
    """Paths of one ring on this host."""

    folder: Path
    """State of this ring: plan, holder's socket, readers."""
    plan: Path
    holder_socket: Path
    readers: Path
    shm: Path
    hugepages: Path | None
    """Folder on hugetlbfs; None: there is none, or none is wanted."""
    archive: Path


def places(settings: Settings) -> Places:
    """Where the parts of a configured ring lie.

    Raises:
        PlaceUnusable: The run directory's path is too long for a Unix socket.
    """
    folder = Path(settings.paths.run_dir) / settings.ring.name
    socket = folder / "holder.sock"
    if len(os.fsencode(socket)) > _SOCKET_PATH_BYTES:
        raise PlaceUnusable(
            f"{socket}: expected a path of at most {_SOCKET_PATH_BYTES} bytes for a Unix socket, found "
            f"{len(os.fsencode(socket))}; set paths.run_dir to a shorter one"
        )
    return Places(
        folder=folder,
        plan=folder / "plan",
        holder_socket=socket,
        readers=folder / "readers",
        shm=Path(settings.paths.shm_dir),
        hugepages=_hugepage_folder(settings),
        archive=Path(settings.paths.archive),
    )


def prepare(settings: Settings, owners: Accounts, record: bool, made: Footprint) -> Places:
    """Makes what is missing, each folder for the account that works in it.

    Args:
        settings: The configuration.
        owners: The accounts.
        record: Whether there will be a recorder, which needs an archive.
        made: Takes down what was made, when this fails too.

    Raises:
        PlaceUnusable: A parent is missing, something else stands there, or it may not be written to.
    """
    found = places(settings)
    # Root keeps the run directory: who could rename the plan or the socket could speak for the holder.
    _folder(made, found.folder.parent, 0o755, owners, None, parents=True)
    _folder(made, found.folder, 0o750 if owners.switches else 0o755, owners, None)
    _folder(made, found.readers, 0o1770, owners, owners.capture_uid)
    _folder(made, found.shm, 0o755, owners, owners.capture_uid)
    if found.hugepages:
        _folder(made, found.hugepages, 0o755, owners, owners.capture_uid)
    if record:
        _folder(made, found.archive, 0o755, owners, owners.record_uid)
    return found


def _folder(
    made: Footprint, path: Path, mode: int, owners: Accounts, uid: int | None, parents: bool = False
) -> None:
    """Makes a folder; one that is there stays as it is, but it must be one and, for ourselves, writable."""
    try:
        made.folder(path, parents=parents)
    except FileExistsError:
        if not path.is_dir():
            raise PlaceUnusable(
                f"{path}: expected a folder, found something else; remove it or set another path"
            ) from None
        if not owners.switches and not os.access(path, os.W_OK | os.X_OK):
            raise PlaceUnusable(
                f"{path}: expected a folder that this user may write to, found one that it may not; "
                "run as its owner or set another path"
            ) from None
        return
    except OSError as error:
        raise PlaceUnusable(_refusal(path, error)) from None
    if owners.switches:
        os.chown(path, 0 if uid is None else uid, owners.ring_gid)
    path.chmod(mode)


def _refusal(path: Path, error: OSError) -> str:
    """Why a folder cannot be made, and what to do."""
    if error.errno == errno.ENOENT and not path.parent.exists():
        return f"{path}: expected its parent folder {path.parent}, which does not exist; make it first"
    if error.errno == errno.ENOTDIR:
        return f"{path}: expected a folder above it, found a file there; set another path"
    if error.errno == errno.EROFS:
        return f"{path}: cannot be made: its file system is read-only; mount it writable or set another path"
    return f"{path}: cannot be made: {error.strerror}; run as its parent's owner or set another path"


def _hugepage_folder(settings: Settings) -> Path | None:
    """As configured, else a folder of ours on the first hugetlbfs with the right pages."""
    if settings.ring.hugepages == "off":
        return None
    if settings.paths.hugepage_dir:
        return Path(settings.paths.hugepage_dir)
    mounts = list(hugetlbfs_mounts())
    for log2 in _PAGE_OPTIONS[settings.ring.page_size]:
        for path, size in mounts:
            if size == 1 << log2:
                return path / "nanotape"
    return None


def hugetlbfs_mounts(mounts: Path = Path("/proc/mounts")) -> Iterator[tuple[Path, int]]:
    """Each mounted hugetlbfs with the size of its pages in bytes."""
    for line in mounts.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "hugetlbfs":
            path = Path(fields[1].encode().decode("unicode_escape"))
            try:
                yield path, os.statvfs(path).f_bsize
            except OSError:
                continue  # mounted where this user cannot look
