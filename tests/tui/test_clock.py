"""The clock screen shows what the clock service tells, bears that none does, and that one dies while it is watched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from clock_lines import sample
from crafted_clock import PHC, SYSTEM, status
from crafted_looks import NOW_NS, SECOND_NS
from pictures import driven, picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.clock.clock_owners import ClockOwner
from nanotape.capture.clock.kernel_clock import STA_UNSYNC, KernelClock
from nanotape.config import loads
from nanotape.tui import clock as clock_screen
from nanotape.tui.app import Top
from nanotape.tui.clock_around import ClockAround, clock_around
from nanotape.tui.clock_history import ClockPoint
from nanotape.tui.clock_rows import clock_lines, clock_rows, host_lines, plot_lines, silence
from nanotape.tui.picture import Picture

KERNEL = KernelClock(0, 0.0, 0, 0, 0, 37, 0)
AROUND = ClockAround(37, "TAI-UTC 37 s, synchronised", ("phc2sys (process 9) steers the system clock",))


@pytest.fixture(autouse=True)
def hand_made_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on the machine of the tests is of no concern."""
    monkeypatch.setattr(clock_screen, "clock_around", lambda: AROUND)


def on_screen(look: Picture | Callable[[], Picture], *expected: str, size: tuple[int, int] = (80, 24)) -> str:
    """The screen once all of these are on it."""
    screens = [""]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        for _ in range(100):
            await pilot.pause(0.02)
            screens[0] = screen_text(app)
            if all(each in " ".join(screens[0].split()) for each in expected):
                return
        raise AssertionError(f"expected {expected}, found:\n{screens[0]}")

    driven(look, play, size, refresh_s=60 if isinstance(look, Picture) else 0.05)
    return screens[0]


def test_state_offset_bound_delay_and_tai_of_each_clock_are_on_the_screen() -> None:
    on_screen(
        picture(clock=status()),
        "system locked phc2sys +250 ns 1.204 us 4.321 us 37 s",
        "ptp0 (eth8) locked ptp4l -17 ns 312 ns 4.321 us 37 s",
        "001122.fffe.334455, class 6, domain 24, steps away 1",
        "1.204 us: offset 17 ns + the grandmaster's own 100 ns",
        "TAI-UTC 37 s, synchronised",
        "phc2sys (process 9) steers the system clock",
    )


def test_without_a_clock_service_it_says_so_and_what_to_do() -> None:
    on_screen(picture(), "No clock service tells", "It comes with nanotape run", "phc2sys (process 9)")


def test_a_clock_service_that_dies_while_it_is_watched_is_told_with_its_last_word() -> None:
    seen = [0]

    def look() -> Picture:
        seen[0] += 1
        return picture(clock=status()) if seen[0] < 12 else picture(at_ns=NOW_NS + 13 * SECOND_NS)

    screen = on_screen(look, "has told nothing for 12.0 s", "system locked phc2sys")
    assert "its last word" in " ".join(screen.split())


def test_the_journal_before_the_screen_was_shown_is_plotted(tmp_path: Path) -> None:
    lines = [
        json.dumps({"type": "sample", **asdict(sample(NOW_NS - second * SECOND_NS, offset_ns=-4000))})
        for second in range(500, 0, -1)
    ]
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "journal.jsonl").write_text("\n".join(lines), encoding="utf-8")
    settings = loads(f'[paths]\nrun_dir = "{tmp_path}"\n')
    screen = on_screen(picture(clock=status(), settings=settings), "+4.000 us", "-4.000 us")
    lowest = next(line for line in screen.splitlines() if "-4.000 us" in line)
    assert 40 < lowest.count("█") < 69, "the first minute and a half is not known, and the newest is +250 ns"


def test_another_clock_is_chosen_with_the_cursor() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await pilot.pause()
        assert "Offset of system" in screen_text(app)
        await pilot.press("down")
        await pilot.pause()
        assert "Offset of ptp0" in screen_text(app)
        await pilot.resize_terminal(20, 5)
        await pilot.pause()

    driven(picture(clock=status()), play, refresh_s=60)


def test_what_is_wrong_with_clocks_and_programs_is_said() -> None:
    told = status(
        {**SYSTEM, "state": "holdover", "error_ns": None, "budget": None, "grandmaster": None, "why": "no master"},
        processes=({"name": "ptp4l", "pid": None, "restarts": 3},),
        interfaces=({"interface": "eth8", "words": "ptp0 counts TAI"},),
        findings=("TAI-UTC: expected one figure, found two",),
    )
    [row] = clock_rows(told)
    assert (row.state, row.error_ns) == ("holdover", None)
    lines = {name: said for name, said, _ in clock_lines(told.clocks[0])}
    assert lines["error bound"].startswith("- (nobody says")
    assert lines["master"].startswith("- (none")
    said = list(host_lines(told, ClockAround(None, "", ())))
    assert ("ptp4l", "DOES NOT RUN, restarted 3 times", "bold red") in said
    assert ("look at", "TAI-UTC: expected one figure, found two", "yellow") in said
    assert ("eth8", "ptp0 counts TAI", "") in said


def test_an_older_service_that_tells_less_breaks_nothing() -> None:
    told = status({"clock": "system", "state": "unknown"})
    [row] = clock_rows(told)
    assert (row.offset_ns, row.source, row.utc_offset_s) == (None, None, None)
    assert list(clock_lines(told.clocks[0]))
    assert silence(told, True, told.at_ns, "/run") is None


def test_the_plots_right_edge_is_now() -> None:
    points = [ClockPoint(NOW_NS - 599 * SECOND_NS, 500, 1, "locked"), ClockPoint(NOW_NS, -1000, 1, "locked")]
    lines = plot_lines(points, NOW_NS, 31, 5)
    assert lines[0] == " +1.000 us"
    assert lines[1] == f"{'':11}█"
    assert lines[2] == f"         0 ─{'':18}─"
    assert lines[3] == f"{'':30}█"
    assert lines[4] == f" -1.000 us {'':19}█"
    assert lines[5] == f"{'':11}{'-10 min':<17}now"
    assert plot_lines(points[1:], NOW_NS, 31, 5)[5].startswith(f"{'':11}-1 min")
    assert plot_lines([], NOW_NS, 31, 5) == ["offset: unknown in the last 10 minutes"]


def test_the_kernel_and_the_processes_are_asked_and_a_refusal_is_said() -> None:
    owners = [ClockOwner("chronyd", 7, frozenset({"system"})), ClockOwner("ptp4l", 8, frozenset())]
    found = clock_around(lambda: KERNEL, lambda: owners)
    assert found.kernel == "TAI-UTC 37 s, synchronised"
    assert found.owners == ("chronyd (process 7) steers the system clock", "ptp4l (process 8) only measures")
    unsynchronised = KernelClock(0, 0.0, 0, 0, STA_UNSYNC, None, 0)
    assert clock_around(lambda: unsynchronised, list).kernel == "TAI-UTC was never told to it, NOT synchronised"

    def refuse() -> KernelClock:
        raise PermissionError(1, "Operation not permitted")

    assert clock_around(refuse, list) == ClockAround(None, "does not answer: Operation not permitted", ())
    assert ("who steers", "nobody: no program that steers clocks runs here", "") in host_lines(
        None, clock_around(refuse, list)
    )


def test_this_hosts_kernel_answers() -> None:
    assert "synchronised" in clock_around().kernel


def test_a_phc_is_named_with_its_interface() -> None:
    assert [row.name for row in clock_rows(status(PHC))] == ["ptp0 (eth8)"]
