"""The clock service as a thread: one of a host, whose files say what goes on and has ended, over kills and bugs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deadline import wait_for

from nanotape.capture.clock.journal import JOURNAL_NAME, is_current, read_state
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.service import ClockParts, ClockService
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.errors import HostError, PlaceUnusable
from nanotape.capture.footprint import Footprint

NTP = Observation("system", 0, source="chrony", has_master=True, is_disciplined=True, offset_ns=5.0, bound_ns=900.0)
FREE = Observation("system", 0, source="kernel", is_disciplined=False)


class Told:
    """What a service logs, asks and runs."""

    def __init__(self, *seen: Observation) -> None:
        self.seen: Sequence[Observation] = seen
        self.lines: list[str] = []
        self.parts: dict[str, Any] = {}

    def read(self) -> Sequence[Observation]:
        return self.seen

    def service(self, run_directory: Path) -> ClockService:
        def parts(_folder: Path) -> ClockParts:
            return ClockParts("watch", {"test": self.read}, **self.parts)

        return ClockService(run_directory, Thresholds(), parts, self.lines.append)


def journal(run_directory: Path, kind: str) -> list[dict[str, Any]]:
    text = (run_directory / "clock" / JOURNAL_NAME).read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    return [each for each in rows if each["type"] == kind]


def test_it_tells_before_start_returns_and_each_second_after(tmp_path: Path) -> None:
    told = Told(NTP)
    with told.service(tmp_path):
        state = read_state(tmp_path)
        assert state is not None
        assert is_current(state, state["at_ns"])
        assert (state["clocks"][0]["state"], state["clocks"][0]["error_ns"]) == ("locked", 900)
        wait_for(lambda: len(journal(tmp_path, "sample")) >= 3, "three samples", 30)
    stamps = [each["at_ns"] for each in journal(tmp_path, "sample")]
    assert stamps == sorted(set(stamps))
    assert stamps[1] - stamps[0] > 0.9e9
    assert told.lines == []


def test_an_episode_is_told_when_it_begins_and_when_the_service_ends(tmp_path: Path) -> None:
    told = Told(FREE)
    with told.service(tmp_path):
        [begun] = journal(tmp_path, "change")
        state = read_state(tmp_path)
        assert state is not None
        assert [each["detail"] for each in state["episodes"]] == [begun["detail"]]
    begun, ended = journal(tmp_path, "change")
    assert (begun["end_ns"], begun["severity"]) == (None, "error")
    assert ended["end_ns"] > begun["at_ns"]
    assert {**ended, "end_ns": None} == begun
    assert told.lines == [f"clock: {begun['detail']}", f"clock: over: {begun['detail']}"]
    with Told(NTP).service(tmp_path):
        pass
    assert len(journal(tmp_path, "change")) == 2


def test_an_episode_of_a_service_that_was_killed_ends_when_it_was_heard_of_last(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from nanotape.capture.clock.observation import Observation\n"
        "from nanotape.capture.clock.service import ClockParts, ClockService\n"
        "from nanotape.capture.clock.thresholds import Thresholds\n"
        "seen = [Observation('system', 0, source='kernel', is_disciplined=False)]\n"
        "parts = lambda folder: ClockParts('watch', {'test': lambda: seen})\n"
        "ClockService(Path(sys.argv[1]), Thresholds(), parts, print).start()\n"
        "time.sleep(60)\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: read_state(tmp_path), "a state", 20)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    last = read_state(tmp_path)
    assert last is not None
    assert not is_current(last, last["at_ns"])
    with Told(NTP).service(tmp_path):
        begun, ended = journal(tmp_path, "change")
    assert (begun["end_ns"], ended["end_ns"]) == (None, max(last["at_ns"], begun["at_ns"]))


def test_a_second_service_waits_until_the_first_has_ended(tmp_path: Path) -> None:
    first, second = Told(NTP), Told(FREE)
    with first.service(tmp_path) as service, second.service(tmp_path):
        assert second.lines == [
            f"clock: process {os.getpid()} looks after the clocks of this host; waiting until it has ended"
        ]
        service.stop()
        wait_for(lambda: journal(tmp_path, "sample")[-1]["source"] == "kernel", "the second's samples", 30)


def test_a_folder_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    told = Told(NTP)
    with told.service(tmp_path):
        shutil.rmtree(tmp_path / "clock")
        wait_for(lambda: read_state(tmp_path), "a state", 30)
        with Told(FREE).service(tmp_path):  # no second one beside it
            assert journal(tmp_path, "sample")[-1]["source"] == "chrony"
    assert told.lines[-1] == f"clock: {tmp_path}/clock was removed; beginning anew"


@dataclass(frozen=True, slots=True)
class Happened:
    process: str
    what: str
    detail: str


class Daemons:
    """Stand for linuxptp."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal, self.stopped = refusal, 0
        self.happened: list[Happened] = []
        self.processes: Sequence[Any] = [Happened("ptp4l", "runs", "")]

    def start(self) -> None:
        if self.refusal:
            raise HostError(self.refusal)

    def look(self) -> Sequence[Any]:
        happened, self.happened = self.happened, []
        return happened

    def stop(self) -> None:
        self.stopped += 1


def test_what_may_not_be_run_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    told, daemons = Told(NTP), Daemons("chronyd (process 7) owns the system clock")
    told.parts["daemons"] = daemons
    with pytest.raises(HostError, match="owns the system clock"):
        told.service(tmp_path).start()
    with Told(NTP).service(tmp_path) as other:
        assert other is not None  # the lock was let go
    assert daemons.stopped == 0


def test_what_may_not_be_run_when_another_service_has_ended_is_told(tmp_path: Path) -> None:
    told = Told(NTP)
    told.parts["daemons"] = Daemons("chronyd (process 7) owns the system clock")
    with Told(NTP).service(tmp_path) as first, told.service(tmp_path):
        first.stop()
        wait_for(lambda: len(told.lines) > 1, "a line", 30)
    assert told.lines[1].startswith("clock: chronyd (process 7) owns the system clock; nobody looks after the clocks")


def test_a_folder_that_cannot_be_made_keeps_nobody_from_capturing_who_only_watches(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    lines: list[str] = []
    parts = ClockParts("watch", {})
    with ClockService(tmp_path / "run", Thresholds(), lambda _: parts, lines.append, is_required=False):
        pass
    [line] = lines
    assert line.startswith(f"clock: {tmp_path}/run/clock: cannot be made or written to: Not a directory; ")
    assert line.endswith("; nobody looks after the clocks, and the bound of packets is unknown")
    with pytest.raises(PlaceUnusable):
        ClockService(tmp_path / "run", Thresholds(), lambda _: parts, lines.append).start()


def test_a_start_that_is_taken_back_leaves_nothing(tmp_path: Path) -> None:
    made, run_directory = Footprint(), tmp_path / "run" / "nanotape"
    service = Told(NTP).service(run_directory)
    service.start(made)
    assert (run_directory / "clock" / "state.json").exists()
    service.stop()
    made.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_is_a_change_and_all_are_ended_at_last(tmp_path: Path) -> None:
    told, daemons = Told(NTP), Daemons()
    told.parts["daemons"] = daemons
    daemons.happened.append(Happened("ptp4l", "ended", "killed by SIGKILL"))
    with told.service(tmp_path):
        [change] = journal(tmp_path, "change")
        state = read_state(tmp_path)
    assert (change["what"], change["severity"]) == ("process", "warning")
    assert change["detail"] == "ptp4l: ended: killed by SIGKILL"
    assert state is not None
    assert state["processes"][0]["process"] == "ptp4l"
    assert daemons.stopped == 1


def test_a_bug_in_a_look_is_told_and_ends_nothing(tmp_path: Path) -> None:
    told = Told()
    told.seen = 5  # type: ignore[assignment] # nothing that can be gone through
    with told.service(tmp_path):
        pass
    assert told.lines[0].startswith("clock: TypeError: ")


def test_a_look_that_hangs_is_left_behind(tmp_path: Path) -> None:
    goes_on = threading.Event()

    def hangs() -> Sequence[Observation]:
        goes_on.wait(60)
        return ()

    told = Told()
    service = ClockService(
        tmp_path, Thresholds(), lambda _: ClockParts("watch", {"test": hangs}), told.lines.append, stop_timeout_s=0.1
    )
    with service:
        pass
    assert told.lines == ["clock: a look does not end within 0.1 s; left behind"]
    goes_on.set()


def test_a_folder_that_cannot_be_written_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    told = Told(NTP)
    with told.service(tmp_path) as service:
        wait_for(lambda: _takes_the_place_of(tmp_path / "clock" / JOURNAL_NAME), "a folder of that name", 30)
        wait_for(lambda: told.lines, "a line", 30)
        wait_for(lambda: read_state(tmp_path), "a state", 30)
    service.stop()
    assert told.lines == [
        f"clock: {tmp_path}/clock: cannot be written: Is a directory; the bound of packets is unknown"
    ]


def _takes_the_place_of(path: Path) -> bool:
    """A folder stands where a file was, unless the file was made again in between."""
    path.unlink()
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
