"""Events that need somebody reach a command and syslog, others nobody; and what cannot be told stops nothing."""

from __future__ import annotations

import json
import pathlib
import socket

from deadline import wait_for

from nanotape.storage.clock import SystemClock
from nanotape.storage.event_notices import EventNotices
from nanotape.storage.events import Event, event_batch

QUIET = Event("restart", 5, severity="info", detail="recorder begins")
LOSS = Event(
    "capture_loss", 10, 20, "error", "host-1", "main", "r" * 32, stage="rx_dropped", packets_lost=7, detail='a "b"'
)
LINK = Event("link", 30, None, "warning", "host-1", "main", detail="eth1 is\ndown")


def test_a_command_gets_each_event_that_needs_somebody_as_json(tmp_path: pathlib.Path) -> None:
    told = tmp_path / "told"
    command = ["/bin/sh", "-c", f'printf "%s\\n" "$1" >> {told}', "sh"]
    notices = EventNotices(command, False, SystemClock(), print)
    notices.tell(event_batch([QUIET, LOSS]))
    notices.tell(event_batch([LINK]))
    notices.close()
    first, second = map(json.loads, told.read_text(encoding="utf-8").splitlines())
    assert first == {
        "id": LOSS.id, "kind": "capture_loss", "ts_start_ns": 10, "ts_end_ns": 20, "severity": "error",
        "host": "host-1", "ring": "main", "ring_id": "r" * 32, "stage": "rx_dropped", "packets_lost": 7,
        "detail": 'a "b"',
    }  # fmt: skip
    assert (second["kind"], "ts_end_ns" in second) == ("link", False)


def test_syslog_gets_a_line_with_the_severity(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "log")
    lines: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(path)
        syslog.settimeout(5)
        notices = EventNotices((), True, SystemClock(), lines.append, path)
        notices.tell(event_batch([QUIET, LOSS, LINK]))
        first, second = (syslog.recv(4096).decode() for _ in range(2))
    assert first.startswith("<27>nanotape[")
    assert 'capture_loss: a "b"' in first
    assert "packets_lost=7" in first
    assert second.startswith("<28>nanotape[")
    assert "link: eth1 is down" in second
    notices.tell(event_batch([LOSS, LOSS]))
    assert len(lines) == 1
    assert "syslog cannot be told" in lines[0]
    notices.close()


def test_a_command_that_fails_is_a_line_of_the_log_and_the_next_is_run() -> None:
    lines: list[str] = []
    notices = EventNotices(["/bin/false"], False, SystemClock(), lines.append)
    notices.tell(event_batch([LOSS, LINK]))
    wait_for(lambda: len(lines) == 2, "both", 30)
    notices.close()
    assert all("exit status 0 expected, found 1" in line for line in lines)
