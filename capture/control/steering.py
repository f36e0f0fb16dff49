"""What each request does to the services of one supervisor; called from the threads of the control server."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from nanotape.capture.accounts import accounts
from nanotape.capture.commands import CAPTURE, HOLDER, RECORDER
from nanotape.capture.control.orders import OrderBook
from nanotape.capture.control.protocol import Request
from nanotape.capture.control.receipts import recorder_uids
from nanotape.capture.errors import ControlError
from nanotape.capture.findings import ring_findings, unreadable
from nanotape.capture.health import RingHealth
from nanotape.capture.looks import healths
from nanotape.capture.services import RingRun, Services

_LOOK_S = 0.5
_ORDER_S = 15.0

Reload = Callable[[bool], Mapping[str, Any]]
"""Has all rings go over to the configuration as it is now; whether they may be interrupted for it."""
Restart = Callable[[], Mapping[str, Any]]
"""Has the supervisor execute itself anew, soon."""


class Steering:
    """Of one supervisor."""

    def __init__(
        self, services: Services, reload: Reload, stop: Callable[[], None], restart: Restart | None = None
    ) -> None:
        """Does nothing yet.

        Args:
            services: What runs.
            reload: See `Reload`.
            stop: Has the supervisor end in order, soon.
            restart: See `Restart`; None: it cannot.
        """
        self._services, self._reload, self._stop, self._restart = services, reload, stop, restart
        self._order_locks = {run.name: threading.Lock() for run in services.runs}

    def act(self, ring: str, request: Request) -> Mapping[str, Any]:
        """Does what is asked; reload, restart and stop concern all rings of the supervisor.

        Args:
            ring: By whose socket it was asked.
            request: What.

        Returns:
            The answer, but for `ok`.

        Raises:
            CaptureError: It cannot be done.
        """
        run = next(each for each in self._services.runs if each.name == ring)
        if request.do == "status":
            return self._status(run)
        if request.do == "reload":
            return self._reload(request.interrupt)
        if request.do == "restart":
            if self._restart is None:
                raise ControlError("restart: this service cannot execute itself anew; stop and start it")
            return {**self._restart(), "processes": self._processes(run)}
        if request.do == "stop":
            self._stop()
            return {"rings": [each.name for each in self._services.runs]}
        return self._order(run, request.do, request.text)

    def _status(self, run: RingRun) -> Mapping[str, Any]:
        settings, service = run.settings, run.service
        looks = healths(settings, run.name, _LOOK_S)
        findings = [
            finding
            for each in looks
            for finding in (ring_findings(each) if isinstance(each, RingHealth) else [unreadable(each)])
        ]
        return {
            "ring": run.name,
            "running": run.is_ready and not run.has_ended,
            "processes": self._processes(run),
            "restarts": dict(service.restarts),
            "files": [str(path) for path in settings.files],
            "health": next((asdict(each) for each in looks if isinstance(each, RingHealth)), None),
            "findings": [asdict(each) for each in findings],
        }

    def _processes(self, run: RingRun) -> dict[str, int | None]:
        return {name: run.service.pid(name) for name in (HOLDER, CAPTURE, RECORDER)}

    def _order(self, run: RingRun, do: Literal["rotate", "mark"], text: str) -> Mapping[str, Any]:
        if run.has_ended:
            raise ControlError(f"{do}: ring {run.name} has ended; start it again")
        settings = run.settings
        user = settings.user
        book = OrderBook(Path(settings.paths.run_dir) / run.name, accounts(user), recorder_uids(user))
        with self._order_locks[run.name]:
            order = book.give(do, text)
        book.wait_done(order, settings.recorder.name, _ORDER_S)
        return {"ring": run.name, "number": order.number}
