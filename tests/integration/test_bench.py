"""`nanotape bench --quick`: every part on this machine, in small, for correctness: nothing here looks at a speed."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from command_line import NANOTAPE, as_nobody, call
from deadline import wait_for

from nanotape.capture.processes import is_alive
from nanotape.cli.bench.course import PARTS
from nanotape.cli.bench.targets import PROMISES

pytestmark = pytest.mark.shared

TOOLS = ("tcpdump", "dumpcap", "netsniff-ng")
PARTS_WITHOUT_A_WIRE = ("ring", "record", "path")
PLACES = [pathlib.Path(path) for path in ("/var/tmp", "/dev/shm", "/run")]


def left_behind(pid: int | str = "") -> set[str]:
    """What stands in the places where the benchmark works, of one process or of all."""
    return {str(path) for place in PLACES for path in place.glob(f"nanotape-bench-{pid}*")}


def orphaned() -> set[str]:
    """Of what stands there, that of processes that are no more."""
    return {path for path in left_behind() if not is_alive(int(re.findall(r"nanotape-bench-(\d+)", path)[0]))}


def huge_pages() -> str:
    """How many there are, whoever has them."""
    return pathlib.Path("/proc/sys/vm/nr_hugepages").read_text(encoding="ascii")


def call_as(nanotape: Sequence[str], *words: str | pathlib.Path) -> tuple[int, str, str]:
    """Runs a command that begins with `nanotape`; returns exit status, standard output, standard error."""
    done = subprocess.run([*nanotape, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def report_of(output: str) -> dict[str, Any]:
    """The one object on standard output, with what every report has."""
    (line,) = output.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert list(found)[-1] == "targets"
    assert [target["name"] for target in found["targets"]] == [promise.name for promise in PROMISES]
    assert found["quick"]
    return found


def assert_all_is_accounted_for(found: dict[str, Any]) -> None:
    """No repetition without its steal time, or with packets that nobody accounts for."""
    for part in found["parts"]:
        assert part["repetitions"], part["name"]
        for repetition in part["repetitions"]:
            assert repetition["steal"] >= 0
            assert repetition.get("exact") is not False, repetition
            assert not repetition.get("unexplained"), repetition


@pytest.mark.root
@pytest.mark.parametrize("parts", [("ring", "wire", "sustain", "tuning"), pytest.param((), marks=pytest.mark.slow)])
def test_every_part_measures_and_accounts_for_every_packet(parts: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    before = orphaned()
    page = tmp_path / "performance.md"
    status, output, errors = call("bench", *parts, "--quick", "--json", "--page", page, seconds=180.0)
    assert status == 0, errors
    found = report_of(output)
    assert [part["name"] for part in found["parts"]] == list(parts or PARTS)
    assert not found["absent"]
    assert_all_is_accounted_for(found)
    for target in found["targets"]:
        assert target["value"] is not None or target.get("why"), target
    notes = json.dumps(found["parts"])
    assert all(shutil.which(tool) or tool in notes for tool in TOOLS), "a tool that is missing is named"
    assert page.read_text(encoding="utf-8").count("![") == len(list((tmp_path / "performance").glob("*.svg"))) > 0
    assert orphaned() <= before


@pytest.mark.root
@pytest.mark.slow
def test_without_root_all_that_needs_no_wire_is_measured() -> None:
    with as_nobody() as (nanotape, work):
        status, output, errors = call_as(
            nanotape, "bench", *PARTS_WITHOUT_A_WIRE, "--quick", "--json", "--folder", work
        )
        assert status == 0, errors
        found = report_of(output)
        assert_all_is_accounted_for(found)
        assert [part["name"] for part in found["parts"]] == list(PARTS_WITHOUT_A_WIRE)
        assert list(work.iterdir()) == []
        status, output, errors = call_as(nanotape, "bench", "wire", "--quick", "--json")
    assert status == 1
    assert errors.splitlines() == ["nanotape: wire: not measured: needs root, for network namespaces and XDP"]
    assert report_of(output)["absent"].keys() == {"wire"}


@pytest.mark.root
@pytest.mark.parametrize("part", ["ring", "path"])
def test_a_signal_ends_it_in_one_line_and_nothing_is_left(part: str) -> None:
    command = [*NANOTAPE, "bench", part, "--quick", "--repetitions", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"nanotape: {part}: repetition 1 of 1000\n"
        wait_for(lambda: left_behind(process.pid), "its folders", 30)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    said = [line for line in errors.splitlines() if "repetition" not in line]
    assert said == ["nanotape: interrupted: everything that the benchmark made is removed"]
    assert not left_behind(process.pid)


@pytest.mark.root
def test_what_a_killed_one_left_is_removed_by_the_next_with_its_huge_pages() -> None:
    others, pages = left_behind(), huge_pages()
    command = [*NANOTAPE, "bench", "ring", "--quick", "--repetitions", "1000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
    assert left_behind(process.pid)
    status, _, errors = call("bench", "ring", "--quick", "--json")
    assert status == 0, errors
    assert not left_behind(process.pid)
    assert huge_pages() == pages or others != set() or left_behind() != set(), "unless others come and go"
