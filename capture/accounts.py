"""Who runs what: user and group names of the configuration as the numbers that the kernel knows.

Only a process that root started can hand work to other users; any other runs everything as itself.
"""

import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass

from nanotape.capture.errors import AccountUnknown
from nanotape.capture.processes import renounce_new_privilege
from nanotape.config.settings import User


@dataclass(frozen=True, slots=True)
class Accounts:
    """Numbers of the accounts that a capture host uses."""

    capture_uid: int
    """Owner of the ring."""
    record_uid: int
    """Owner of the archive; reads the ring by its group."""
    ring_gid: int
    """Group whose members may read the ring."""
    switches: bool
    """Whether we are root, and processes are given to these accounts."""


def accounts(user: User) -> Accounts:
    """The accounts of a configuration.

    Raises:
        AccountUnknown: Root starts us, and this host does not know one of them.
    """
    if os.geteuid() != 0:
        return Accounts(os.geteuid(), os.geteuid(), os.getegid(), switches=False)
    return Accounts(
        capture_uid=_user(user.capture, "user.capture"),
        record_uid=_user(user.record, "user.record"),
        ring_gid=group_number(user.group, "user.group"),
        switches=True,
    )


def account_number(name: str) -> int | None:
    """A user's number; None: this host knows none of that name."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _user(name: str, key: str) -> int:
    return _number(name, key, "user", lambda known: pwd.getpwnam(known).pw_uid, "useradd --system --no-create-home")


def group_number(name: str, key: str) -> int:
    """A group's number.

    Args:
        name: As configured; a name or a number.
        key: That configures it.

    Raises:
        AccountUnknown: This host does not know it.
    """
    return _number(name, key, "group", lambda known: grp.getgrnam(known).gr_gid, "groupadd --system")


def _number(name: str, key: str, kind: str, look_up: Callable[[str], int], command: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        raise AccountUnknown(
            f"{key}: expected a {kind} of this host, found {name!r}, which it does not know; "
            f"make it ({command} {name}) or set {key}"
        ) from None


def give_up_privilege(uid: int, gid: int) -> None:
    """Goes over to an account for good: no other group, no capability, none to be had by a later exec."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    renounce_new_privilege()
