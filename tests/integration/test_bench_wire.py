"""The benchmark's wire: every packet that the generator made is looked for, and a lost one is told by its stage."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from nanotape.cli.bench import wire_nanotape, wire_tools
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.veth import FRAME_BYTES, Wire, wire
from nanotape.cli.bench.wire_nanotape import Setting
from nanotape.cli.bench.workspace import workspace
from nanotape.cli.scene import Ledger, remove_leftovers
from nanotape.native import executable

pytestmark = [
    pytest.mark.root,
    pytest.mark.shared,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces and XDP"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores"),
]
PACKETS = 20_000
BENCH = str(executable("nanotape-bench"))


@pytest.fixture(scope="module")
def line() -> Iterator[Wire]:
    """Two namespaces with a generator at one end."""
    with wire(wire_nanotape.huge_bytes()) as made:
        yield made


@pytest.fixture(scope="module")
def folder() -> Iterator[pathlib.Path]:
    """On the disk, open to the recorder's user."""
    with workspace(None) as place:
        yield place.disk


@pytest.mark.slow  # the whole benchmark does it too, in test_bench.py
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_nanotape_has_every_packet_once(line: Wire, folder: pathlib.Path, compression: str) -> None:
    one = wire_nanotape.run(Setting("ours", compression), line, folder, PACKETS, 0)
    assert (one["sent"], one["captured"], one["lost"], one["lost_at"]) == (PACKETS, PACKETS, 0, {})
    assert one["exact"]
    assert one["unexplained"] == 0
    assert one["cpu_us"] > 0
    assert one["bytes"] > 0
    assert list(folder.iterdir()) == []


def test_what_the_recorder_is_too_slow_for_is_told_by_its_stage(
    line: Wire, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ring for a tenth of the packets, at the generator's full speed."""
    monkeypatch.setattr(wire_nanotape, "RING_BYTES", 512 << 10)
    one = wire_nanotape.run(Setting("ours"), line, folder, PACKETS, 0)
    assert one["lost"] > 0
    assert one["lost_at"] == {"recorder_overrun": one["lost"]}
    assert one["captured"] + one["lost"] == PACKETS
    assert one["unexplained"] == 0
    assert one["exact"]


@pytest.mark.slow  # likewise
@pytest.mark.parametrize("tool", wire_tools.TOOLS, ids=lambda tool: tool.name)
def test_another_tool_is_measured_to_its_last_packet(line: Wire, folder: pathlib.Path, tool: wire_tools.Tool) -> None:
    if shutil.which(tool.name) is None:
        pytest.skip(f"{tool.name} is not installed")
    one = wire_tools.run(tool, line, folder, PACKETS, 200_000)
    assert (one["sent"], one["captured"], one["lost"], one["lost_says_tool"]) == (PACKETS, PACKETS, 0, 0)
    assert one["exact"]
    assert one["bytes"] == 24 + PACKETS * (16 + FRAME_BYTES)
    assert list(folder.iterdir()) == []


def test_a_tool_that_does_not_capture_to_the_end_is_no_contender_that_lost(line: Wire, folder: pathlib.Path) -> None:
    script = "echo ready; sleep 0.3; echo no room >&2; exit 3"
    tool = wire_tools.Tool("broken", lambda _interface, _file: ["sh", "-c", script], "ready", "never")
    with pytest.raises(BenchError, match=r"^broken: expected it to capture .*, it ended with 3: no room$"):
        wire_tools.run(tool, line, folder, 1_000, 10_000)
    assert list(folder.iterdir()) == []


def test_the_generator_keeps_the_rate_that_it_was_given(line: Wire) -> None:
    offered = line.offer(2_000, 20_000)
    assert offered.sent == 2_000
    assert offered.link_lost == 0
    assert offered.seconds >= 1_999 / 20_000
    assert offered.pps <= 20_000 * 2_000 / 1_999


def test_what_a_killed_benchmark_left_goes_and_a_demo_s_stays(tmp_path: pathlib.Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    made = {}
    for name in ("bench", "demo"):
        space = f"nt-{name}-{ended.pid}-capture"
        made[name] = Ledger(name, ended.pid, str(tmp_path / f"nanotape-{name}-{ended.pid}"), [space])
        made[name].write()
        pathlib.Path(made[name].folder).mkdir()
        subprocess.run(["ip", "netns", "add", space], check=True)

    def left(name: str) -> list[bool]:
        places = (
            made[name].path,
            pathlib.Path(made[name].folder),
            pathlib.Path("/run/netns", made[name].namespaces[0]),
        )
        return [place.exists() for place in places]

    try:
        remove_leftovers("bench", tmp_path)
        assert (left("bench"), left("demo")) == ([False] * 3, [True] * 3)
    finally:
        made["demo"].undo()
    assert left("demo") == [False] * 3


def test_the_generator_refuses_in_one_line() -> None:
    done = subprocess.run(
        [BENCH, "generate", "--interface", "nowhere0", "--packets", "1"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nanotape-bench: generator: nowhere0: no such interface in this network namespace\n"


@pytest.mark.parametrize("words", [[], ["--interface", "lo"], ["--interface", "lo", "--packets", "1", "--rate", "-1"]])
def test_wrong_options_of_the_generator_are_usage(words: list[str]) -> None:
    done = subprocess.run([BENCH, "generate", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: nanotape-bench generate" in done.stderr


def test_what_the_generator_tells_is_json(line: Wire) -> None:
    command = [*line.scene.exchange, BENCH, "generate", "--interface", line.scene.interface, "--packets", "10"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["sent"] == 10
    assert {"seconds", "pps", "cpu_user_s", "cpu_system_s", "waited_s", "late_max_ns", "slipped_ns"} <= set(told)
