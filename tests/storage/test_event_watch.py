"""Events are told once, once more when they have ended, and what keeps them from being known is told in words."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nanotape.storage import event_watch
from nanotape.storage.archive import Archive
from nanotape.storage.event_log import append_events
from nanotape.storage.event_watch import EventWatch
from nanotape.storage.events import Event

NOW_NS = 1_792_000_000_000_000_001
HOUR_NS = 3600 * 10**9
OUTAGE = Event("link", NOW_NS, None, "warning", host="box", ring="demo", ring_id="00" * 16, detail="eth1 is down")


class Time:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def utc_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(tmp_path / "archive")


def events_of(told: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """Details, and whether each has ended; forgets what was told."""
    found = [(each["event"]["detail"], each["event"]["ts_end"] is not None) for each in told if "event" in each]
    told.clear()
    return found


def test_each_event_is_told_once_and_once_more_when_it_has_ended(archive: Archive) -> None:
    told: list[dict[str, Any]] = []
    time = Time()
    watch = EventWatch(archive.path, NOW_NS - HOUR_NS, told.append, time)
    append_events(archive.path, [OUTAGE], NOW_NS)
    watch.look()
    watch.look()
    assert events_of(told) == [("eth1 is down", False)]
    time.now_ns += HOUR_NS  # its beginning is out of what is looked at each second
    over = replace(OUTAGE, ts_end_ns=time.now_ns)
    append_events(archive.path, [over], time.now_ns)
    watch.look()
    assert events_of(told) == [("eth1 is down", True)]


def test_what_was_over_before_is_left_out(archive: Archive) -> None:
    told: list[dict[str, Any]] = []
    past = replace(OUTAGE, ts_start_ns=NOW_NS - 3 * HOUR_NS, ts_end_ns=NOW_NS - 2 * HOUR_NS, detail="long ago")
    append_events(archive.path, [past, OUTAGE], NOW_NS)
    EventWatch(archive.path, NOW_NS - HOUR_NS, told.append, Time()).look()
    assert events_of(told) == [("eth1 is down", False)]


def test_of_very_many_the_newest_are_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_watch, "EVENTS_MAX", 3)
    told: list[dict[str, Any]] = []
    many = [replace(OUTAGE, ts_start_ns=NOW_NS + at, detail=f"{at}") for at in range(9)]
    append_events(archive.path, many, NOW_NS)
    EventWatch(archive.path, NOW_NS - HOUR_NS, told.append, Time()).look()
    assert [detail for detail, _ in events_of(told)] == ["6", "7", "8"]


def test_an_archive_that_is_not_there_is_trouble_until_it_is(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    watch = EventWatch(tmp_path / "archive", NOW_NS - HOUR_NS, told.append, Time())
    watch.look()
    [trouble] = told
    assert "found nothing" in trouble["trouble"]
    told.clear()
    Archive.create(tmp_path / "archive")
    append_events(tmp_path / "archive", [OUTAGE], NOW_NS)
    watch.look()
    assert told[-1] == {"read_ns": NOW_NS}
    assert events_of(told) == [("eth1 is down", False)]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), pa.ArrowInvalid("no such footer")])
def test_whatever_cannot_be_read_is_trouble_and_no_end(
    error: Exception, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path) -> None:
        raise error

    told: list[dict[str, Any]] = []
    watch = EventWatch(archive.path, NOW_NS - HOUR_NS, told.append, Time())
    with monkeypatch.context() as patch:
        patch.setattr(event_watch, "open_archive", refused)
        watch.look()
    assert told.pop()["trouble"].startswith(f"{archive.path}: ")
    append_events(archive.path, [OUTAGE], NOW_NS)
    watch.look()
    assert events_of(told) == [("eth1 is down", False)]


def test_it_looks_less_often_where_a_look_takes_long(archive: Archive) -> None:
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 2

    time = Time()
    looked: Callable[[dict[str, Any]], None] = lambda _: time.sleep(len(pauses) * 0.5)  # noqa: E731
    EventWatch(archive.path, NOW_NS - HOUR_NS, looked, time).run(wait)
    assert pauses == [1.0, 5.0]


def test_as_a_program_it_ends_when_its_parent_does(archive: Archive) -> None:
    append_events(archive.path, [OUTAGE], NOW_NS)
    command = [sys.executable, "-m", "nanotape.storage.event_watch", str(archive.path), str(NOW_NS - HOUR_NS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        first = json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(20) == 0
    assert first["event"]["detail"] == "eth1 is down"
