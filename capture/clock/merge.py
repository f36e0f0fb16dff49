"""Puts together what several sources say of one clock: who knows best is believed, the others fill what it leaves open.

The system clock behind a PHC: its offset is the PHC's, and what lies between the two goes into its bound by itself.
"""

from collections.abc import Iterable
from dataclasses import replace

from nanotape.capture.clock.observation import SYSTEM, Observation

_BELIEVED = ("phc2sys", "ts2phc", "ptp4l", "sfptpd", "chrony", "phc", "kernel")
_OF_THE_MASTER = (
    "offset_ns", "path_delay_ns", "grandmaster", "gm_class", "gm_accuracy_ns", "domain", "steps_removed", "has_master",
    "measured", "port_state", "interface", "is_hardware",
)  # fmt: skip
_FILLED = ("utc_offset_s", "leap", "freq_ppb", "phc_sys_ns")


def merged(seen: Iterable[Observation]) -> dict[str, Observation]:
    """One observation of each clock that somebody has seen, by its name."""
    by_clock: dict[str, list[Observation]] = {}
    for each in seen:
        by_clock.setdefault(each.clock, []).append(each)
    found = {clock: _best(candidates) for clock, candidates in by_clock.items() if clock != SYSTEM}
    system = by_clock.get(SYSTEM, [])
    behind = _behind_a_phc(system, found.values())
    if system or behind:
        found[SYSTEM] = _best([*system, *behind])
    return found


def disagreements(seen: Iterable[Observation]) -> list[str]:
    """Lines on sources that cannot all be right about TAI minus UTC."""
    told = {(each.utc_offset_source or each.source or "?", each.utc_offset_s) for each in seen if each.utc_offset_s}
    if len({offset for _, offset in told}) < 2:
        return []
    words = ", ".join(f"{offset} s by {source}" for source, offset in sorted(told))
    return [
        f"TAI-UTC: expected one figure, found {words}: mend the one that is wrong, or stamps are off by whole seconds"
    ]


def _best(candidates: list[Observation]) -> Observation:
    """The most believed, with what only others know. A source that hears nobody yields to one that does."""
    someone_hears = any(each.has_master or (each.is_disciplined and each.bound_ns is not None) for each in candidates)
    order = sorted(candidates, key=lambda each: (someone_hears and each.has_master is False, _rank(each)))
    best = order[0]
    for other in order[1:]:
        missing = {name: getattr(other, name) for name in _FILLED if getattr(best, name) is None}
        if missing.get("utc_offset_s") is not None:
            missing["utc_offset_source"] = other.utc_offset_source
        best = replace(best, **missing)
    notes = dict.fromkeys(note for each in order for note in each.notes)
    return replace(best, notes=tuple(notes))


def _rank(seen: Observation) -> int:
    return _BELIEVED.index(seen.source) if seen.source in _BELIEVED else len(_BELIEVED)


def _behind_a_phc(system: list[Observation], phcs: Iterable[Observation]) -> list[Observation]:
    """The system clock as its PHC shows it: by phc2sys's own figure, else by the one that was measured here."""
    phc = next((each for each in phcs if each.offset_ns is not None), None)
    follower = next((each for each in system if each.source == "phc2sys"), None)
    if phc is None:
        return []
    of_master = {name: getattr(phc, name) for name in _OF_THE_MASTER}
    if follower is not None:
        system.remove(follower)
        return [replace(follower, **of_master)]
    if phc.phc_sys_ns is None:
        return []
    return [replace(phc, clock=SYSTEM, source="phc", method="phc", freq_ppb=None)]
