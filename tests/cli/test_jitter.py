"""`nanotape jitter` as a user calls it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from typer.testing import CliRunner

from nanotape.capture.errors import PlaceUnusable
from nanotape.cli.main import app

RUN = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
CORE = str(min(os.sched_getaffinity(0)))


def test_it_prints_figures_a_histogram_and_interrupts_and_writes_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "jitter.svg"
    done = RUN.invoke(app, ["jitter", "--core", CORE, "--seconds", "0.2", "--svg", str(picture)])
    assert done.exit_code == 0, done.output
    assert f"core {CORE}: " in done.stdout
    assert "interrupts on this core: " in done.stdout
    assert "---" in done.stdout
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    assert [path.name for path in tmp_path.iterdir()] == ["jitter.svg"]


def test_json_has_every_field() -> None:
    done = RUN.invoke(app, ["jitter", "--core", CORE, "--seconds", "0.1", "--threshold", "200", "--json"])
    found = json.loads(done.stdout)
    assert found["threshold_ns"] == 200
    assert sum(found["histogram"]) == found["looks"] > 1000


def test_a_picture_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there.svg"
    done = RUN.invoke(app, ["jitter", "--core", CORE, "--seconds", "0.1", "--svg", str(missing)])
    assert isinstance(done.exception, PlaceUnusable)
    assert str(done.exception).startswith(f"{missing}: cannot be written: No such file or directory")
