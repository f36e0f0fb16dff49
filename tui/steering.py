"""What an operator may have a running service do from here: what each action does, who may, and what was answered.

Asks over the control socket, as `nanotape ctl` does; knows nothing of screens. Whoever may not is told why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nanotape.capture.control.client import ask
from nanotape.capture.control.peers import Peer, may_steer
from nanotape.capture.control.protocol import MARK_CHARACTERS, socket_path
from nanotape.capture.errors import ControlError

Verb = Literal["rotate", "mark", "reload"]
Ask = Callable[[Path, Mapping[str, Any], float], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a service can be asked for."""

    verb: Verb
    key: str
    title: str
    does: str
    """What it will do to `{ring}`: a sentence or two."""
    timeout_s: float
    """The longest to wait for an answer; a service says itself after 15 s that its recorder does not."""


ACTIONS = (
    Action(
        "rotate",
        "R",
        "Rotate",
        "The recorder of ring {ring} ends its segment now and begins the next one. Nothing is lost by it.",
        20.0,
    ),
    Action(
        "mark",
        "M",
        "Mark",
        "The archive of ring {ring} gets an event with your words, stamped with the moment that you confirm.",
        20.0,
    ),
    Action(
        "reload",
        "L",
        "Reload",
        "The service of ring {ring}, with all its rings, goes over to its configuration as it is now: all of it or "
        "nothing. What would interrupt a channel is refused; nanotape ctl reload --interrupt accepts it.",
        120.0,
    ),
)


def action(verb: str) -> Action:
    """The one of that name."""
    return next(each for each in ACTIONS if each.verb == verb)


@dataclass(frozen=True, slots=True)
class Target:
    """A ring, and whether this user may steer its service."""

    ring: str
    socket: Path
    refusal: str | None
    """Why not; None: as far as can be told, it may."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking."""

    verb: Verb
    ring: str
    is_done: bool
    told: str
    """One line: what was done, or why not."""

    @property
    def line(self) -> str:
        """With what it is about."""
        return f"{self.verb} {self.ring}: {self.told if self.is_done else f'REFUSED: {self.told}'}"


def me() -> Peer:
    """This process, as a service will see it."""
    return Peer(os.getpid(), os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


def target(run_directory: Path, ring: str, peer: Peer | None = None) -> Target:
    """Whether a user may steer the service of a ring, as its socket's owner and group say; connects to nothing.

    Args:
        run_directory: Where sockets are.
        ring: Its name.
        peer: Who; None: this process.
    """
    path = socket_path(run_directory, ring)
    try:
        found = path.stat()
    except FileNotFoundError:
        return Target(ring, path, f"no service listens at {path}; start it: nanotape run")
    except OSError as error:
        return Target(ring, path, f"{path}: {error.strerror}; be root, or in the group that may enter its folder")
    if may_steer(peer or me(), found.st_gid, own_uid=found.st_uid):
        return Target(ring, path, None)
    why = f"{path} is for root, user {found.st_uid} and group {found.st_gid} (control.group); this user is none of them"
    return Target(ring, path, why)


def wrong_mark(text: str) -> str | None:
    """What is wrong with the words of a mark; None: nothing."""
    if not text.strip():
        return "say something: an auction, a test, a cable that was moved"
    if not text.isprintable():
        return "only printable characters"
    return None if len(text) <= MARK_CHARACTERS else f"{MARK_CHARACTERS} characters at most, these are {len(text)}"


def carry_out(what: Action, where: Target, text: str = "", ask_service: Ask = ask) -> Outcome:
    """Asks the service, and waits for its answer: call it from a thread of its own.

    Args:
        what: Rotate, mark or reload.
        where: Whose service.
        text: Of a mark.
        ask_service: The control client, or a test's.
    """
    request: dict[str, Any] = {"do": what.verb}
    if what.verb == "mark":
        request["text"] = text.strip()
    try:
        answer = ask_service(where.socket, request, what.timeout_s)
        return Outcome(what.verb, where.ring, True, _told(what, answer, text))
    except ControlError as error:
        return Outcome(what.verb, where.ring, False, " ".join(str(error).split()))
    except Exception as error:  # as of a service that is another nanotape: whoever waits is told
        return Outcome(what.verb, where.ring, False, f"its answer is not understood: {type(error).__name__}: {error}")


def _told(what: Action, answer: Mapping[str, Any], text: str) -> str:
    if what.verb == "rotate":
        return "its segment is ended, the next one is begun with the next packet"
    if what.verb == "mark":
        return f'"{text.strip()}" stands in the archive'
    rings = [each for each in answer.get("rings", ()) if isinstance(each, Mapping)]
    changed = [_reloaded(each) for each in rings if each.get("changed")]
    return "; ".join(changed) if changed else "nothing has changed in its configuration"


def _reloaded(ring: Mapping[str, Any]) -> str:
    keys = ", ".join(map(str, ring["changed"]))
    anew = ", ".join(map(str, ring.get("started_anew", ())))
    return f"{ring.get('ring')} goes by the new {keys}{f'; started anew: {anew}' if anew else ''}"
