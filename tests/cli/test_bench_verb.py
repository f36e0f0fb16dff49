"""`nanotape bench` as a command: what it takes, what it prints, how it ends."""

from __future__ import annotations

import errno
import importlib
import json
import os
import types
from pathlib import Path
from typing import Any

import pytest
from crafted_report import report
from typer.testing import CliRunner

from nanotape.cli.bench import course
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.workspace import STEM
from nanotape.cli.main import app

IMPORT_MODULE = importlib.import_module


class Parts:
    """Stand-ins for the parts, which measure nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.options: list[Options] = []
        self.broken: set[str] = set()
        self.repetitions: list[dict[str, Any]] = []

    def module(self, path: str, package: str | None = None) -> Any:
        """What importlib.import_module is asked for."""
        if not path.endswith("_part"):
            return IMPORT_MODULE(path, package)
        name = path.rpartition(".")[2].removesuffix("_part")
        needs_root = name in ("wire", "latency", "sustain", "tuning")
        return types.SimpleNamespace(NEEDS_ROOT=needs_root, measure=lambda *asked: self.measure(name, *asked))

    def measure(self, name: str, options: Options, _tell: Tell) -> PartResult:
        """Notes that it was asked."""
        self.asked.append(name)
        self.options.append(options)
        if name in self.broken:
            raise BenchError("no memory; add some")
        return PartResult(name, name, self.repetitions, {})


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    """The stand-ins in place of the parts, and a machine that needs no looking at."""
    stand_ins = Parts()
    monkeypatch.setattr(course.importlib, "import_module", stand_ins.module)
    monkeypatch.setattr(course, "machine", lambda _folder: {"CPU": "none"})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return stand_ins


def bench(*words: str) -> Any:
    """Runs the verb."""
    return CliRunner().invoke(app, ["bench", *words])


def test_without_names_all_parts_are_measured_in_their_order(parts: Parts) -> None:
    done = bench("--json")
    assert done.exit_code == 0, done.output
    assert tuple(parts.asked) == course.PARTS
    assert parts.options[0].repetitions == 5


def test_quick_measures_once_unless_more_is_asked_for(parts: Parts) -> None:
    assert bench("ring", "--quick").exit_code == bench("ring", "--quick", "--repetitions", "3").exit_code == 0
    assert [options.repetitions for options in parts.options] == [1, 3]
    assert all(options.quick for options in parts.options)


def test_one_json_object_stands_on_stdout_and_ends_with_the_targets(parts: Parts) -> None:
    found = json.loads(bench("ring", "--json").stdout)
    assert list(found)[-1] == "targets"
    assert all(target["met"] is None for target in found["targets"])


def test_without_root_what_needs_it_is_left_out_with_a_line_and_is_a_failure_only_when_named(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = bench("--json")
    assert (done.exit_code, parts.asked) == (0, ["ring", "record", "path"])
    assert "wire: not measured: needs root" in done.stderr
    assert parts.options[0].source == "memory"
    assert json.loads(done.stdout)["absent"].keys() == {"wire", "latency", "sustain", "tuning"}
    assert bench("wire", "--json").exit_code == 1


def test_a_part_that_breaks_is_a_line_and_status_1_and_the_others_are_measured(parts: Parts) -> None:
    parts.broken = {"ring"}
    done = bench("ring", "record", "--json")
    assert (done.exit_code, parts.asked) == (1, ["ring", "record"])
    assert "ring: not measured: no memory; add some" in done.stderr
    assert json.loads(done.stdout)["targets"][0]["why"] == "no memory; add some"


def test_a_full_disk_is_a_line_of_the_part_that_met_it(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str, _options: Options, _tell: Tell) -> PartResult:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parts, "measure", refuse)
    done = bench("path", "--json", "--folder", "/disk")
    assert done.exit_code == 1
    assert "path: not measured: /disk: No space left on device; make room, or choose" in done.stderr
    assert list(json.loads(done.stdout)["absent"]) == ["path"]


def test_what_a_killed_one_left_goes_whatever_is_measured_next(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", os.getuid)
    leftover = tmp_path / f"{STEM}{2**22 + 1}-abc"  # beyond any process id
    leftover.mkdir()
    bench("latency", "--folder", str(tmp_path))
    assert not leftover.exists()


def test_packets_that_nobody_accounts_for_are_status_1(parts: Parts) -> None:
    parts.repetitions = [{"contender": "a", "exact": False}]
    done = bench("ring")
    assert done.exit_code == 1
    assert "ring: a: packets that nobody accounts for" in done.stderr


@pytest.mark.parametrize("words", [("rong",), ("--repetitions", "0"), ("--source", "moon"), ("--sink", "moon")])
def test_what_cannot_be_asked_for_is_status_2(parts: Parts, words: tuple[str, ...]) -> None:
    assert bench(*words).exit_code == 2
    assert parts.asked == []


def test_a_page_is_made_again_from_an_earlier_report_without_measuring(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(report()))
    page = tmp_path / "docs" / "performance.md"
    done = bench("--from", str(tmp_path / "bench.json"), "--page", str(page), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == report()
    assert page.read_text().startswith("# Performance")
    assert parts.asked == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"targets": []}', "7"])
def test_another_file_than_a_report_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(content)
    done = bench("--from", str(tmp_path / "bench.json"))
    assert isinstance(done.exception, BenchError)
    assert "expected what nanotape bench --json printed" in str(done.exception)
