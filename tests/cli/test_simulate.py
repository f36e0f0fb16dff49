"""`nanotape simulate` as a user calls it: report, log, exit status."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from deadline import wait_for
from typer.testing import CliRunner

from nanotape.capture.sent_log import SentLog
from nanotape.cli.simulate import simulate

application = typer.Typer()
application.command()(simulate)
FAST = ["--line", "A=239.192.89.1:31996", "--rate", "20000", "--packets", "400"]
PROGRAM = "import typer; from nanotape.cli.simulate import simulate; a = typer.Typer(); a.command()(simulate); a()"


def test_the_json_report_is_one_object_that_agrees_with_the_log(tmp_path: Path) -> None:
    log = tmp_path / "sent.log"
    done = CliRunner().invoke(application, [*FAST, "--gap", "A:100:5", "--json", "--log", str(log)])
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report == json.loads(json.dumps(SentLog.read(log).as_json()))
    assert (report["lines"][0]["sent"], report["lines"][0]["withheld"]) == (396, 5)
    assert "not visible" in report["note"]


def test_the_report_for_people_names_lines_and_gaps() -> None:
    done = CliRunner().invoke(application, [*FAST, "--gap", "A:100:5", "--gap", "A:9000:1"])
    assert done.exit_code == 0
    assert "A  239.192.89.1:31996 on lo: 396 packets sent" in done.stdout
    assert "at packet 100: 5 withheld" in done.stdout
    assert "at packet 9000: not reached" in done.stdout


def test_the_report_tells_every_fault_with_its_sequences() -> None:
    faults = ["--duplicate", "A:10:2", "--reorder", "A:50:4", "--reset", "100", "--new-session", "200"]
    done = CliRunner().invoke(application, [*FAST, *faults])
    assert done.exit_code == 0
    for text in (
        "duplicate at packet 10: 2 sent twice, ",
        "reorder of packet 50: sent after 4 that follow it, ",
        "reset in session NT00000001 at packet 100: before sequence ",
        "new session NT00000R01 at packet 200: before sequence ",
    ):
        assert text in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_a_whole_log(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "sent.log"
    command = [sys.executable, "-c", PROGRAM, *FAST[:2], "--seconds", "0", "--every", "0.05", "--log", log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "sent" in wait_for(process.stderr.readline, "the first line of progress")
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "stopped" in output
    assert SentLog.read(log).ended == "stopped"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--interface", "nowhere0"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--seconds", "-1"],
        ["--gap", "C:1:5"],
        ["--gap", "A:1"],
        ["--duplicate", "A:1"],
        ["--reorder", "A:0:1"],
        ["--reset", "1"],
        ["--reset", "5", "--new-session", "5"],
        ["--line", "A=10.0.0.1:31001"],
        ["--line", "A=239.1.1.1"],
        ["--delay", "C:5"],
        ["--line", "A=239.1.1.1:1", "--line", "A=239.1.1.1:2"],
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(application, arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("nanotape simulate: ")
    assert done.stderr.count("\n") == 1


def test_a_log_that_cannot_be_written_is_status_1(tmp_path: Path) -> None:
    done = CliRunner().invoke(application, [*FAST, "--log", str(tmp_path / "missing" / "x")])
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
