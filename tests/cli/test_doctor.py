"""`nanotape doctor` on this very machine: every check answers, and the exit status is that of the worst."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nanotape.capture.host.table import CHECKS
from nanotape.cli.main import app

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
CONFIG = """
[paths]
run_dir = "{0}/run"
archive = "{0}"
shm_dir = "{0}/rings"
[ring]
hugepages = "off"
[source]
kind = "{1}"
interface = "lo"
[[channel]]
name = "x"
feed = "f"
framing = "none"
[[channel.line]]
name = "A"
group = "233.252.0.9"
port = 5000
"""
KEYS = {"id", "status", "found", "wanted", "why", "fix"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nanotape.toml"
    file.write_text(CONFIG.format(tmp_path, "socket"), encoding="utf-8")
    return file


def test_every_check_answers_here_in_json(config: Path) -> None:
    done = RUN.invoke(app, ["doctor", "-c", str(config), "--json"])
    found = json.loads(done.stdout)
    assert set(found) == {"checks"}
    assert {check["id"].partition(":")[0] for check in found["checks"]} >= {
        check.id for check in CHECKS if not check.id.startswith(("nic.", "memory.numa"))
    }
    for check in found["checks"]:
        assert set(check) == KEYS
        assert check["status"] in ("ok", "info", "warn", "fail", "unknown")
    statuses = [check["status"] for check in found["checks"]]
    assert statuses == sorted(statuses, key=["fail", "warn", "unknown", "info", "ok"].index)
    assert done.exit_code == (1 if "fail" in statuses else 0)


def test_what_is_measured_here_is_known(config: Path) -> None:
    done = RUN.invoke(app, ["doctor", "-c", str(config), "--json", "--measure", "0.2"])
    found = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["irq.steal"]["status"] in ("ok", "warn")
    assert "MB/s" in found["disk.speed"]["found"]


def test_the_page_hides_what_is_ok_and_counts_it(config: Path) -> None:
    done = RUN.invoke(app, ["doctor", "-c", str(config)])
    shown = RUN.invoke(app, ["doctor", "-c", str(config), "--all"])
    assert "kernel.version" not in done.stdout
    assert "ok       kernel.version: " in shown.stdout
    assert done.stdout.splitlines()[-1].endswith(" ok")
    assert "fix: " in done.stdout
