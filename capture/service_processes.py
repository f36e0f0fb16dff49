"""A ring's processes as such: started in order, handed over, gone over to another configuration, ended in order.

What is done when one of them dies, or a link does, is `service`'s.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

from nanotape.capture.accounts import Accounts, accounts
from nanotape.capture.child import Child
from nanotape.capture.commands import CAPTURE, HOLDER, RECORDER, Commands, ServiceOptions
from nanotape.capture.errors import CaptureError, ServiceError
from nanotape.capture.feed import Feed
from nanotape.capture.footprint import Footprint
from nanotape.capture.inheritance import InheritedRing
from nanotape.capture.lost_ring import LostRing
from nanotape.capture.places import Places, prepare
from nanotape.capture.plan import write_owned, write_plan
from nanotape.capture.service_children import ServiceChildren
from nanotape.capture.service_clocks import ServiceClocks, stamped_by_nics
from nanotape.capture.service_links import ServiceLinks
from nanotape.capture.service_listeners import ServiceListeners
from nanotape.capture.service_lock import LOCK_NAME, ServiceLock
from nanotape.capture.service_state import STATE_NAME, STOPPED, StateFile
from nanotape.capture.succession import Heir
from nanotape.config import Settings
from nanotape.config.show import effective

READY_TIMEOUT_S = 60.0


class ServiceProcesses:
    """Of one ring."""

    def __init__(
        self,
        settings: Settings,
        options: ServiceOptions,
        log: Callable[[str], None],
        inherited: InheritedRing | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: The configuration.
            options: What to start.
            log: Takes one line for each happening.
            inherited: What an earlier program of this process has left running.
        """
        self._inherited = inherited
        self._settings, self._options, self._log = settings, options, log
        self._owners: Accounts = accounts(settings.user)
        self._children = ServiceChildren(options.talk, log)
        self._lock: ServiceLock | None = None
        self._listeners: ServiceListeners | None = None
        self._links: ServiceLinks | None = None
        self._clocks: ServiceClocks | None = None
        self._state: StateFile | None = None
        self._lost_ring: LostRing | None = None
        self.places: Places | None = None
        self.recorder_words = ""
        """The last recorder's own account, as JSON; empty as long as none has ended in order."""
        self.finished = False
        """The capture ended by itself, as a finite source does."""
        self.damaged = False
        """It did so before its end: the file is damaged, and all before the damage was captured."""

    @property
    def restarts(self) -> dict[str, int]:
        """How often each process was started anew."""
        return self._children.restarts

    def _start_all(self, patience_s: float, wake: int | None) -> None:
        """The recorder loads its libraries while the others start: it begins when its standard input ends."""
        held, cue = os.pipe()
        before: Child | None = None
        try:
            if self._options.record:
                self._children.start(RECORDER, stdin=held)
            if self._inherited:
                before = self._adopt(self._inherited)
            for name in self._names():
                if name == RECORDER:
                    os.close(cue)
                    cue = -1
                elif self.pid(name) is None:
                    self._children.start(name)
                self._wait_ready(name, patience_s, wake)
        except BaseException:
            self._children.take_down([RECORDER])  # before its input ends: it is to touch nothing
            raise
        finally:
            os.close(held)
            if cue >= 0:
                os.close(cue)
            if before:
                before.stop()

    def _adopt(self, inherited: InheritedRing) -> Child | None:
        """What runs goes on until there is something in its place, which is there in a moment.

        Returns:
            A holder that has handed over, to be stopped.
        """
        self._children.restarts.update(inherited.restarts)
        for name, each in inherited.children.items():
            self._children.adopt(name, each)
        if self.pid(HOLDER) is None:  # it died meanwhile: both are started as ever
            self._children.take_down([HOLDER, CAPTURE])
            return None
        heir: Heir | None = None
        try:
            if self._settings.source.effective_kind == "afxdp":
                heir = self.prepare_heir()
            self._children.end(CAPTURE)
            return self.hand_over(heir) if heir else None
        except ServiceError as error:
            self._children.end(CAPTURE)
            self._log(f"{HOLDER}: goes on as it was started before: {error}")
            return None

    def leave(self) -> InheritedRing:
        """Ends the recorder and lets go of all else, which goes on: for a program that this process executes next."""
        assert self._lock is not None  # noqa: S101 - start() has taken it
        self._children.forget_plans()
        if self._listeners:
            self._listeners.close()
            self._listeners = None
        self._children.end(RECORDER)
        return InheritedRing(self._lock.fileno(), self._children.leave(), dict(self.restarts))

    def _make(self, made: Footprint) -> None:
        """Folders, lock and plan, in this order: what a running service uses is not touched."""
        name, source = self._settings.ring.name, self._settings.source
        self.places = prepare(self._settings, self._owners, self._options.record, made)
        if self._options.borrow_from is not None:
            self.places = replace(self.places, holder_socket=self._options.borrow_from)
        lock = self.places.folder / LOCK_NAME
        is_new = not lock.exists()
        self._lock = ServiceLock(lock, name, self._inherited.lock if self._inherited else -1)
        made.file(lock, is_new=is_new)
        state = self.places.folder / STATE_NAME
        for path in (self.places.plan, self.places.config, state):
            made.file(path, is_new=not path.exists())
        made.ring(name, self.places.shm)
        self._lost_ring = LostRing(self._settings, self._owners, self.places, self._log)
        commands = self._children.commands = Commands(self._settings, self._options, self._owners, self.places)
        if source.effective_kind == "pcap" and source.file:
            self._children.feed = Feed(source.file, commands.unpack(source.file), self._options.talk)
        run_directory = self.places.folder.parent
        self._clocks = ServiceClocks(run_directory, stamped_by_nics(name, self.places.shm), self._log)
        self._write_plan()
        # A recorder that is restarted records what is captured, whatever became of the operator's file meanwhile.
        write_owned(self.places.config, effective(self._settings).encode(), self._owners)
        self._state = StateFile(state, self._owners, source.delivery)

    @property
    def is_held(self) -> bool:
        """Whether it has started and not been stopped."""
        return self._lock is not None

    def pid(self, name: str) -> int | None:
        """Process id of a running part."""
        return self._children.pid(name)

    def go_over(self, settings: Settings) -> None:
        """Has what is started from now on go by another configuration of the same ring and the same places.

        Raises:
            CaptureError: It cannot be written down, or there is nothing to capture by it.
        """
        assert self.places is not None  # noqa: S101 - start() has set it
        before, self._settings = self._settings, settings
        try:
            self._write_plan()
            write_owned(self.places.config, effective(settings).encode(), self._owners)
        except BaseException:
            self._settings = before
            with contextlib.suppress(CaptureError):  # half of it may be written down already
                self._write_plan()
            raise
        self._children.commands = replace(self._known_commands(), settings=settings)

    def end(self, name: str) -> None:
        """Asks one part to end, and waits for it; whoever calls it starts it anew."""
        self._children.end(name)

    def begin_anew(self, name: str) -> None:
        """Starts one part that has ended, and waits until it is ready.

        Raises:
            ServiceError: It did not become ready; then nothing of it runs.
        """
        self._children.start_anew(name)
        try:
            self._wait_ready(name, READY_TIMEOUT_S)
        except ServiceError:
            self._children.forget(name)
            raise
        if name == HOLDER and self._links:
            self._links.renewed()  # another XDP program is the right one

    def prepare_heir(self) -> Heir:
        """Starts a holder by the configuration in force, and waits until it could take over from the one that runs.

        Raises:
            ServiceError: It cannot; the one that runs goes on untouched.
        """
        heir = self._children.start_heir()
        heir.wait_prepared(READY_TIMEOUT_S)
        return heir

    def hand_over(self, heir: Heir) -> Child | None:
        """Has an heir take over: not a packet of what both select is lost.

        Returns:
            The holder before it, which ends by itself: to be stopped once there is time for it.

        Raises:
            ServiceError: It could not, and is ended.
        """
        heir.take_over(READY_TIMEOUT_S)
        before = self._children.enthrone(heir)
        if self._links:
            self._links.handed_over()
        return before

    def put_off(self, name: str) -> None:
        """Has `wait` start one part that could not begin, again and again as if it had died."""
        self._children.put_off(name, sound=False)

    def stop(self) -> None:
        """Ends everything in order: holder, capture, recorder. May be called twice.

        With the holder goes the XDP program: then nothing moves any more while the capture takes what waits, and its
        last books are exact; then the recorder takes what is in the ring.
        """
        if self._lock:
            self._end_processes(drain=self._options.record)
            if self._state:
                self._state.ended(STOPPED)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None

    def _end_processes(self, *, drain: bool = False) -> None:
        self._children.forget_plans()
        if self._listeners:
            self._listeners.close()
            self._listeners = None
        self._links = self._clocks = None
        for name in (HOLDER, CAPTURE, RECORDER):
            if drain and name == RECORDER:
                self._revive_recorder()
            child = self._children.end(name)
            if child and name == RECORDER:
                self.recorder_words = child.last_words
        if self._children.feed:
            self._children.feed.close()
            self._children.feed = None

    def _revive_recorder(self) -> None:
        """One that has just died, or is only starting, would leave in the ring what it is there to take."""
        child = self._children.get(RECORDER)
        with contextlib.suppress(ServiceError):  # what stays in the ring is told by the books
            if child is None or child.status is not None:
                if child:
                    child.close()
                child = self._children.start(RECORDER)
            child.wait_ready(READY_TIMEOUT_S)  # it may have much to recover

    def _names(self) -> list[str]:
        needs_holder = self._settings.source.effective_kind in ("afxdp", "packet") and self._options.borrow_from is None
        return [*([HOLDER] if needs_holder else []), CAPTURE, *([RECORDER] if self._options.record else [])]

    def _known_commands(self) -> Commands:
        assert self._children.commands is not None  # noqa: S101 - start() has set them
        return self._children.commands

    def _wait_ready(self, name: str, patience_s: float, wake: int | None = None) -> None:
        child = self._children.get(name)
        if child is None:
            raise ServiceError(f"{name}: cannot be started just now; see its messages")
        child.wait_ready(patience_s, wake)

    def _write_plan(self) -> None:
        assert self.places is not None  # noqa: S101 - start() has set it
        nic_clocks = self._clocks.planned if self._clocks else {}
        records = self._options.record
        write_plan(self._settings, self.places, self._owners, records=records, nic_clocks=nic_clocks)
