"""The links of a running service: when to look, what to tell, and when holder and capture have to be made anew.

An interface that came back as another one has neither joins nor sockets nor XDP program of ours, one whose program was
detached no program: nothing would ever come in again, and nobody would say so.
"""

import time
from collections.abc import Callable

from nanotape.capture.errors import HostError
from nanotape.capture.link_outage import LinkOutage
from nanotape.capture.link_watch import LinkWatch
from nanotape.capture.membership_reports import report_again
from nanotape.capture.severity import Error, Info
from nanotape.config import Settings, interfaces

INTERVAL_S = 0.25
_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_KINDS = ("afxdp", "packet", "socket")


class ServiceLinks:
    """What a service knows of its links."""

    def __init__(
        self,
        watch: LinkWatch,
        log: Callable[[str], None],
        report: Callable[[str], None] | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        has_programs: bool = False,
    ) -> None:
        """Looks at nothing yet.

        Args:
            watch: Of the interfaces.
            log: Takes one line for each change.
            report: Has the joins of an interface reported again; None: there are none.
            clock: Seconds.
            has_programs: XDP programs let the packets in.
        """
        self._has_programs, self._renewals = has_programs, 0
        self._watch, self._log, self._report, self._clock = watch, log, report, clock
        self._due = clock()
        self._renewal_due: float | None = None
        self._renewing: set[str] = set()
        self._tries = 0

    @property
    def wait_s(self) -> float:
        """How long there is nothing to do."""
        return max(self._due - self._clock(), 0.0)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each link that is down."""
        return tuple(outage.detail for outage in self._watch.down)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each that is captured, and yet is not as it should be."""
        return tuple(outage.detail for outage in self._watch.renamed)

    def look(self) -> list[LinkOutage]:
        """What has changed, when it is time to look: is told, and joins of a link that is up again are reported."""
        now = self._clock()
        if now < self._due:
            return []
        self._due = now + INTERVAL_S
        found = self._watch.look(self._renewals if self._has_programs else None)
        for outage in found:
            self._log(Info(outage.detail) if outage.is_over else Error(outage.detail))
            if outage.needs_new_sockets and outage.is_over != (outage.cause == "xdp"):
                self._renewal_due, self._tries = now, 0  # a program does not come back by itself
                self._renewing.add(outage.interface)
            elif outage.is_over and self._report is not None:
                self._report_again(outage.interface, self._report)
        return found

    def _report_again(self, interface: str, report: Callable[[str], None]) -> None:
        try:
            report(interface)
        except HostError as error:
            self._log(str(error))

    @property
    def must_renew(self) -> bool:
        """Whether what was opened on an interface that is no more has to be opened anew, and can be.

        Another link without carrier keeps nobody from it: that may last for days.
        """
        if self._renewal_due is None or self._clock() < self._renewal_due:
            return False
        return not any(self._hinders(outage) for outage in self._watch.down)

    def _hinders(self, outage: LinkOutage) -> bool:
        if outage.cause == "xdp":  # where another one sits, ours cannot
            return not outage.needs_new_sockets
        return outage.cause == "gone" or outage.interface in self._renewing

    def renewed(self) -> None:
        """All is opened anew."""
        self._renewal_due = None
        self._renewing.clear()
        self._renewals += 1

    def handed_over(self) -> None:
        """Another XDP program of ours is in the place of the last, and packets came in all the while."""
        self._watch.handed_over()

    def failed(self) -> None:
        """It could not be: worth another try later, the later the more often it failed."""
        self._renewal_due = self._clock() + _RETRY_S[min(self._tries, len(_RETRY_S) - 1)]
        self._tries += 1


def links_of(settings: Settings, log: Callable[[str], None]) -> ServiceLinks | None:
    """Those of a ring; None where no network interface feeds it. Call it when all is opened."""
    kind = settings.source.effective_kind
    if kind not in _KINDS:
        return None
    report = report_again if settings.source.join != "none" else None
    has_programs = kind == "afxdp"
    watch = LinkWatch(interfaces(settings), opened=0 if has_programs else None)
    return ServiceLinks(watch, log, report, has_programs=has_programs)
