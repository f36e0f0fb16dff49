"""The three answers, in words and by severity, for all that may befall a ring, its recorder, the clock and the disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import crafted_looks
import pytest
from crafted_host import CLOCK
from crafted_looks import RING, SPACE, later, recorder, stats
from pictures import picture, ring_picture

from nanotape.capture.clock.findings import clock_findings
from nanotape.capture.clock.status import ClockStatus
from nanotape.capture.finding import Severity
from nanotape.capture.health import ring_health
from nanotape.capture.listing import UnreadableRing
from nanotape.tui.picture import Picture
from nanotape.tui.ring_rates import ring_rates
from nanotape.tui.verdicts import verdicts


def clock(**changes: Any) -> ClockStatus:
    return ClockStatus(crafted_looks.NOW_NS, True, "chrony", [{**CLOCK, "clock": "system", **changes}], (), (), ())


def said(seen: Picture) -> dict[str, tuple[Severity | None, str]]:
    return {each.name: (each.severity, each.said) for each in verdicts(seen)}


def test_all_is_well() -> None:
    assert said(picture(clock=clock())) == {
        "LOSS": (Severity.OK, "none"),
        "CLOCK": (Severity.OK, "locked, within 1.500 us"),
        "DISK": (Severity.OK, "keeps up, 50.0 GiB free"),
    }


def test_of_one_look_nothing_is_known_and_nothing_is_said_to_be_well() -> None:
    first = ring_picture()
    alone = replace(first, health=replace(ring_health(first.look, first.look), capturing=True), earlier=None)
    seen = picture(alone)
    assert said(seen)["LOSS"] == (None, "not known yet")
    assert "losing nothing" not in seen.headline
    assert "0 packets/s" not in seen.headline
    assert (ring_rates(alone).packets_s, ring_rates(alone).bits_s) == (None, None)


def test_a_clock_in_a_state_of_a_newer_service_is_not_locked() -> None:
    found = clock(state="stepping")
    assert said(picture(clock=found))["CLOCK"] == (Severity.WARNING, "system STEPPING, within 1.500 us")
    assert next(each.what for each in clock_findings(found)).startswith("clock system is stepping")


def test_beside_a_ring_that_cannot_be_read_no_loss_is_not_said() -> None:
    unreadable = (UnreadableRing("second", "/dev/shm/second.ring", "no"),)
    assert said(picture(unreadable=unreadable))["LOSS"] == (None, "none seen, second cannot be read")


def test_a_loss_now_is_an_error_and_one_of_before_a_warning() -> None:
    losing = ring_picture(second=stats(later(), rx_dropped=7))
    assert said(picture(losing))["LOSS"] == (Severity.ERROR, "LOSING 7 packets in 1.0 s")
    lost = ring_picture(stats(RING, rx_dropped=7), stats(later(), rx_dropped=7))
    assert said(picture(lost))["LOSS"] == (Severity.WARNING, "none now, 7 since the start")
    lately = replace(lost, lost_minute={"rx_dropped": 5})
    assert said(picture(lately))["LOSS"] == (Severity.WARNING, "none now, 5 in the last minute")


def test_a_loss_of_the_recorder_is_a_loss() -> None:
    lapped = ring_picture(second=recorder(later(), lost=3))
    assert said(picture(lapped))["LOSS"] == (Severity.ERROR, "LOSING 3 packets in 1.0 s")
    assert said(picture(lapped))["DISK"][0] is Severity.ERROR


def test_what_does_not_capture_is_an_error_also_where_it_is_not_there() -> None:
    dead = ring_picture(second=replace(later(), writer_alive=False))
    assert said(picture(dead, absent=("b",)))["LOSS"] == (Severity.ERROR, "NOT CAPTURING main, b")


def test_nothing_to_watch_is_said_and_is_no_verdict() -> None:
    assert said(picture(rings=()))["LOSS"] == (None, "nothing to watch")
    closed = picture(rings=(), unreadable=(UnreadableRing("a", "/a.ring", "may not be read"),))
    assert said(closed)["LOSS"] == (None, "no ring can be read")


@pytest.mark.parametrize("state", ["unknown", "free-running", "acquiring", "holdover"])
def test_a_clock_that_is_not_locked_is_named(state: str) -> None:
    severity, words = said(picture(clock=clock(state=state, error_ns=None)))["CLOCK"]
    assert severity is Severity.WARNING
    assert words == f"system {state.upper()}, error unknown"


def test_without_a_clock_service_nobody_can_say() -> None:
    assert said(picture())["CLOCK"] == (None, "no clock service tells")


def test_a_dead_recorder_and_a_full_disk_are_errors() -> None:
    dead = ring_picture(second=recorder(later(), alive=False))
    assert said(picture(dead))["DISK"] == (Severity.ERROR, "RECORDER DIED, 50.0 GiB free")
    old_ns = crafted_looks.NOW_NS - 9 * crafted_looks.SECOND_NS
    stopped = ring_picture(recorder(updated_ns=old_ns), recorder(later(), updated_ns=old_ns))
    assert said(picture(stopped))["DISK"] == (Severity.ERROR, "RECORDER STANDS STILL, 50.0 GiB free")
    assert "DOES NOT KEEP UP" in picture(stopped).headline
    full = ring_picture(space=replace(SPACE, free_bytes=SPACE.total_bytes // 100))
    assert said(picture(full))["DISK"] == (Severity.ERROR, "FILLS UP, 1.00 GiB free")
    nobody = ring_picture(replace(RING, readers=()), replace(later(), readers=()))
    assert said(picture(nobody))["DISK"] == (None, "nobody records, 50.0 GiB free")
    beside = replace(nobody, name="second", health=replace(nobody.health, name="second"))
    expected = (Severity.WARNING, "keeps up, nobody records second, 50.0 GiB free")
    assert said(picture(ring_picture(), beside))["DISK"] == expected


def test_of_rings_that_cannot_be_read_nobody_can_say_whether_they_are_recorded() -> None:
    closed = picture(rings=(), unreadable=(UnreadableRing("main", "/dev/shm/main.ring", "no"),))
    assert said(closed)["DISK"] == (None, "no ring can be read")
