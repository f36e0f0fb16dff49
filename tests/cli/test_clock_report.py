"""`nanotape clock report`: exit statuses, streams, the picture's file."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import typer
from typer.testing import CliRunner

from nanotape.cli.clock_report import report

sys.path.insert(0, str(Path(__file__).parent.parent / "storage"))

from clock_archive import MIDNIGHT_NS, SECOND_NS, clock_archive, seconds

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(report)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_clock_that_was_known_to_be_good_all_the_time_is_status_0(tmp_path: Path) -> None:
    clock_archive(tmp_path / "a", seconds(MIDNIGHT_NS, 30))
    status, out, _ = run(tmp_path / "a")
    assert status == 0
    assert "host box, clock system" in out
    assert "claims no compliance" in out


def test_a_time_without_a_bound_is_status_1(tmp_path: Path) -> None:
    later = seconds(MIDNIGHT_NS + 30 * SECOND_NS, 3, "unknown", error_ns=None)
    clock_archive(tmp_path / "a", [*seconds(MIDNIGHT_NS, 30), *later])
    assert run(tmp_path / "a")[0] == 1
    assert run(tmp_path / "a", "--end", "2026-11-28T00:00:30Z")[0] == 0


def test_an_archive_without_clocks_is_told_and_status_1(tmp_path: Path) -> None:
    clock_archive(tmp_path / "a", [])
    status, out, _ = run(tmp_path / "a")
    assert (status, out) == (1, "clock report: no clock was recorded in this time\n")


def test_json_is_one_object_and_the_picture_a_file_beside(tmp_path: Path) -> None:
    clock_archive(tmp_path / "a", seconds(MIDNIGHT_NS, 30))
    picture = tmp_path / "clocks.svg"
    status, out, _ = run(tmp_path / "a", "--json", "--svg", picture)
    assert status == 0
    (clock,) = json.loads(out)["clocks"]
    assert (clock["clock"], clock["recorded_s"], clock["share_within_1us"]) == ("system", 30, 1)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert [path.name for path in tmp_path.glob("*clocks*")] == ["clocks.svg"]
