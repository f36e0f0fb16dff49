"""What is wrong with the recorders of a ring: one line each, pure, from the figures of `health.py`."""

from nanotape.capture.finding import Rule, Severity
from nanotape.capture.health import ReaderHealth, RingHealth

LAG_WARNING, LAG_ERROR = 0.5, 0.9
"""A recorder's lag, as shares of the ring."""
SILENT_S, STUCK_AFTER_S = 1.0, 5.0
"""A recorder tells of itself many times a second; after the second time it hangs, after the first where it has no more
than the next to lose."""
LAPPED_SOON_S = 10.0
"""A recorder that stands still and is lapped within this time is an error at once."""
HOLDS_WARNING_S = 2.0
"""Warn when a recorder that stops has no more time than this, which its successor needs to begin (docs/restarts.md)."""


def recording(health: RingHealth) -> Rule:
    """Nobody records, or who does dies, hangs, falls behind, or has no time to stop for."""
    if not health.recorders and not (health.reads_files and not health.writer_alive):
        do = f"start one: nanotape record --ring {health.name}"
        yield Severity.WARNING, "nobody writes to disk: no recorder reads this ring", do
    for recorder in health.recorders:
        yield from _recorder(recorder, health)


def _recorder(recorder: ReaderHealth, health: RingHealth) -> Rule:
    name = f"{recorder.name} (process {recorder.pid})"
    again = "nanotape run restarts it; else start it again: nanotape record goes on where it was; was it given up for "
    again += f"good, remove its {recorder.name}.status from the ring's readers in paths.run_dir"
    if not recorder.alive:
        yield Severity.ERROR, f"not recording: {name} died{_lapped_at_rest(recorder)}", again
    elif not recorder.current:
        yield Severity.WARNING, f"not recording yet: {name} still reads an earlier ring of this name", ""
    elif stands_still(recorder):
        what = f"not recording: {name} has not moved for {recorder.silent_s:.0f} s{_lapped_at_rest(recorder)}"
        yield Severity.ERROR, what, "see whether it is stopped (SIGCONT), or its disk hangs"
    elif recorder.holds_s is not None and recorder.holds_s < HOLDS_WARNING_S:
        what = f"{name} is lapped {recorder.holds_s:.1f} s after it stops, and it takes a second to start anew"
        yield Severity.WARNING, what, "make the ring larger (ring.hold)"
    if recorder.lost_now or recorder.write_failures_now:
        what = f"losing packets behind the ring: {name} was lapped over {recorder.lost_now:,} and failed to write "
        what += f"{recorder.write_failures_now:,} in {health.interval_s:.1f} s"
        yield Severity.ERROR, what, _faster(recorder)
    elif recorder.lost or recorder.write_failures:
        what = f"{name} was lapped over {recorder.lost:,} packets and failed to write {recorder.write_failures or 0:,} "
        yield Severity.WARNING, f"{what}since it began, none now", _faster(recorder)
    if recorder.lag_share is not None and recorder.lag_share > LAG_WARNING:
        severity = Severity.ERROR if recorder.lag_share > LAG_ERROR else Severity.WARNING
        yield severity, f"{name} is {recorder.lag_share:.0%} of the ring behind{_lapped(recorder)}", _faster(recorder)


def stands_still(recorder: ReaderHealth) -> bool:
    """Whether one that lives has not moved for too long."""
    return recorder.silent_s is not None and (recorder.silent_s > STUCK_AFTER_S or _is_short(recorder))


def _faster(recorder: ReaderHealth) -> str:
    if recorder.write_failures_now:
        return "make room on the archive's disk, or see why it cannot be written"
    return 'give it a faster disk or a core, set recorder.compression = "lz4", or make the ring larger (ring.hold)'


def _lapped(reader: ReaderHealth) -> str:
    return "" if reader.lapped_in_s is None else f", lapped in {reader.lapped_in_s:.0f} s at this rate"


def _is_short(recorder: ReaderHealth) -> bool:
    """One that stands still, and has no time to: does it not tell of itself for a second, that is a tenth of it."""
    is_soon = recorder.holds_s is not None and recorder.holds_s < LAPPED_SOON_S
    return is_soon and recorder.silent_s is not None and recorder.silent_s > SILENT_S


def _lapped_at_rest(recorder: ReaderHealth) -> str:
    return "" if recorder.holds_s is None else f", lapped in {recorder.holds_s:.0f} s at this rate"
