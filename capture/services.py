"""The services of several rings side by side, each watched by a thread of its own: none waits for another.

All start or none does. After that the death of one ring's holder ends that ring alone; the others go on.
"""

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from nanotape.capture.child import INTERRUPTED
from nanotape.capture.errors import CaptureError, ServiceError
from nanotape.capture.inheritance import InheritedRing
from nanotape.capture.service import Service, ServiceOptions
from nanotape.capture.severity import Error, like
from nanotape.config import Settings

_TICK_S = 1.0

Answer = TypeVar("Answer")


class RingRun:
    """One ring's service and the thread that starts, watches and ends it."""

    def __init__(
        self,
        settings: Settings,
        options: ServiceOptions,
        log: Callable[[str], None],
        news: Callable[[], None],
        inherited: InheritedRing | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: Of this ring alone.
            options: What to start.
            log: Takes one line for each happening.
            news: Called from the thread when the service is ready, and when it has ended.
            inherited: What runs of it already.
        """
        self.settings = settings
        self.service = Service(settings, options, log, inherited)
        self.left: InheritedRing | None = None
        """What goes on of it, once it was told to be left."""
        self.is_ready = False
        """It has been ready; it may have ended since."""
        self.has_ended = False
        """Nothing of it runs any more."""
        self.error: BaseException | None = None
        """Why it could not start, or not go on; None: all was as it should be."""
        self._news = news
        # Its recorder dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG): it must outlive that.
        self._thread = threading.Thread(target=self._run, name=f"ring {self.name}")
        self._is_told = threading.Event()
        self._must_leave = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asked: deque[tuple[Callable[[Service], Any], Future[Any]]] = deque()

    @property
    def name(self) -> str:
        """Name of the ring."""
        return self.settings.ring.name

    def start(self) -> None:
        """Lets the thread begin."""
        self._thread.start()

    def tell_to_stop(self) -> None:
        """Has the service end in order, soon. May be called twice, and at any time."""
        self._is_told.set()
        os.eventfd_write(self._wake, 1)

    def tell_to_leave(self) -> None:
        """Has what runs go on without this thread, but for the recorder, which is ended."""
        self._must_leave = True
        self.tell_to_stop()

    def ask(self, do: Callable[[Service], Answer], timeout_s: float) -> Answer:
        """Has the ring's thread do something with its service, and waits for it.

        Raises:
            ServiceError: The ring is not ready, ends, or takes too long.
        """
        future: Future[Answer] = Future()
        if self.is_ready and not self.has_ended:
            self._asked.append((do, future))
            with contextlib.suppress(OSError):  # closed meanwhile
                os.eventfd_write(self._wake, 1)
        if not self.is_ready or self.has_ended:
            self._refuse_asked()
            future.cancel()
        try:
            return future.result(timeout_s)
        except CancelledError:
            raise ServiceError(f"ring {self.name}: expected it to run, it does not; start it again") from None
        except TimeoutError:
            raise ServiceError(f"ring {self.name}: not done within {timeout_s:.0f} s; see its messages") from None

    def close(self) -> None:
        """Waits until all has ended, however long the recorder takes for what is in the ring. Called once, last."""
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._wake)

    def _run(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(self._end)
                self.service.start(self._wake)
                self.is_ready = True
                self._news()
                while not self._is_told.is_set() and not self.service.finished:
                    self.service.wait(_TICK_S, self._wake)
                    self._answer()
        except BaseException as error:  # whoever waits for the ring raises or tells it
            self.error = error
        finally:
            self.has_ended = True
            self._refuse_asked()
            self._news()

    def _end(self) -> None:
        if self._must_leave and self.is_ready and not self.service.finished and self.service.is_held:
            self.left = self.service.leave()
        else:
            self.service.stop()

    def _answer(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)  # before what it woke us for is looked at
        while self._asked and not self._is_told.is_set():
            do, future = self._asked.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(do(self.service))
            except CaptureError as error:  # who asked is told; the ring goes on
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise

    def _refuse_asked(self) -> None:
        with contextlib.suppress(IndexError):  # two threads may empty it
            while True:
                self._asked.popleft()[1].cancel()


class Services:
    """The rings of one configuration. Start them, wait, stop them; or use it in a `with`, which stops them."""

    def __init__(
        self,
        settings: Sequence[Settings],
        options: ServiceOptions,
        log: Callable[[str], None],
        inherited: Mapping[str, InheritedRing] = MappingProxyType({}),
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: Of each ring alone (`Settings.of_ring`).
            options: What to start for each.
            log: Takes one line for each happening, from several threads; of several rings it begins with the ring.
            inherited: What runs of each already.
        """
        self._log = log
        self._is_alone = len(settings) == 1
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._told: set[str] = set()
        self._is_closed = False
        tell = partial(os.eventfd_write, self._news, 1)
        self.runs = tuple(
            RingRun(each, options, self._log_of(each.ring.name), tell, inherited.get(each.ring.name))
            for each in settings
        )
        """The rings, in their order."""

    def __enter__(self) -> "Services":
        """Itself, started."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops them."""
        self.stop()

    def start(self, wake: int | None = None, on_ready: Callable[[RingRun], None] = lambda _: None) -> None:
        """Starts one ring after the other, and returns when all are ready.

        Args:
            wake: A file descriptor that ends the start when it becomes readable.
            on_ready: Called with each ring that is ready.

        Raises:
            CaptureError: One could not start: all were ended in order.
        """
        is_told = False
        for run in self.runs:
            if is_told:
                self.stop()
                raise ServiceError(f"ring {run.name}: told to stop before it was started; all was ended", INTERRUPTED)
            run.start()
            while not (run.is_ready or run.has_ended):
                if self._wait(None, None if is_told else wake):
                    is_told = True
                    run.tell_to_stop()
                self._tell_of_ends()
            if not run.is_ready:
                self.stop()
                raise self._named(run)
            on_ready(run)

    def wait(self, timeout_s: float | None, wake: int | None = None) -> bool:
        """Waits until something happens, which may be nothing of note; tells of a ring that could not go on.

        Args:
            timeout_s: The longest to wait; None: as long as it takes.
            wake: A file descriptor that ends the wait when it becomes readable.

        Returns:
            Whether any ring still runs.
        """
        if self.running():
            self._wait(timeout_s, wake)
        self._tell_of_ends()
        return self.running()

    def running(self) -> bool:
        """Whether any ring still runs."""
        return not all(run.has_ended for run in self.runs)

    def stop(self) -> None:
        """Ends all rings at the same time, each in its order. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        for run in self.runs:
            run.tell_to_stop()
        for run in self.runs:
            run.close()
        self._tell_of_ends()
        os.close(self._news)

    def leave(self) -> dict[str, InheritedRing]:
        """Lets go of all rings at the same time, for a program that this process executes next.

        Returns:
            What goes on of each that has not ended.
        """
        for run in self.runs:
            run.tell_to_leave()
        self.stop()
        return {run.name: run.left for run in self.runs if run.left is not None}

    def raise_of_one(self) -> None:
        """Raises what ended the only ring; of several each was told when it happened. A bug is raised in any case."""
        for run in self.runs:
            if run.error is not None and (self._is_alone or not isinstance(run.error, CaptureError)):
                raise run.error

    def _wait(self, timeout_s: float | None, wake: int | None) -> bool:
        """Returns whether `wake` became readable."""
        readable = select.select([self._news, *([] if wake is None else [wake])], [], [], timeout_s)[0]
        if self._news in readable:
            os.eventfd_read(self._news)
        return wake in readable

    def _tell_of_ends(self) -> None:
        for run in self.runs:
            if self._is_alone or not run.is_ready or run.error is None or run.name in self._told:
                continue
            self._told.add(run.name)
            others = [other.name for other in self.runs if not other.has_ended]
            rest = f"; the others go on: {', '.join(others)}" if others and not self._is_closed else ""
            self._log(Error(f"ring {run.name}: {run.error}{rest}"))

    def _named(self, run: RingRun) -> BaseException:
        """The error of a start, with the ring that it is about."""
        assert run.error is not None  # noqa: S101 - it ended before it was ready
        is_named = self._is_alone or str(run.error).startswith(f"ring {run.name}: ")
        if isinstance(run.error, CaptureError) and not is_named:
            run.error.args = (f"ring {run.name}: {run.error}",)
        if isinstance(run.error, ServiceError) and not self._is_alone:
            run.error.told = False  # the process that told why does not know its ring's name
        return run.error

    def _log_of(self, name: str) -> Callable[[str], None]:
        return self._log if self._is_alone else lambda line: self._log(like(line, f"ring {name}: {line}"))
