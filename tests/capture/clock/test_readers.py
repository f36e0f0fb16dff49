"""Who is asked on this host: sockets first, then logs; who is not there is not asked each second."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.readers import ABSENT_S, Patient, PtpPlaces, configured_places, readers_of
from nanotape.capture.errors import PmcUnusable
from nanotape.config.clock import ClockSettings

SEEN = Observation("system", 0, source="chrony")


def logged(offset_ns: int) -> str:
    """A line of ptp4l of this moment."""
    return f"ptp4l[{time.monotonic():.3f}]: master offset {offset_ns:10} s2 freq     -12 path delay       900\n"


class Source:
    """Says what a test has it say, and counts how often it was asked."""

    def __init__(self) -> None:
        self.seen: Sequence[Observation] = ()
        self.asked, self.now_s = 0, 0.0

    def read(self) -> Sequence[Observation]:
        self.asked += 1
        return self.seen


def test_who_has_nothing_to_say_is_asked_now_and_then() -> None:
    source = Source()
    patient = Patient(source.read, lambda: source.now_s)
    for _ in range(int(ABSENT_S)):
        assert patient() == ()
        source.now_s += 1
    assert source.asked == 1
    source.seen = [SEEN]
    for _ in range(5):
        assert patient() == [SEEN]
        source.now_s += 1
    source.seen = ()
    patient()
    source.seen = [SEEN]
    assert patient() == [SEEN], "who was there a moment ago may be so again in the next"


def test_lines_of_logs_that_nobody_can_read_are_counted(tmp_path: Path) -> None:
    garbage: Counter[str] = Counter()
    log = tmp_path / "ptp4l.log"
    log.write_text(logged(5) + "nothing of ours\n" + logged(7))
    readers = readers_of(ClockSettings(), PtpPlaces(tmp_path, [tmp_path / "no socket"], [log]), garbage)
    [seen] = readers["ptp4l"]()
    assert (seen.source, seen.method, seen.offset_ns, seen.path_delay_ns) == ("ptp4l", "log", 7, 900)
    assert garbage["log"] == 1


def test_a_socket_that_nobody_answers_is_told_each_time(tmp_path: Path) -> None:
    left_behind = tmp_path / "ptp4l"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(left_behind))
    readers = readers_of(ClockSettings(), PtpPlaces(tmp_path, [left_behind]))
    for _ in range(2):
        with pytest.raises(PmcUnusable):
            readers["ptp4l"]()


def test_on_any_host_the_kernel_can_be_asked() -> None:
    settings = ClockSettings()
    readers = readers_of(settings, configured_places(settings))
    assert list(readers) == ["ptp4l", "chrony", "kernel"]
    [seen] = readers["kernel"]()
    assert (seen.clock, seen.source) == ("system", "kernel")
    assert seen.is_disciplined is not None
    assert "sfptpd" in readers_of(ClockSettings(sfptpd_stats="/nowhere"), configured_places(settings))
