"""Looks at all clocks of this host once, and says what came of it: samples, changes, and what an operator should know.

Whoever can be asked is a reader, which gives observations; one that fails is told of and asked again at the next look.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nanotape.capture.clock.host_time import STEP_NS, HostTime, StepWatch
from nanotape.capture.clock.merge import disagreements, merged
from nanotape.capture.clock.observation import SYSTEM, Observation
from nanotape.capture.clock.sample import Change, Sample
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.tracker import ClockTracker
from nanotape.capture.errors import CaptureError

Reader = Callable[[], Sequence[Observation]]
"""Asks one source about whatever clocks it knows of; nothing: it is not there."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """One clock, as `nanotape clock` shows it."""

    sample: Sample
    why: str
    """What the state rests on."""
    budget: Mapping[str, float] | None
    """Terms of the bound, in nanoseconds; None: there is no bound."""
    port_state: str | None
    leap: int | None
    is_disciplined: bool | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For the state file: the sample's fields stand among the others."""
        rest = {key: value for key, value in asdict(self).items() if key != "sample"}
        return {**asdict(self.sample), **rest}


@dataclass(frozen=True, slots=True)
class ClockLook:
    """All clocks in one second."""

    at_ns: int
    """UTC."""
    clocks: tuple[ClockFacts, ...]
    """The system clock first."""
    changes: tuple[Change, ...]
    findings: tuple[str, ...]
    """A line each on what is wrong, whichever clock it is about."""


class ClockWatch:
    """Of this host. One thread calls it."""

    def __init__(self, thresholds: Thresholds, readers: Mapping[str, Reader], host: HostTime | None = None) -> None:
        """Asks nobody yet.

        Args:
            thresholds: See there.
            readers: By the name that a failure is told with.
            host: None: the host's clocks.
        """
        self._thresholds, self._readers, self._host = thresholds, readers, host or HostTime()
        self._steps = StepWatch(self._host)
        self._trackers = {SYSTEM: ClockTracker(SYSTEM, thresholds)}
        self._disagreed: tuple[str, ...] = ()

    def look(self) -> ClockLook:
        """Asks everybody."""
        step_ns = self._steps.look()
        seen, failures = self._ask()
        at_ns, now = self._host.utc_ns(), self._host.monotonic_ns()
        changes = self._stepped(step_ns, at_ns)
        by_clock = merged(seen)
        for clock in by_clock:
            if clock not in self._trackers:
                self._trackers[clock] = ClockTracker(clock, self._thresholds)
        facts = []
        for clock, tracker in self._trackers.items():
            sample, told = tracker.look(by_clock.get(clock), at_ns, now)
            changes += told
            facts.append(_facts(tracker, sample, self._noted(by_clock.get(clock), sample)))
        disagreed = tuple(disagreements(seen))
        if disagreed != self._disagreed:
            self._disagreed = disagreed
            changes += [Change(at_ns, at_ns, SYSTEM, "utc_offset", "error", each) for each in disagreed]
        notes = dict.fromkeys(note for each in facts for note in each.notes)
        return ClockLook(at_ns, tuple(facts), tuple(changes), (*disagreed, *notes, *failures))

    @property
    def episodes(self) -> list[Change]:
        """The times without a lock that go on."""
        return [each.episode for each in self._trackers.values() if each.episode is not None]

    def end(self) -> list[Change]:
        """Nobody will look any more."""
        at_ns = self._host.utc_ns()
        return [change for tracker in self._trackers.values() for change in tracker.end(at_ns)]

    def _ask(self) -> tuple[list[Observation], list[str]]:
        seen: list[Observation] = []
        failures = []
        for name, reader in self._readers.items():
            try:
                seen += reader()
            except (CaptureError, OSError, ValueError) as error:
                failures.append(f"{name}: cannot be asked: {error}")
        return seen, failures

    def _noted(self, seen: Observation | None, sample: Sample) -> Observation | None:
        """With a word on why there is no bound, where the configuration could mend it."""
        if seen is None or not seen.has_master or seen.offset_ns is None or sample.error_ns is not None:
            return seen
        if seen.gm_accuracy_ns is not None or self._thresholds.gm_accuracy_ns is not None:
            return seen
        note = (
            f"{seen.clock}: its bound is unknown, for its source announces no accuracy: set clock.grandmaster_accuracy"
        )
        return replace(seen, notes=(*seen.notes, note))

    def _stepped(self, step_ns: int | None, at_ns: int) -> list[Change]:
        if step_ns is None:
            return []
        tracker = self._trackers[SYSTEM]
        leap = tracker.last.leap if tracker.last is not None else None
        if (
            leap and abs(step_ns + leap * 10**9) <= STEP_NS
        ):  # announced: UTC itself has gone back, and the clock with it
            detail = f"{SYSTEM}: a leap second was {'inserted' if leap > 0 else 'left out'}"
            return [Change(at_ns, at_ns, SYSTEM, "leap", "warning", detail)]
        tracker.stepped(step_ns)
        detail = f"{SYSTEM}: stepped by {step_ns / 1e9:+.9f} s"
        return [Change(at_ns, at_ns, SYSTEM, "step", "error", detail)]


def _facts(tracker: ClockTracker, sample: Sample, seen: Observation | None) -> ClockFacts:
    return ClockFacts(
        sample=sample,
        why=tracker.why,
        budget=None if tracker.budget is None else asdict(tracker.budget),
        port_state=seen.port_state if seen else None,
        leap=seen.leap if seen else None,
        is_disciplined=seen.is_disciplined if seen else None,
        notes=seen.notes if seen else (),
    )
