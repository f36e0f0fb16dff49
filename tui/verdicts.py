"""Three answers in words: are we losing data, is the clock good, is the disk keeping up?

Pure, from a picture. A severity None is: nobody can say.
"""

from dataclasses import dataclass

from nanotape.capture.finding import Severity
from nanotape.capture.findings import is_behind, space_rule
from nanotape.capture.health import ReaderHealth
from nanotape.capture.recorder_findings import stands_still
from nanotape.tui import words
from nanotape.tui.picture import Picture
from nanotape.tui.style import WORST_FIRST


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer."""

    name: str
    """LOSS, CLOCK or DISK."""
    severity: Severity | None
    said: str


def verdicts(picture: Picture) -> tuple[Verdict, Verdict, Verdict]:
    """All three."""
    return _loss(picture), _clock(picture), _disk(picture)


def _loss(picture: Picture) -> Verdict:
    name, rings = "LOSS", picture.rings
    if not rings:
        return Verdict(name, None, "nothing to watch" if not picture.unreadable else "no ring can be read")
    stopped = [ring.name for ring in rings if not ring.health.capturing and not ring.health.reads_files]
    stopped += picture.absent
    if stopped:
        return Verdict(name, Severity.ERROR, f"NOT CAPTURING {', '.join(stopped)}")
    now = sum(sum(ring.health.lost_now.values()) for ring in rings)
    now += sum(each.lost_now + each.write_failures_now for each in _recorders(picture))
    if now:
        return Verdict(name, Severity.ERROR, f"LOSING {words.short(now)} packets in {_interval_s(picture):.1f} s")
    minute = sum(sum(ring.lost_minute.values()) for ring in rings)
    if minute:
        return Verdict(name, Severity.WARNING, f"none now, {words.short(minute)} in the last minute")
    since = sum(sum(ring.health.lost.values()) for ring in rings) + sum(each.lost for each in _recorders(picture))
    if not any(ring.health.is_compared for ring in rings):
        return Verdict(name, None, "not known yet")
    if since:
        return Verdict(name, Severity.WARNING, f"none now, {words.short(since)} since the start")
    if picture.unreadable:
        return Verdict(name, None, f"none seen, {', '.join(each.name for each in picture.unreadable)} cannot be read")
    return Verdict(name, Severity.OK, "none")


def _interval_s(picture: Picture) -> float:
    return max(ring.health.interval_s for ring in picture.rings)


def _clock(picture: Picture) -> Verdict:
    name, clock = "CLOCK", picture.clock
    if clock is None:
        return Verdict(name, None, "no clock service tells")
    loose = [each for each in clock.clocks if each["state"] != "locked"]
    shown = loose[0] if loose else clock.system
    error_ns = shown["error_ns"]
    bound = "error unknown" if error_ns is None else f"within {words.nanoseconds(error_ns)}"
    if loose:
        return Verdict(name, Severity.WARNING, f"{shown['clock']} {str(shown['state']).upper()}, {bound}")
    return Verdict(name, Severity.WARNING if clock.findings else Severity.OK, f"locked, {bound}")


def _disk(picture: Picture) -> Verdict:
    name, recorders = "DISK", _recorders(picture)
    spaces = [ring.health.space for ring in picture.rings if ring.health.space]
    room = f"{words.size(min(space.free_bytes for space in spaces))} free" if spaces else "room unknown"
    if not picture.rings and picture.unreadable:
        return Verdict(name, None, "no ring can be read")
    if not recorders:
        return Verdict(name, None, f"nobody records, {room}")
    if is_behind(recorders):
        return Verdict(name, Severity.ERROR, f"{_why_behind(recorders)}, {room}")
    found = [severity for ring in picture.rings for severity, _, _ in space_rule(ring.health)]
    severity = min(found, key=WORST_FIRST.index, default=Severity.OK)
    said = "keeps up" if severity is Severity.OK else "FILLS UP"
    without = [ring.name for ring in picture.rings if not ring.health.recorders and not ring.health.reads_files]
    if without:
        severity = min(severity, Severity.WARNING, key=WORST_FIRST.index)
        said += f", nobody records {', '.join(without)}"
    return Verdict(name, severity, f"{said}, {room}")


def _why_behind(recorders: list[ReaderHealth]) -> str:
    if any(not each.alive for each in recorders):
        return "RECORDER DIED"
    return "RECORDER STANDS STILL" if any(map(stands_still, recorders)) else "DOES NOT KEEP UP"


def _recorders(picture: Picture) -> list[ReaderHealth]:
    return [recorder for ring in picture.rings for recorder in ring.health.recorders]
