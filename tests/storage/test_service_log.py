"""A service's log: the same line only so often, JSON that parses, a journal's fields, and lines of other processes."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest
from deadline import wait_for

from nanotape.capture import severity
from nanotape.storage import service_log as service_log_module
from nanotape.storage.line_pipe import LinePipe
from nanotape.storage.log import Error, Info
from nanotape.storage.service_log import RepeatLimit, ServiceLog, is_journal, journal_writer, passed_on, service_log


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ns = 1_795_219_200 * 10**9 + 7

    def utc_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, _seconds: float) -> None:
        """Returns at once."""


def said(a_minute: int, *lines_after: tuple[float, str]) -> list[str]:
    """What is let through of lines, each so many seconds after the one before; and at the end."""
    time, found = Time(), list[str]()
    log = ServiceLog(RepeatLimit(a_minute, time), found.append)
    for seconds, line in lines_after:
        time.now_ns += int(seconds * 1e9)
        log(line)
    log.close()
    return found


def test_lines_that_differ_in_numbers_alone_are_said_so_often_a_minute_and_the_rest_counted() -> None:
    found = said(2, *((0.1, f"capture: started anew, pid {pid}") for pid in range(10)), (61, "else"))
    assert found == [
        "capture: started anew, pid 0",
        "capture: started anew, pid 1",
        "capture: started anew, pid 9 (and 8 like it held back)",
        "else",
    ]


def test_what_was_held_back_is_told_at_the_end_and_a_new_minute_begins_anew() -> None:
    assert said(1, (0, "a 1"), (1, "a 2"), (1, "b")) == ["a 1", "b", "a 2 (and 1 like it held back)"]
    assert said(1, (0, "a 1"), (61, "a 2"), (61, "a 3")) == ["a 1", "a 2", "a 3"]


def test_ever_new_lines_do_not_grow_the_memory_of_them() -> None:
    limit = RepeatLimit(5, Time())
    for number in range(3000):
        limit.admit("x" * number)
    assert len(limit._kinds) <= 1024


def test_json_is_an_object_on_each_line_whatever_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    log = service_log("json", 5, {"process": "recorder", "ring": "main"}, Time(), {})
    log('a "quoted"\nline \u00fc')
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line) == {
        "timestamp": "2026-11-21T00:00:00.000000007Z",
        "level": "warning",
        "process": "recorder",
        "ring": "main",
        "event": 'a "quoted"\nline \u00fc',
    }


def test_text_is_as_it_ever_was(capfd: pytest.CaptureFixture[str]) -> None:
    service_log("text", 5, {"process": "recorder"}, Time(), {})("hello")
    assert capfd.readouterr().err == "nanotape: hello\n"


def test_the_journal_gets_fields_and_what_it_does_not_take_goes_to_stderr(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        write = journal_writer({"process": "supervisor", "ring": "main"}, path)
        write("two\nlines")
        assert journal.recv(4096).decode().splitlines() == [
            "SYSLOG_IDENTIFIER=nanotape",
            "NANOTAPE_PROCESS=supervisor",
            "NANOTAPE_RING=main",
            "PRIORITY=4",
            "MESSAGE=two lines",
        ]
        for line, priority in (
            (Error("broken"), 3),
            (Info("fine"), 6),
            (severity.Error("b"), 3),
            (severity.Info("f"), 6),
        ):
            write(line)
            assert f"PRIORITY={priority}" in journal.recv(4096).decode().splitlines()
    write("gone")
    assert capfd.readouterr().err == "nanotape: gone\n"


def test_it_is_the_journal_only_if_stderr_is_the_stream_that_systemd_named() -> None:
    code = "import os, sys; from nanotape.storage.service_log import is_journal as j; print(j(os.environ))"
    read, write = os.pipe()
    found = os.fstat(write)
    try:
        for stream, answer in ((f"{found.st_dev}:{found.st_ino}", "True"), ("1:2", "False"), ("nonsense", "False")):
            done = subprocess.run(
                [sys.executable, "-c", code], env={**os.environ, "JOURNAL_STREAM": stream}, stdout=subprocess.PIPE,
                stderr=write, text=True, check=True,
            )  # fmt: skip
            assert done.stdout.strip() == answer
    finally:
        os.close(read)
        os.close(write)
    assert not is_journal({})


LINES = {"plain": 4, Info("info"): 6, Error("error"): 3}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_level_goes_before_the_line_where_stderr_is_the_journals_and_only_there(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the stream (sd-daemon(3)), as the journal's socket is not there to take fields."""
    for is_the_journals in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service_log_module, "JOURNAL_SOCKET", "/nowhere")
            patch.setenv("JOURNAL_STREAM", stream_of_stderr() if is_the_journals else "")
            log = service_log(form, 5, {}, Time())
            for line in LINES:
                log(line)
        said = capfd.readouterr().err.splitlines()
        assert len(said) == len(LINES)
        for line, (text, priority) in zip(said, LINES.items(), strict=True):
            assert line.startswith(f"<{priority}>") == is_the_journals
            assert text in line


def stream_of_stderr() -> str:
    found = os.fstat(sys.stderr.fileno())
    return f"{found.st_dev}:{found.st_ino}"


def test_json_tells_the_level(capfd: pytest.CaptureFixture[str]) -> None:
    log = service_log("json", 1, {}, Time(), {})
    for line in (*LINES, Error("error")):
        log(line)
    log.close()
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [each["level"] for each in told] == ["warning", "info", "error", "error"]
    assert told[-1]["event"] == "error (and 1 like it held back)"


def test_what_another_process_says_keeps_its_level(capfd: pytest.CaptureFixture[str]) -> None:
    log = service_log("json", 5, {}, Time(), {})
    for line in ("<3>a", "<4>b", "<6>c", "d", '{"level": "error", "event": "e"}', '<6>{"level": "info", "event": "f"}'):
        passed_on(line, log, {})
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(each["event"], each["level"]) for each in told] == [
        ("a", "error"), ("b", "warning"), ("c", "info"), ("d", "warning"), ("e", "error"), ("f", "info"),
    ]  # fmt: skip
    passed_on('{"level": "error", "event": "e"}', log, {"JOURNAL_STREAM": stream_of_stderr()})
    assert capfd.readouterr().err == '<3>{"level": "error", "event": "e"}\n'


def test_lines_of_other_processes_are_taken_one_by_one() -> None:
    lines: list[str] = []
    pipe = LinePipe(lines.append)
    subprocess.run(
        ["/bin/sh", "-c", "printf 'one\\n\\ntwo\\nthr' >&2; printf 'ee' >&2"], stderr=pipe.writer, check=True
    )
    pipe.close()
    assert lines == ["one", "two", "three"]


def test_a_line_without_end_is_cut_and_nobody_waits() -> None:
    lines: list[str] = []
    pipe = LinePipe(lines.append)
    pipe.writer.write(b"x" * 50_000)
    wait_for(lambda: lines, "a part of it", 30)
    pipe.close()
    assert "".join(lines) == "x" * 50_000
