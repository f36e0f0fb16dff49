"""The processes of one ring - holder, capture, recorder - started in order, restarted when they die, ended in order.

The holder's death ends the service: with it goes the packets' way in. All else is restarted and goes on where it was.
"""

import select

from nanotape.capture.child import Child, ending
from nanotape.capture.commands import CAPTURE, HOLDER, RECORDER, ServiceOptions
from nanotape.capture.errors import ServiceError
from nanotape.capture.footprint import Footprint
from nanotape.capture.listeners import ListenerWatch
from nanotape.capture.service_children import Happening, is_sound
from nanotape.capture.service_links import ServiceLinks, links_of
from nanotape.capture.service_listeners import ServiceListeners
from nanotape.capture.service_processes import READY_TIMEOUT_S, ServiceProcesses
from nanotape.capture.service_state import HOLDER_DIED
from nanotape.capture.severity import Error, Info
from nanotape.capture.stop_signals import StopSignals

__all__ = ["CAPTURE", "HOLDER", "RECORDER", "Happening", "Service", "ServiceOptions", "StopSignals"]

_CAPTURE_HOLDER_GONE, _CAPTURE_FINITE, _CAPTURE_DAMAGED = 3, 4, 5  # exit statuses, native/capture/main.c
_ENDINGS = {_CAPTURE_FINITE: "read to its end", _CAPTURE_DAMAGED: "read up to where it is damaged"}
_PREFAULT_BYTES_S = 500e6  # at the least: a large ring takes its time to be touched


class Service(ServiceProcesses):
    """A ring's processes. Start it, `wait` again and again, stop it; or use it in a `with`, which stops it."""

    def __enter__(self) -> "Service":
        """Itself, started."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it."""
        self.stop()

    def start(self, wake: int | None = None) -> None:
        """Makes folders and plan, starts the processes, and returns when all are ready.

        Args:
            wake: A file descriptor that ends the start when it becomes readable.

        Raises:
            CaptureError: Something failed; nothing is left running, and nothing that this start made is left at all.
        """
        made = Footprint()
        patience = READY_TIMEOUT_S + self._settings.ring.capacity_bytes / _PREFAULT_BYTES_S
        try:
            self._make(made)
            self._start_all(patience, wake)
            if self._settings.source.effective_kind == "afxdp" and self.places:
                watch = ListenerWatch(self._known_commands().listeners(), self._log)
                self._listeners = ServiceListeners(watch, self._settings.ring.name, self.places.shm, self._log)
            self._links = links_of(self._settings, self._log)
        except BaseException:
            self._end_processes()
            made.undo()
            self._unlock()
            raise

    def wait(self, timeout_s: float, wake: int | None = None) -> list[Happening]:
        """Waits for something to happen and deals with it.

        Args:
            timeout_s: The longest to wait.
            wake: A file descriptor that ends the wait when it becomes readable.

        Raises:
            ServiceError: The holder died, and all was ended in order.
        """
        looks = [each.wait_s for each in (self._listeners, self._links, self._clocks) if each]
        timeout_s = min([timeout_s, *looks, *self._children.waits_s])
        watched = self._children.watched()
        select.select([*watched, *([] if wake is None else [wake])], [], [], timeout_s)
        happened = [event for child in watched.values() if child.status is not None for event in self._on_end(child)]
        happened += [self._children.start_anew(name) for name in self._children.due()]
        return happened + self._look_for_listeners() + self._look_at_links() + self._look_at_clocks()

    def restart(self, name: str) -> Happening:
        """A planned restart of one part: asked to end, started anew. What waits in rings meanwhile is not lost."""
        self._children.take_down([name])
        return self._children.start_anew(name)

    def _on_end(self, child: Child) -> list[Happening]:
        status = child.status
        assert status is not None  # noqa: S101 - the caller saw it end
        sound = is_sound(child)
        child.close()
        self._children.forget(child.name)
        has_finished = child.name == CAPTURE and status in _ENDINGS
        if not has_finished:
            self._log(f"{child.name}: {ending(status)}")
        happened = [Happening(child.name, "ended", ending(status))]
        if child.name == HOLDER or (child.name == CAPTURE and status == _CAPTURE_HOLDER_GONE):
            if self._state:
                self._state.ended(HOLDER_DIED)
            self.stop()
            raise ServiceError(
                f"{HOLDER}: it is gone, and with it every packet's way in; all was ended in order, start again"
            )
        if has_finished:
            self._finish(status)
        else:
            if self._state:
                self._state.died(child.name)
            self._children.put_off(child.name, sound=sound)
            if child.name == CAPTURE and not sound and self._lost_ring:
                self._lost_ring.look()
        return happened

    def _finish(self, status: int) -> None:
        feed = self._children.feed
        name, failure = (self._settings.source.file, feed.failure()) if feed else (CAPTURE, None)
        self.finished, self.damaged = True, status == _CAPTURE_DAMAGED or failure is not None
        if self._state:
            self._state.ended(_ENDINGS[status], damaged=self.damaged)
        line = f"{name}: {_ENDINGS[status]}"
        self._log(line if self.damaged else Info(line))
        if failure:
            self._log(Error(f"{name}: its decompressor failed ({failure}): what it gave until then was captured"))

    def _look_for_listeners(self) -> list[Happening]:
        found = self._listeners.look() if self._listeners else None
        if found is None:
            return []
        new, all_lines = found
        if self._state:
            self._state.listeners(all_lines)
        return [Happening(HOLDER, "listener", line) for line in new]

    def _look_at_links(self) -> list[Happening]:
        if self._links is None:
            return []
        found = self._links.look()
        if found and self._state:
            self._state.links(self._links.lines, self._links.notes)
        happened = [Happening(HOLDER, "link", outage.detail) for outage in found]
        return happened + (self._renew(self._links) if self._links.must_renew else [])

    def _look_at_clocks(self) -> list[Happening]:
        if self._clocks is None or not self._clocks.look():
            return []
        self._write_plan()
        return [self.restart(CAPTURE)]

    def _renew(self, links: ServiceLinks) -> list[Happening]:
        """Opens everything anew on an interface that is another one. The holder first: the capture borrows of it."""
        if self._options.borrow_from is not None:
            links.renewed()
            self._log(
                Error(f"{HOLDER}: {self._options.borrow_from}: its sockets went with the interface; start it again")
            )
            return []
        names = [name for name in self._names() if name != RECORDER]
        self._children.take_down(names)
        happened = []
        for name in names:
            happened.append(self._children.start_anew(name))
            try:
                self._wait_ready(name, READY_TIMEOUT_S)
            except ServiceError as error:
                self._children.take_down(names)  # an XDP program of ours that stayed would be taken for another's
                links.failed()
                self._log(Error(f"{name}: cannot be started on the new interface yet: {error}"))
                return happened
        links.renewed()
        return happened
