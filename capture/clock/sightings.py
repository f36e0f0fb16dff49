"""What is told of a clock's master when it changes: grandmaster, UTC offset, leap second, domain, source."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.sample import Change, Severity, What

_LEAPS = {
    -1: "a second is to be left out at the end of the UTC day",
    0: "none",
    1: "a second is to be inserted at the end of the UTC day",
}


@dataclass(frozen=True, slots=True)
class _Fact:
    """One that an observation may carry."""

    what: What
    severity: Severity
    of: Callable[[Observation], object | None]
    words: Callable[[object, object], str]


_FACTS = (
    _Fact(
        "grandmaster", "warning", lambda seen: seen.grandmaster if seen.has_master is not False else None,
        lambda was, now: f"grandmaster {was} -> {now}",
    ),
    _Fact("utc_offset", "warning", lambda seen: seen.utc_offset_s, lambda was, now: f"TAI-UTC {was} s -> {now} s"),
    _Fact("leap", "warning", lambda seen: seen.leap, lambda _, now: f"leap second: {_LEAPS.get(now, now)}"),  # type: ignore[call-overload]
    _Fact("domain", "warning", lambda seen: seen.domain, lambda was, now: f"PTP domain {was} -> {now}"),
    _Fact("source", "info", lambda seen: seen.source, lambda was, now: f"disciplined by {was} -> {now}"),
)  # fmt: skip


@dataclass(slots=True)
class Sightings:
    """Of one clock."""

    clock: str
    _known: dict[str, object] = field(default_factory=dict)
    _has_master: bool | None = None

    def look(self, seen: Observation, at_ns: int) -> list[Change]:
        """What is another than it was when it was last known."""
        changes = []
        for fact in _FACTS:
            now, was = fact.of(seen), self._known.get(fact.what)
            if now is None or now == was:
                continue
            self._known[fact.what] = now
            if was is not None or (fact.what == "leap" and now != 0):
                changes.append(self._change(fact.what, fact.severity, fact.words(was, now), at_ns))
        return changes + self._master(seen, at_ns)

    def _master(self, seen: Observation, at_ns: int) -> list[Change]:
        was, now = self._has_master, seen.has_master
        if now is None or now == was:
            return []
        self._has_master = now
        if was is None and now:
            return []
        name = f" {seen.grandmaster}" if seen.grandmaster else ""
        note = next((each for each in seen.notes if "no master" in each), "no master is heard")
        return [self._change("master", "info" if now else "warning", f"master heard{name}" if now else note, at_ns)]

    def _change(self, what: What, severity: Severity, detail: str, at_ns: int) -> Change:
        return Change(at_ns, at_ns, self.clock, what, severity, f"{self.clock}: {detail}")
