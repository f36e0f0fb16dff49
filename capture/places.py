"""The folders and files of a running ring: where they are, with owners and modes that keep the parts apart.

Only the run directory's parents are made: any other path with a missing parent is mistyped, and refused.
"""

import errno
import os
import stat
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
    """State of this ring: plan, configuration, holder's socket, readers."""
    plan: Path
    config: Path
    """The configuration that the running service was started with."""
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
        config=folder / "nanotape.toml",
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
    _folder(made, found.folder.parent, 0o755, owners, 0, parents=True)
    _folder(made, found.folder, 0o750 if owners.switches else 0o755, owners, 0)
    _folder(made, found.readers, 0o1770, owners, owners.capture_uid)
    _folder(made, found.shm, 0o755, owners, owners.capture_uid)
    if found.hugepages:
        _folder(made, found.hugepages, 0o755, owners, owners.capture_uid)
    if record:
        _archive(made, found.archive, owners)
    return found


def _folder(made: Footprint, path: Path, mode: int, owners: Accounts, uid: int, parents: bool = False) -> None:
    """Makes a folder for `uid`; one that is there already must be such that nobody else can put something into it."""
    try:
        made.folder(path, parents=parents)
    except FileExistsError:
        _check(path, owners, uid)
    except OSError as error:
        raise PlaceUnusable(_refusal(path, error)) from None
    else:
        _give(path, mode, owners, uid)


def _archive(made: Footprint, path: Path, owners: Accounts) -> None:
    """The archive may be a link to another disk and have any owner: only the recorder writes there, as its own user."""
    try:
        made.folder(path)
    except FileExistsError:
        if not path.is_dir():
            raise PlaceUnusable(
                f"{path}: expected a folder, found something else; remove it or set another path"
            ) from None
        if not owners.switches:
            _check_writable(path)
    except OSError as error:
        raise PlaceUnusable(_refusal(path, error)) from None
    else:
        _give(path, 0o755, owners, owners.record_uid)


def _check(path: Path, owners: Accounts, uid: int) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise PlaceUnusable(f"{path}: expected a folder, found something else; remove it or set another path")
    if not owners.switches:
        _check_writable(path)
    elif found.st_uid not in (0, uid) or found.st_mode & stat.S_IWOTH:
        # Anybody may make folders in /dev/shm: one that waits there for root is a trap.
        raise PlaceUnusable(
            f"{path}: expected a folder of user {uid} that others cannot write to, found one of user {found.st_uid} "
            f"with mode {stat.S_IMODE(found.st_mode):o}; remove it or set another path"
        )
    elif found.st_uid != uid:
        _give(path, stat.S_IMODE(found.st_mode), owners, uid)


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK | os.X_OK):
        raise PlaceUnusable(
            f"{path}: expected a folder that this user may write to, found one that it may not; "
            "run as its owner or set another path"
        )


def _give(path: Path, mode: int, owners: Accounts, uid: int) -> None:
    """By descriptor: the name may be somebody else's by now."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PlaceUnusable(f"{path}: cannot be opened: {error.strerror}; remove it or set another path") from None
    try:
        if owners.switches:
            os.fchown(folder, uid, owners.ring_gid)
        os.fchmod(folder, mode)
    finally:
        os.close(folder)


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
