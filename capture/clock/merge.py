"""Puts together what several sources say of one clock: who knows best is believed, the others fill what it leaves open.

A clock that follows another of this host is as good as that one at best. The system clock behind a PHC: its offset is
the PHC's, and what lies between the two goes into its bound by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nanotape.capture.clock.observation import SYSTEM, Observation

_BELIEVED = ("phc2sys", "ts2phc", "ptp4l", "sfptpd", "chrony", "phc", "kernel")
_OF_THE_MASTER = (
    "offset_ns", "is_worst_of_many", "path_delay_ns", "grandmaster", "gm_class", "gm_accuracy_ns", "domain",
    "steps_removed", "has_master", "measured", "port_state", "interface", "is_hardware",
)  # fmt: skip
_STEERED_BY_ANOTHER = ("ts2phc", "phc2sys")
_PHC_REFERENCE = "PHC"
"""Begins the name of chronyd's reference clock of that kind, unless `refid` gives it another."""
_UNBOUNDED = "{0} follows a clock of which nobody says how far it is from UTC: can ptp4l's socket or log be read?"
_FILLED = ("utc_offset_s", "leap", "freq_ppb", "phc_sys_ns", "phc_sys_within_ns")


def merged(seen: Iterable[Observation]) -> dict[str, Observation]:
    """One observation of each clock that somebody has seen, by its name."""
    by_clock: dict[str, list[Observation]] = {}
    for each in seen:
        by_clock.setdefault(each.clock, []).append(each)
    found = {clock: _best(candidates) for clock, candidates in by_clock.items() if clock != SYSTEM}
    found |= _behind_another(found)
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


def _behind_another(phcs: Mapping[str, Observation]) -> dict[str, Observation]:
    """PHCs that ts2phc or phc2sys steer: by the one that ptp4l steers, as far as anybody can tell.

    Where ptp4l only compares a clock that ts2phc steers with its master, the pulse comes from outside.
    """
    following = {clock: each for clock, each in phcs.items() if each.source in _STEERED_BY_ANOTHER}
    root = _followed(each for each in phcs.values() if each.source == "ptp4l")
    if root is not None:
        return {clock: _chained(each, root) for clock, each in following.items()}
    return {clock: _unbounded(each) for clock, each in following.items() if each.source == "phc2sys"}


def _chained(follower: Observation, root: Observation) -> Observation:
    of_master = {name: getattr(root, name) for name in _OF_THE_MASTER if name not in ("measured", "interface")}
    of_both = {
        "offset_ns": _sum(follower.offset_ns, root.offset_ns),
        "is_worst_of_many": follower.is_worst_of_many or root.is_worst_of_many,
        "has_master": _and(follower.has_master, root.has_master),
    }
    return replace(follower, **of_master | of_both)


def _behind_a_phc(system: list[Observation], phcs: Iterable[Observation]) -> list[Observation]:
    """The system clock as its PHC shows it: what lies between the two measured here, else by phc2sys's own figure."""
    phc = _followed(phcs)
    follower = next((each for each in system if each.source == "phc2sys" or _follows_by_chrony(each)), None)
    if follower is not None:
        system.remove(follower)
        return [_behind(_without_bound(follower), phc)]
    if phc is None or phc.offset_ns is None or phc.phc_sys_ns is None:
        return []
    return [replace(phc, clock=SYSTEM, source="phc", method="phc", freq_ppb=None)]


def _follows_by_chrony(seen: Observation) -> bool:
    return seen.source == "chrony" and (seen.grandmaster or "").startswith(_PHC_REFERENCE)


def _without_bound(follower: Observation) -> Observation:
    """Chronyd's own is of the way to the PHC alone."""
    if follower.source != "chrony" or follower.offset_ns is None:
        return follower
    return replace(
        follower, phc_sys_ns=-follower.offset_ns, phc_sys_within_ns=follower.bound_ns, bound_ns=None, bound_of=None
    )


def _behind(follower: Observation, phc: Observation | None) -> Observation:
    distance_ns, within_ns = follower.phc_sys_ns, follower.phc_sys_within_ns
    if distance_ns is None and follower.offset_ns is not None:
        distance_ns = -follower.offset_ns
        if follower.is_worst_of_many:
            within_ns = 2 * abs(follower.offset_ns) + (within_ns or 0.0)
    if phc is None or distance_ns is None:
        return _unbounded(follower)
    of_master = {name: getattr(phc, name) for name in _OF_THE_MASTER}
    if phc.phc_sys_ns is not None:
        distance_ns, within_ns = phc.phc_sys_ns, phc.phc_sys_within_ns
    if follower.has_master is False:
        of_master["has_master"] = False
    return replace(follower, **of_master, phc_sys_ns=distance_ns, phc_sys_within_ns=within_ns)


def _unbounded(follower: Observation) -> Observation:
    """Locked to another clock, and unknown for all that: its offset is none from UTC."""
    return replace(follower, offset_ns=None, bound_ns=None, notes=(*follower.notes, _UNBOUNDED.format(follower.source)))


def _followed(phcs: Iterable[Observation]) -> Observation | None:
    """Of some PHCs the one that the others follow: of which somebody knows a master, ptp4l's first."""
    spoken_for = [each for each in phcs if each.source != "phc"]
    order = sorted(spoken_for, key=lambda each: (each.offset_ns is None, each.source != "ptp4l"))
    return order[0] if order else None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True
