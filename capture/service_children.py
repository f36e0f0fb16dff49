"""The processes of a service, one by one: started, restarted the later the more often they failed, ended, let go.

In which order, and what the death of one means, is the service's.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from nanotape.capture.child import STOP_TIMEOUT_S, Child
from nanotape.capture.commands import CAPTURE, HOLDER, RECORDER, Commands
from nanotape.capture.errors import ServiceError
from nanotape.capture.feed import Feed
from nanotape.capture.inheritance import InheritedChild
from nanotape.capture.lifeline import Lifeline
from nanotape.capture.privilege import lent_to_holder
from nanotape.capture.severity import Error, Info
from nanotape.capture.succession import Cue, Heir, Succession

_SOUND_AFTER_S = 0.5  # who was ready and lived as long is restarted at once: RX rings hold out for less than a second
_DRAIN_TIMEOUT_S = 300.0  # a recorder that lags takes what is in the ring before it ends
_BACKOFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that befell a process of the service."""

    process: str
    what: str
    """`ended`, `restarted`, `failed`; `listener`: somebody listens to what AF_XDP takes; `link`: one is down or up."""
    detail: str


def is_sound(child: Child) -> bool:
    """Whether it was ready and has lived for a while, so that it may be started again at once."""
    return child.said_ready and time.monotonic() - child.started > _SOUND_AFTER_S


class ServiceChildren:
    """Of one ring, by name."""

    def __init__(self, talk: IO[Any] | None, log: Callable[[str], None]) -> None:
        """Starts nothing yet.

        Args:
            talk: Where their standard error goes; None: to ours.
            log: Takes one line for each start anew.
        """
        self._talk, self._log = talk, log
        self._children: dict[str, Child] = {}
        self._tries: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._succession: Succession | None = None
        self._lifeline: Lifeline | None = None
        self.commands: Commands | None = None
        """What to run; to be set before the first start."""
        self.feed: Feed | None = None
        """Gives the capture its file; None: it reads none."""
        self.restarts: dict[str, int] = {}
        """How often each was started anew."""

    def get(self, name: str) -> Child | None:
        """One that was started and not let go; it may have ended."""
        return self._children.get(name)

    def pid(self, name: str) -> int | None:
        """Process id of one that runs."""
        child = self._children.get(name)
        return child.pid if child and child.status is None else None

    def watched(self) -> dict[int, Child]:
        """By the descriptor that becomes readable when it ends."""
        return {child.pidfd: child for child in self._children.values() if child.pidfd >= 0}

    @property
    def waits_s(self) -> list[float]:
        """How long it is until each planned start."""
        now = time.monotonic()
        return [max(due - now, 0.0) for due in self._due.values()]

    def due(self) -> list[str]:
        """Whose planned start it is time for."""
        now = time.monotonic()
        return [name for name, due in self._due.items() if due <= now]

    def start(self, name: str, *, again: bool = False, stdin: int | None = None) -> Child:
        """Starts one.

        Args:
            name: Which.
            again: It ran before.
            stdin: Its standard input; None: nothing, or its file.

        Raises:
            ServiceError: It cannot be started just now.
        """
        commands = self._known_commands()
        if name == HOLDER:
            with Succession.made() as succession:
                child = self._start_holder([*commands.of(name), *succession.options], succession.passed)
                self._succession = succession
        else:
            feed = self.feed if name == CAPTURE else None
            # A file's own way of going on; live sources go on by what the holder lends.
            command = commands.of(name, resume=again and feed is not None)
            stream = feed.stream() if feed else None
            try:
                child = self._start_tied(name, command, stdin if stream is None else stream)
            finally:
                if stream is not None:
                    os.close(stream)  # the capture's alone: with it the decompressor loses its reader
        self._children[name] = child
        return child

    def start_heir(self) -> Heir:
        """Starts a holder that is to take over from the one that runs.

        Raises:
            ServiceError: It cannot be started, or none of ours runs that it could take over from.
        """
        if self._succession is None or self.pid(HOLDER) is None:
            raise ServiceError(
                f"{HOLDER}: expected one of this service to take over from, found none; restart the service"
            )
        command = [*self._known_commands().of(HOLDER), *self._succession.inherit_options]
        asked = self._succession.ours
        with Succession.made() as succession, Cue.made() as cue:
            passed = (*succession.passed, asked)
            child = self._start_holder([*command, *succession.options], passed, cue.given)
            return Heir(child, succession, cue)

    def enthrone(self, heir: Heir) -> Child | None:
        """Has an heir that is ready be the holder, and gives back the one before, which is to be ended."""
        before = self.forget(HOLDER)
        self._children[HOLDER], self._succession = heir.child, heir.succession
        self.restarts[HOLDER] = self.restarts.get(HOLDER, 0) + 1
        self._log(Info(f"{HOLDER}: handed over, pid {heir.child.pid}"))
        return before

    def _start_holder(self, command: Sequence[str], pass_fds: Sequence[int], stdin: int | None = None) -> Child:
        with lent_to_holder():
            return Child(HOLDER, command, self._talk, stdin, pass_fds)

    def _start_tied(self, name: str, command: Sequence[str], stdin: int | None) -> Child:
        if name != CAPTURE:
            return Child(name, command, self._talk, stdin)
        with Lifeline.made() as lifeline:
            child = Child(name, [*command, *lifeline.options], self._talk, stdin, lifeline.passed)
            self._lifeline = lifeline
            return child

    def leave(self) -> dict[str, InheritedChild]:
        """What a program that this process executes is to adopt: those of holder and capture that run."""
        ties = {
            HOLDER: self._succession.ours if self._succession else -1,
            CAPTURE: self._lifeline.ours if self._lifeline else -1,
        }
        running = {name: self._children[name] for name in ties if self.pid(name) is not None}
        return {name: InheritedChild(child.pid, child.stdout, ties[name]) for name, child in running.items()}

    def adopt(self, name: str, inherited: InheritedChild) -> None:
        """Takes over a holder or a capture that an earlier program of this process started; it may have died since."""
        self._children[name] = Child.adopted(name, inherited.pid, inherited.stdout)
        if name == HOLDER:
            self._succession = Succession.inherited(inherited.tie)
        else:
            self._lifeline = Lifeline(inherited.tie)

    def _known_commands(self) -> Commands:
        assert self.commands is not None  # noqa: S101 - set before the first start
        return self.commands

    def start_anew(self, name: str) -> Happening:
        """Starts one that has ended; what cannot be started now is put off."""
        self._due.pop(name, None)
        self.restarts[name] = self.restarts.get(name, 0) + 1
        # Not waited for: while a recorder starts, the capture may die too, and its RX rings hold out only so long.
        try:
            child = self.start(name, again=True)
        except ServiceError as error:  # no memory or no process to be had just now
            self.put_off(name, sound=False)
            self._log(Error(error))
            return Happening(name, "failed", str(error))
        self._log(Info(f"{name}: started anew, pid {child.pid}"))
        return Happening(name, "restarted", f"pid {child.pid}")

    def put_off(self, name: str, *, sound: bool) -> None:
        """Plans the next start, the later the more often it failed."""
        tries = 0 if sound else self._tries.get(name, 0)
        self._tries[name] = tries + 1
        self._due[name] = time.monotonic() + _BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)]

    def forget(self, name: str) -> Child | None:
        """Lets go of one, and of its planned start."""
        self._due.pop(name, None)
        if name == HOLDER and self._succession:
            self._succession.close()
            self._succession = None
        if name == CAPTURE and self._lifeline:
            self._lifeline.close()
            self._lifeline = None
        return self._children.pop(name, None)

    def end(self, name: str) -> Child | None:
        """Asks one to end, and waits for it; it is let go of. A recorder may take its time for what is in the ring."""
        child = self.forget(name)
        if child:
            child.stop(_DRAIN_TIMEOUT_S if name == RECORDER else STOP_TIMEOUT_S)
        return child

    def take_down(self, names: Sequence[str]) -> None:
        """Ends some that are not to finish anything."""
        for name in names:
            child = self.forget(name)
            if child:
                child.stop()

    def forget_plans(self) -> None:
        """Nothing is started any more."""
        self._due.clear()
