"""`nanotape tune` on this very machine: files in a folder, and nothing else changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nanotape.capture.errors import PlaceUnusable
from nanotape.cli.main import app

RUN = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
CONFIG = '[paths]\nrun_dir = "{0}/run"\narchive = "{0}"\nshm_dir = "{0}/rings"\n[loop]\ncore = 0\n'
WATCHED = ("/proc/cmdline", "/proc/sys/vm/stat_interval", "/proc/sys/kernel/watchdog", "/proc/irq/default_smp_affinity")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nanotape.toml"
    file.write_text(CONFIG.format(tmp_path), encoding="utf-8")
    return file


def watched() -> dict[str, str]:
    return {name: Path(name).read_text(encoding="ascii") for name in WATCHED if Path(name).exists()}


def test_it_writes_files_to_review_and_changes_nothing(config: Path, tmp_path: Path) -> None:
    before = watched()
    done = RUN.invoke(app, ["tune", "-c", str(config), "-o", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert sorted(report["files"]) == sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert "README.md" in report["files"]
    assert watched() == before


def test_a_folder_in_use_is_refused(config: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["tune", "-c", str(config), "-o", str(tmp_path)])
    assert isinstance(done.exception, PlaceUnusable)
