"""The state of one clock, made of what is seen of it: unknown, free-running, acquiring, locked or holdover.

Pure: moments are handed in. linuxptp's own port state does not decide: a `free_running` ptp4l never says SLAVE, and a
dead master's last offset stands for seconds.
"""

from dataclasses import replace

from nanotape.capture.clock.error_bound import ErrorBound, ErrorBudget
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.sample import Change, Sample, State
from nanotape.capture.clock.sightings import Sightings
from nanotape.capture.clock.thresholds import Thresholds

_LOCKED: State = "locked"


class ClockTracker:
    """Of one clock. Call `look` once for each look, also where nothing was seen."""

    def __init__(self, clock: str, thresholds: Thresholds) -> None:
        """Knows nothing yet."""
        self.clock, self._thresholds = clock, thresholds
        self.state: State = "unknown"
        self.why = "nobody is known to discipline it"
        """What the state rests on, in words."""
        self.budget: ErrorBudget | None = None
        """What the bound is made of; None: there is none."""
        self.episode: Change | None = None
        """The time without a lock that goes on; None: it is locked."""
        self.last: Observation | None = None
        """What was seen last."""
        self._bound = ErrorBound(thresholds.asymmetry_ns, thresholds.holdover_drift_ppb, thresholds.gm_accuracy_ns)
        self._sightings = Sightings(clock)
        self._marks: dict[tuple[str | None, str | None], int] = {}  # of the last measurement, by source and method
        self._heard_at: int | None = None  # monotonic: the last look that found a measurement or a living master
        self._followed: Observation | None = None  # who was heard last
        self._kernel_bound_ns: float | None = None
        self._disowned: int | None = None  # mark of what a source's bound rested on when the clock was stepped
        self._within_since: int | None = None
        self._trusted: tuple[int, ErrorBudget] | None = None  # monotonic: the last measurement while it was locked
        self._step_ns: int | None = None
        self._has_looked = False

    def stepped(self, step_ns: int) -> None:
        """The clock was set: what was measured before says nothing about it from the next look on.

        Args:
            step_ns: By how much; positive: forward.
        """
        self._step_ns = step_ns

    def look(self, seen: Observation | None, at_ns: int, monotonic_ns: int) -> tuple[Sample, list[Change]]:
        """Takes a look in.

        Args:
            seen: None: nobody could be asked about this clock.
            at_ns: UTC.
            monotonic_ns: Of a clock that nobody sets.
        """
        changes = self._sightings.look(seen, at_ns) if seen is not None else []
        before = self.state
        if self._step_ns is not None:
            # By the time that the clock had until then: a time that ends before it began would be none.
            changes += self._end_episode(at_ns - self._step_ns)
            self._begin_anew()
        heard = self._is_heard(seen, monotonic_ns)
        if seen is not None and heard:
            self._follow(self._followed_by(seen), monotonic_ns)
        else:
            self._miss(seen, monotonic_ns)
        self.last = seen or self.last
        changes += self._transition(before, at_ns)
        self._has_looked = True
        return self._sample(seen, at_ns), changes

    def end(self, at_ns: int) -> list[Change]:
        """Nobody will look any more: what goes on ends here, as far as anybody knows."""
        return self._end_episode(at_ns)

    def _is_heard(self, seen: Observation | None, now: int) -> bool:
        """Whether there is a master, and it has been measured lately."""
        if seen is None or seen.has_master is False:
            return False
        if seen.offset_ns is None and (seen.is_disciplined is None or _has_measured_nothing(seen)):
            return False
        if seen.source == "kernel" and not self._is_kernel_believed(seen):
            return False
        if self._is_new(seen):
            self._heard_at = now
            return True
        return self._heard_at is not None and now - self._heard_at < self._thresholds.master_timeout_ns

    def _is_new(self, seen: Observation) -> bool:
        """Whether it was measured since the last look. Of who is asked first beside others nobody knows."""
        if seen.measured is None:
            return True
        asked = seen.source, seen.method
        was = self._marks.get(asked)
        is_only = not self._marks
        self._marks[asked] = seen.measured
        return is_only if was is None else was != seen.measured

    def _is_kernel_believed(self, seen: Observation) -> bool:
        """Its word outlives whoever it had it from by hours; a bound that fell is a new word."""
        was, self._kernel_bound_ns = self._kernel_bound_ns, seen.bound_ns
        has_fallen = was is not None and seen.bound_ns is not None and seen.bound_ns < was
        return self._followed is None or self._followed.source == "kernel" or has_fallen

    def _followed_by(self, seen: Observation) -> Observation:
        """With what is known of its master from before; of another one nothing that was measured says anything."""
        before, self._followed = self._followed, seen
        if seen.source != "kernel":
            self._kernel_bound_ns = None  # what it said before that is no word of now to hold the next one against
        if before is None:
            return seen
        if _follows_another(before, seen):
            self._bound.forget()
            self._trusted = None
        elif seen.grandmaster is None or seen.method == "log":  # which tells less of it than pmc does
            self._followed = replace(
                seen, grandmaster=before.grandmaster, gm_accuracy_ns=seen.gm_accuracy_ns or before.gm_accuracy_ns
            )
        return self._followed

    def _begin_anew(self) -> None:
        self._step_ns = None
        self._disowned = self.last.bound_of if self.last is not None else None
        self._bound.forget()
        self._trusted = self._within_since = None
        if self.state in (_LOCKED, "holdover"):
            self.state = "acquiring"

    def _follow(self, seen: Observation, now: int) -> None:
        source = seen.source or "its source"
        if seen.offset_ns is None and not seen.is_disciplined:
            self.state, self.budget, self._within_since, self._trusted = "free-running", None, None, None
            self.why = f"{source} says that nobody disciplines it"
            return
        if self._is_disowned(seen):
            self.state, self.budget, self._within_since = "acquiring", None, None
            self.why = f"the clock was set, and {source} has not measured it since"
            return
        self.budget = self._bound.measured(seen, now) if self._heard_at == now else self._bound.awaited(now)
        if seen.offset_ns is None:
            self.why = f"{source} says that it is disciplined"
            self._settle(seen, now, is_within=True, is_beyond=False)
            return
        offset, limit = abs(seen.offset_ns), self._thresholds.within_ns(seen)
        self.why = f"{source} measures an offset of {seen.offset_ns:+,.0f} ns; locked within {limit:,} ns"
        self._settle(seen, now, is_within=offset <= limit, is_beyond=offset > self._thresholds.beyond_ns(seen))

    def _is_disowned(self, seen: Observation) -> bool:
        """Whether its bound rests on what was measured before a step: who did not set the clock knows nothing of it."""
        if self._disowned is not None and seen.bound_of != self._disowned:
            self._disowned = None
        return self._disowned is not None

    def _settle(self, seen: Observation, now: int, *, is_within: bool, is_beyond: bool) -> None:
        if not is_within:
            self._within_since = None
        elif self._within_since is None:
            self._within_since = now
        since = self._within_since
        # What was disciplined before anybody looked has been within for long.
        was_before = not self._has_looked and seen.is_disciplined is True
        steady = since is not None and (was_before or now - since >= self._thresholds.locked_after_ns)
        if not steady and (self.state != _LOCKED or is_beyond):
            self.state = "acquiring"
            return
        self.state = _LOCKED
        if self.budget is not None and self._heard_at is not None:
            self._trusted = self._heard_at, self.budget.drifted(0.0)

    def _miss(self, seen: Observation | None, now: int) -> None:
        """No master: as good as it was, and the worse the longer that was ago."""
        self._within_since = None
        self.why = _missed(seen)
        if self.state in (_LOCKED, "holdover") and self._trusted is not None:
            since, budget = self._trusted
            if now - since <= self._thresholds.holdover_limit_ns:
                self.state = "holdover"
                self.budget = budget.drifted(self._thresholds.holdover_drift_ppb * (now - since) / 1e9)
                if seen is not None and seen.bound_ns is not None and seen.bound_ns > budget.source:
                    self.budget = replace(self.budget, source=seen.bound_ns)  # it knows of more than a drift
                return
            self.why += f"; longer than holdover_limit, {self._thresholds.holdover_limit_ns / 1e9:g} s"
        self.state = "unknown" if seen is None else "free-running"
        self.budget = self._trusted = None
        self._bound.forget()

    def _transition(self, before: State, at_ns: int) -> list[Change]:
        changes = []
        if before != self.state and self._has_looked:
            detail = f"{self.clock}: {before} -> {self.state}: {self.why}"
            changes.append(Change(at_ns, at_ns, self.clock, "state", "info", detail))
        if self.state == _LOCKED:
            changes += self._end_episode(at_ns)
        elif self.episode is None or (before != self.state and self._is_worse()):
            changes += self._end_episode(at_ns)
            severity = "warning" if self.state in ("holdover", "acquiring") else "error"
            detail = f"{self.clock}: not locked but {self.state}: {self.why}"
            self.episode = Change(at_ns, None, self.clock, "state", severity, detail)  # type: ignore[arg-type]
            changes.append(self.episode)
        return changes

    def _is_worse(self) -> bool:
        return self.episode is not None and self.episode.severity == "warning" and self.state in _BAD

    def _end_episode(self, at_ns: int) -> list[Change]:
        if self.episode is None:
            return []
        episode, self.episode = self.episode, None
        return [Change(episode.at_ns, at_ns, episode.clock, episode.what, episode.severity, episode.detail)]

    def _sample(self, seen: Observation | None, at_ns: int) -> Sample:
        holds = self.state == "holdover"
        known = seen or Observation(self.clock, at_ns)
        measured = known if not holds and self.state != "unknown" else Observation(self.clock, at_ns)
        return Sample(
            at_ns=at_ns,
            clock=self.clock,
            interface=known.interface,
            state=self.state,
            source=known.source,
            offset_ns=_whole(measured.offset_ns if known.has_master is not False else None),
            path_delay_ns=_whole(measured.path_delay_ns if known.has_master is not False else None),
            phc_sys_ns=_whole(known.phc_sys_ns),
            freq_ppb=known.freq_ppb,
            grandmaster=measured.grandmaster,
            gm_class=measured.gm_class,
            domain=known.domain,
            steps_removed=measured.steps_removed,
            utc_offset_s=known.utc_offset_s,
            utc_offset_source=known.utc_offset_source,
            error_ns=None if self.budget is None else self.budget.total_ns,
            method=known.method,
            growth_ppb=self._thresholds.holdover_drift_ppb if self.budget is not None and self.budget.holdover else 0,
        )


_BAD = ("free-running", "unknown")


def _follows_another(before: Observation, seen: Observation) -> bool:
    """Offsets from another master, or measured by another, have no spread in common with those before."""
    masters = {each for each in (before.grandmaster, seen.grandmaster) if each is not None}
    return len(masters) > 1 or before.source != seen.source


def _has_measured_nothing(seen: Observation) -> bool:
    return seen.offset_ns is None and seen.has_master is True and seen.is_disciplined is False


def _missed(seen: Observation | None) -> str:
    if seen is None:
        return "nobody could be asked"
    if seen.has_master is False:
        return next((note for note in seen.notes if "no master" in note), f"{seen.source or 'nobody'} hears no master")
    if _has_measured_nothing(seen):
        return f"{seen.source or 'its source'} hears a master, and has measured nothing yet"
    if seen.offset_ns is None:
        return "nobody is known to discipline it"
    return f"{seen.source or 'its source'} has measured nothing lately"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
