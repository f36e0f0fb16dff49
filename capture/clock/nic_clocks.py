"""The clocks of the NICs that packets come from: in which domain each runs, and what the NIC stamps. Sets nothing.

The domain is measured at start and once a minute; how far a PHC is from the system's clock, at each look.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nanotape.capture.clock.hwtstamp import HwtstampConfig, read_hwtstamp
from nanotape.capture.clock.observation import SYSTEM, Observation
from nanotape.capture.clock.phc import Phc, PhcReading, StampAbility, stamp_ability
from nanotape.capture.clock.phc_domain import NEAR_NS, OffsetKnowledge, PhcDomainWatch, PhcVerdict
from nanotape.capture.clock.sample import Change
from nanotape.capture.clock.watch import ClockFacts, ClockLook
from nanotape.capture.errors import CaptureError

DOMAIN_NS = 60 * 10**9
"""Between two measurements of a domain."""
_TOLD = {"utc": "reads UTC", "tai": "reads TAI", "free": "runs free", "unknown": "reads nobody knows what"}


class OpenPhc(Protocol):
    """What is needed of `Phc`."""

    def compare(self) -> PhcReading:
        """Reads it and the system's clock."""

    def close(self) -> None:
        """Closes it."""


@dataclass(frozen=True, slots=True)
class NicAccess:
    """How interfaces and their clocks are asked; a test has others."""

    ability: Callable[[str], StampAbility] = stamp_ability
    hwtstamp: Callable[[str], HwtstampConfig] = read_hwtstamp
    open: Callable[[str], OpenPhc] = Phc


class NicClockWatch:
    """Of some interfaces."""

    def __init__(
        self,
        interfaces: Sequence[str],
        listed_s: Callable[[int], int | None] = lambda _: None,
        access: NicAccess | None = None,
    ) -> None:
        """Asks each what it can do.

        Args:
            interfaces: Their names.
            listed_s: TAI minus UTC at a moment, by the list of leap seconds.
            access: None: the kernel's.
        """
        self._access = access or NicAccess()
        self._listed_s = listed_s
        self._nics = [_Nic(name, self._access) for name in interfaces]
        self._domains: dict[str, PhcDomainWatch] = {}
        self._due_ns = 0

    def read(self) -> Sequence[Observation]:
        """Each PHC as it is now; one that several interfaces share once."""
        seen = {}
        for nic in self._nics:
            reading = nic.read()
            if reading is not None and nic.phc is not None:
                verdict = self.verdict(nic.phc)
                seen[nic.phc] = _observation(nic, reading, verdict)
        return list(seen.values())

    def verdict(self, phc: str) -> PhcVerdict | None:
        """Its domain, as measured last; None: it was not yet."""
        watch = self._domains.get(phc)
        return watch.verdict if watch else None

    def look(self, look: ClockLook) -> Sequence[Change]:
        """Measures domains anew when it is time to, and reads what each NIC stamps; what has changed.

        Args:
            look: At all clocks, for what is known of the UTC offset.
        """
        # Not while it is a minute: a system clock that was set back must not keep us from looking.
        if self._due_ns - DOMAIN_NS <= look.at_ns < self._due_ns and not any(map(self._has_left, self._nics)):
            return []
        self._due_ns = look.at_ns + DOMAIN_NS
        changes = []
        for nic in self._nics:
            nic.ask()
            changes += [("hwtstamp", nic.name, each) for each in nic.look_at_stamping()]
            if nic.phc is not None:
                told = self._measure(nic, _known(look, nic.phc, self._listed_s(look.at_ns)))
                changes += [("timescale", nic.phc, told)] if told else []
        return [
            Change(look.at_ns, look.at_ns, name, what, "warning", detail)  # type: ignore[arg-type]
            for what, name, detail in changes
        ]

    def _has_left(self, nic: "_Nic") -> bool:
        """Whether it is not any more where its domain would have it: a leap second, or somebody has set a clock.

        So too of one that can be read again.
        """
        watch = self._domains.get(nic.phc) if nic.phc is not None else None
        if watch is None or nic.reading is None:
            return False
        verdict = watch.verdict
        if verdict.domain not in ("utc", "tai"):
            return not watch.was_read
        return abs(nic.reading.phc_sys_ns - (verdict.utc_offset_s or 0) * 10**9) > NEAR_NS

    def _measure(self, nic: "_Nic", known: OffsetKnowledge) -> str | None:
        assert nic.phc is not None  # noqa: S101 - the caller has looked
        watch = self._domains.setdefault(nic.phc, PhcDomainWatch(nic.phc))
        if nic.reading is None:
            return watch.fail(nic.failure or "it was not read yet")
        return watch.look(nic.reading, known)

    @property
    def findings(self) -> Sequence[str]:
        """What is wrong, a line each."""
        notes = [f"{name}: {note}" for name, watch in self._domains.items() for note in watch.verdict.notes]
        return [*dict.fromkeys([*notes, *(nic.failure for nic in self._nics if nic.failure)])]

    def as_json(self) -> Sequence[Mapping[str, Any]]:
        """For the state file, one an interface."""
        return [nic.as_json(self.verdict(nic.phc) if nic.phc else None) for nic in self._nics]


class _Nic:
    """One interface."""

    def __init__(self, name: str, access: NicAccess) -> None:
        self.name, self._access = name, access
        self.phc: str | None = None
        self.failure: str | None = None
        self.reading: PhcReading | None = None
        self._open: OpenPhc | None = None
        self._ability: StampAbility | None = None
        self._hwtstamp: HwtstampConfig | None = None
        self.ask()

    def ask(self) -> None:
        """Which clock it has: another one after its driver was loaded anew, or none before."""
        phc, failure = None, None
        try:
            self._ability = self._access.ability(self.name)
            phc = self._ability.phc
        except CaptureError as error:
            failure = str(error)
        if phc is None or phc != self.phc:
            self._close()
            self.phc, self.reading, self.failure = phc, None, failure

    def read(self) -> PhcReading | None:
        if self.phc is None:
            return None
        try:
            if self._open is None:
                self._open = self._access.open(self.phc)
            self.reading, self.failure = self._open.compare(), None
        except CaptureError as error:
            self.reading, self.failure = None, str(error)
            self._close()
        return self.reading

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def look_at_stamping(self) -> list[str]:
        was, self._hwtstamp = self._hwtstamp, self._access.hwtstamp(self.name)
        if was is None or was == self._hwtstamp:
            return []
        return [f"{self._hwtstamp.line()}; it was rx {was.rx_filter}, tx {was.tx_type}: somebody has set it"]

    def as_json(self, verdict: PhcVerdict | None) -> dict[str, Any]:
        config = self._hwtstamp
        return {
            "interface": self.name,
            "phc": self.phc,
            "domain": None if verdict is None else verdict.domain,
            "reason": None if verdict is None else verdict.reason,
            "utc_offset_s": None if verdict is None else verdict.utc_offset_s,
            "utc_offset_source": None if verdict is None else verdict.utc_offset_source,
            "rx_filter": None if config is None else config.rx_filter,
            "tx_type": None if config is None else config.tx_type,
            "so_timestamping": None if self._ability is None else list(self._ability.so_timestamping),
            "words": self._words(verdict),
        }

    def _words(self, verdict: PhcVerdict | None) -> str:
        clock = "no clock of its own" if self._ability else "nothing known of its clock"
        if self.phc is not None:
            clock = f"{self.phc} {_TOLD['unknown' if verdict is None else verdict.domain]}"
            clock += f" ({verdict.reason})" if verdict else ""
        if self._hwtstamp is None:
            return clock
        return f"{clock}; {self._hwtstamp.line().removeprefix(f'{self.name}: ')}"


def _observation(nic: _Nic, reading: PhcReading, verdict: PhcVerdict | None) -> Observation:
    """The distance counts only where the domain is known; seconds of TAI are no error."""
    known = verdict is not None and verdict.domain in ("utc", "tai")
    offset_ns = (verdict.utc_offset_s or 0) * 10**9 if verdict else 0
    return Observation(
        clock=nic.phc or "",
        at_ns=reading.at_ns,
        interface=nic.name,
        source="phc",
        method="phc",
        phc_sys_ns=float(reading.phc_sys_ns - offset_ns) if known else None,
        phc_sys_within_ns=float(reading.uncertainty_ns) if known else None,
    )


def _known(look: ClockLook, phc: str, listed_s: int | None) -> OffsetKnowledge:
    by_clock = {each.sample.clock: each for each in look.clocks}
    own, system = by_clock.get(phc), by_clock[SYSTEM]
    ptp = [each.sample for each in (own, system) if each and each.sample.utc_offset_source == "ptp"]
    kernel = system.sample if system.sample.utc_offset_source == "kernel" else None
    return OffsetKnowledge(
        ptp_s=ptp[0].utc_offset_s if ptp else None,
        kernel_s=kernel.utc_offset_s if kernel else None,
        listed_s=listed_s,
        system_is_synchronised=_is_synchronised(system),
        expected=_expected(own),
    )


def _is_synchronised(system: ClockFacts) -> bool | None:
    return True if system.sample.state in ("locked", "holdover") else system.is_disciplined


def _expected(own: ClockFacts | None) -> Any:
    source = own.sample.source if own else None
    return {"ptp4l": "tai", "ts2phc": "tai", "sfptpd": "utc"}.get(source or "")
