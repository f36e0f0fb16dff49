"""The host screen shows what doctor finds, worst first, with what mends it; doctor runs apart and when it is asked."""

from __future__ import annotations

import threading

import pytest
from pictures import driven, picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.host.check import Result
from nanotape.config import Settings
from nanotape.tui import host as host_screen
from nanotape.tui.app import Top
from nanotape.tui.host_rows import HostExamined, examine_host, result_lines, shown_results, summary

FAIL = Result("memory.hugepages", "fail", "none are reserved", "512 of 2 MiB", "packets wait", "sysctl -w vm.x=512")
WARN = Result("cores.governor:3", "warn", "powersave", "performance", "a core that sleeps is late", "cpupower ...")
OK = Result("limits.memlock", "ok", "unlimited", "unlimited", "memory is locked", None)
FOUND = HostExamined((FAIL, WARN, OK))


class Doctor:
    """Finds what it is told to, once it is let."""

    def __init__(self, *found: HostExamined) -> None:
        self.found, self.rounds = list(found), 0
        self.may = threading.Event()
        self.may.set()

    def __call__(self, settings: Settings) -> HostExamined:
        assert threading.current_thread() is not threading.main_thread(), "never where it is drawn"
        assert self.may.wait(10)
        self.rounds += 1
        return self.found[min(self.rounds, len(self.found)) - 1]


async def until(app: Top, pilot: Pilot[None], *expected: str) -> str:
    for _ in range(200):
        shown = " ".join(screen_text(app).split())
        if all(each in shown for each in expected):
            return shown
        await pilot.pause(0.01)
    raise AssertionError(f"expected {expected}, found:\n{screen_text(app)}")


def test_findings_are_shown_worst_first_with_what_mends_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_screen, "examine_host", Doctor(FOUND))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("8")
        shown = await until(app, pilot, "1 fail, 1 warn, 0 unknown, 0 info, 1 ok", "sysctl -w vm.x=512")
        assert shown.index("memory.hugepages") < shown.index("cores.governor:3")
        assert "limits.memlock" not in shown
        await pilot.press("down")
        await until(app, pilot, "cpupower ...")
        await pilot.press("a")
        await until(app, pilot, "limits.memlock")
        await pilot.press("c")
        assert app.clipboard == "cpupower ..."
        await pilot.resize_terminal(20, 5)
        await pilot.pause()

    driven(picture(), play, refresh_s=60)


def test_doctor_looks_again_only_when_it_is_asked_and_the_screen_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = Doctor(FOUND, HostExamined((OK,)))
    monkeypatch.setattr(host_screen, "examine_host", doctor)

    async def play(app: Top, pilot: Pilot[None]) -> None:
        doctor.may.clear()
        await pilot.press("8")
        await until(app, pilot, "doctor looks at this host ...")
        await pilot.press("r", "1", "8")
        doctor.may.set()
        await until(app, pilot, "1 fail")
        await pilot.press("1", "8")
        await pilot.pause(0.2)
        assert doctor.rounds == 1
        await pilot.press("r")
        await until(app, pilot, "0 fail, 0 warn, 0 unknown, 0 info, 1 ok")
        assert doctor.rounds == 2

    driven(picture(), play, refresh_s=60)


def test_a_doctor_that_fails_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_screen, "examine_host", Doctor(HostExamined(failure="OSError: gone")))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("8")
        await until(app, pilot, "doctor could not look: OSError: gone; looked at")

    driven(picture(), play, refresh_s=60)


def test_leaving_does_not_wait_for_a_doctor_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = Doctor(FOUND)
    doctor.may.clear()
    monkeypatch.setattr(host_screen, "examine_host", doctor)

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("8")
        await until(app, pilot, "doctor looks at this host ...")

    driven(picture(), play, refresh_s=60)
    assert doctor.rounds == 0
    doctor.may.set()


def test_this_host_is_examined_by_doctors_own_table() -> None:
    found = examine_host(Settings())
    assert found.failure is None
    assert len(found.results) > 10
    assert len({each.id for each in found.results}) == len(found.results)
    ranks = [("fail", "warn", "unknown", "info", "ok").index(each.status) for each in found.results]
    assert ranks == sorted(ranks)


def test_what_is_fine_is_shown_when_all_is_asked_for() -> None:
    assert shown_results(FOUND, everything=False) == (FAIL, WARN)
    assert shown_results(FOUND, everything=True) == FOUND.results
    assert summary(HostExamined()) == "0 fail, 0 warn, 0 unknown, 0 info, 0 ok"
    assert [name for name, _, _ in result_lines(OK)] == ["found", "wanted", "why"]
