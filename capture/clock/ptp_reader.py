"""Asks linuxptp about the clocks that it steers: ptp4l by pmc, where a socket of it answers, else by its log.

What phc2sys and ts2phc do is in their logs alone. Nothing runs: nothing is seen, and that is no failure.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.clock.clock_owners import clock_owners, port_hint
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.pmc import PORTS, Pmc, found_sockets
from nanotape.capture.clock.pmc_output import Answer, Reply
from nanotape.capture.clock.ptp_log_follow import PtpLogs
from nanotape.capture.clock.ptp_log_state import LogState
from nanotape.capture.clock.ptp_observation import PhcOf, PortHint, observe_ptp4l
from nanotape.capture.clock.tool import Run, run_command
from nanotape.capture.errors import PmcUnusable

_PORTS_KEPT_NS = 60 * 10**9


class PtpReader:
    """Call it once for each look."""

    def __init__(
        self,
        domain: int,
        own_folder: Path,
        sockets: Sequence[Path] = (),
        logs: Sequence[Path] = (),
        *,
        phc_of: PhcOf = lambda _: None,
        is_free_running: bool | None = None,
        run: Run = run_command,
        proc: Path = Path("/proc"),
        utc_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Asks nothing yet.

        Args:
            domain: PTP domain number.
            own_folder: Where the replies' sockets may be made.
            sockets: Of ptp4l, in the order in which they are tried; none: where linuxptp puts them.
            logs: Of ptp4l, phc2sys and ts2phc.
            phc_of: Names the clock of an interface.
            is_free_running: Whether ptp4l only measures; None: unknown.
            run: Runs pmc.
            proc: Where ptp4l is looked for.
            utc_ns: UTC.
            monotonic_ns: CLOCK_MONOTONIC, which linuxptp's logs are stamped with.
        """
        self._domain, self._own_folder, self._sockets, self._run = domain, own_folder, tuple(sockets), run
        self._phc_of, self._is_free_running = phc_of, is_free_running
        self._utc_ns, self._monotonic_ns = utc_ns, monotonic_ns
        self._proc = proc
        self._known_ports: tuple[str, int, Sequence[Reply]] = "", 0, ()
        self._hint: PortHint | None = None
        self._logs = PtpLogs(logs, LogState(phc_of, is_free_running))
        self.garbage = 0
        """Lines of pmc's that were none so far."""

    def __call__(self) -> list[Observation]:
        """One observation of each clock that linuxptp knows of.

        Raises:
            PmcUnusable: A ptp4l is there and does not answer, and no log says anything either.
        """
        self._logs.look()
        at_ns, monotonic_ms = self._utc_ns(), self._monotonic_ns() // 1_000_000
        failure: PmcUnusable | None = None
        seen: Observation | None = None
        try:
            seen = self._ask(at_ns)
        except PmcUnusable as error:
            failure = error
        if seen is None:
            seen = self._logs.state.ptp4l(at_ns, monotonic_ms, self._domain)
        followers = self._logs.state.followers(at_ns, monotonic_ms)
        if seen is None and failure is not None and not followers:
            raise failure
        return [*([seen] if seen else []), *followers]

    @property
    def log_garbage(self) -> int:
        """Lines of the logs that were none of linuxptp's so far."""
        return self._logs.reader.garbage

    def close(self) -> None:
        """Gives the logs back."""
        self._logs.close()

    def _ask(self, at_ns: int) -> Observation | None:
        """What the first ptp4l says that answers; None: there is none."""
        sockets = found_sockets(self._sockets) if self._sockets else found_sockets()
        failure: PmcUnusable | None = None
        for number, socket in enumerate(sockets):
            try:
                answer = Pmc(socket, self._domain, self._own_folder, self._run).ask()
            except PmcUnusable as error:
                failure = failure or error
                continue
            self.garbage += answer.garbage
            if answer.one(PORTS[0]) is None:
                answer = answer.with_replies(self._ports(answer, sockets[number + 1 :]))
            return observe_ptp4l(answer, at_ns, self._domain, self._phc_of, self._is_free_running, self._hint)
        if failure is not None:
            raise failure
        return None

    def _ports(self, answer: Answer, others: Sequence[Path]) -> Sequence[Reply]:
        """What a read-only socket does not tell of the ports: from the other socket, or from whoever was started.

        Neither changes while ptp4l runs, and so is asked once a minute.
        """
        identity, now = answer.replies[0].identity, self._monotonic_ns()
        known_of, asked_ns, replies = self._known_ports
        if known_of == identity and now - asked_ns < _PORTS_KEPT_NS:
            return replies
        replies = ()
        for socket in others:
            try:
                told = Pmc(socket, self._domain, self._own_folder, self._run).ask(PORTS)
            except PmcUnusable:
                continue  # by this user
            replies = tuple(reply for reply in told.replies if reply.identity == identity)
            if replies:
                break
        self._hint = None if replies else port_hint(self._domain, clock_owners(self._proc))
        self._known_ports = identity, now, replies
        return replies
