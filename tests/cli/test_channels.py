"""`nanotape channels` as a user calls it, where there is no ring: the table, the object, the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nanotape.capture.channels import Channels, LineState
from nanotape.cli.channels import _page, channels

application = typer.Typer()
application.command()(channels)

CONFIG = """
[paths]
shm_dir = "{folder}"
run_dir = "{folder}/run"
archive = "{folder}/archive"
[source]
kind = "packet"
interface = "lo"
[[channel]]
name = "itch"
feed = "simulated"
[[channel.line]]
group = "233.252.0.1"
port = 31001
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "nanotape.toml"
    path.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return path


def test_without_a_ring_the_line_is_not_captured_and_the_status_is_1(config: Path) -> None:
    done = CliRunner().invoke(application, ["-c", str(config), "--interval", "0.1"])
    assert done.exit_code == 1
    head, row, advice, _, verdict = done.stdout.splitlines()
    assert head.split()[:3] == ["channel", "line", "state"]
    assert row.startswith("itch     A     not captured")
    assert advice.startswith("    look at: ")
    assert verdict == "1 line, looked at for 0.1 s: should arrive and do not: 1"


def test_the_object_has_null_for_what_is_not_known(config: Path) -> None:
    done = CliRunner().invoke(application, ["-c", str(config), "--interval", "0.1", "--json"])
    report = json.loads(done.stdout)
    assert report["fine"] is False
    (line,) = report["lines"]
    assert (line["state"], line["framing"]) == ("not captured", "none")
    for name in ("packets", "rate_pps", "last_packet_ns", "last_seq", "gaps", "missing", "duplicates", "bad"):
        assert line[name] is None, name


def test_without_a_channel_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "nanotape.toml"
    path.write_text(f'[paths]\nshm_dir = "{tmp_path}"\nrun_dir = "{tmp_path}/run"\n', encoding="utf-8")
    done = CliRunner().invoke(application, ["-c", str(path), "--interval", "0.1"])
    assert done.exit_code == 1
    assert "no channel is configured" in done.stderr
    assert done.stdout == ""


def state(**facts: object) -> LineState:
    ordinary: dict[str, object] = dict.fromkeys(LineState.__slots__) | {
        "channel": "itch", "line": "A", "state": "arriving", "look_at": (), "packets": 3000, "rate_pps": 1000.0,
        "last_packet_ns": 1_790_000_000 * 10**9, "session": "NT1", "last_seq": 123456, "gaps": 1, "missing": 12345,
        "duplicates": 0, "bad": 0,
    }  # fmt: skip
    return LineState(**(ordinary | facts))  # type: ignore[arg-type]


def test_the_table_shows_what_is_known_and_what_to_look_at_below_the_line() -> None:
    silent = state(line="B", state="silent", rate_pps=0.0, last_packet_ns=None, last_seq=None, look_at=("x", "y"))
    page = _page(Channels(3.0, (state(), silent, state(line="C", state="closed")), ()))
    assert page[1].split()[:5] == ["itch", "A", "arriving", "1,000.0", "2026-09-21"]
    assert page[1].endswith("NT1 123,456     1   12,345      0    0")
    assert page[2].split()[:5] == ["itch", "B", "silent", "0.0", "-"]
    assert page[3:5] == ["    look at: x", "    look at: y"]
    assert page[-1] == "3 lines, looked at for 3 s: should arrive and do not: 1"
    fine = _page(Channels(3.0, (state(), state(line="C", state="closed")), ()))
    assert fine[-1] == "2 lines, looked at for 3 s: all that should arrive do; outside their session: 1"
