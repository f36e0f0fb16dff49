"""`nanotape demo`: tells the truth, leaves the archive and nothing else, however it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from archive_truth import assert_sequences_once
from command_line import NANOTAPE, as_nobody, processes
from deadline import wait_for

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive

pytestmark = [pytest.mark.root, pytest.mark.shared]

PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
PLACES = [pathlib.Path(name) for name in ("/var/tmp", "/tmp", "/dev/shm", "/run", "/dev/hugepages")]
KEYS = {"source", "sent", "captured", "recorded", "lost", "balanced", "rx_delay_ns", "archive"}
SEND_ONE = 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(40), ("239.192.0.1", 31001))'


def traces(pid: int) -> list[str]:
    """Everything on this machine that bears the name of the demo with this process id."""
    name = f"nanotape-demo-{pid}"
    found = [str(path) for place in PLACES for path in place.glob(f"{name}*")]
    found += [str(path) for path in pathlib.Path("/run/netns").glob(f"nt-demo-{pid}-*")]
    found += [line for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines() if name in line]
    return [*found, *(processes(pathlib.Path(name))), *processes(pathlib.Path(f"nt-demo-{pid}-"))]


@dataclasses.dataclass(slots=True)
class Demo:
    """A running demo, as the leader of a process group: what Ctrl-C in a terminal reaches."""

    process: subprocess.Popen[str]
    said: list[str] = dataclasses.field(default_factory=list)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def wait_news(self, beginning: str) -> None:
        """Until it has said a line on standard error."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line)
            if line.strip().startswith(beginning):
                return
        raise AssertionError(f"it never said {beginning!r}: {self.said}")

    def end(self) -> tuple[int, str, str]:
        """Waits for its end: exit status, standard output, standard error."""
        output, errors = self.process.communicate(timeout=120)
        return self.process.returncode, output, "".join(self.said) + errors


@contextlib.contextmanager
def started(
    *arguments: str, command: Sequence[str] = NANOTAPE, path: str = "", folder: pathlib.Path | None = None
) -> Iterator[Demo]:
    """Starts a demo; ends it, if it still runs."""
    process = subprocess.Popen(
        [*command, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
        env=os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {}),
    )
    try:
        yield Demo(process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(autouse=True)
def huge_pages_are_given_back() -> Iterator[None]:
    """Whatever happened."""
    before = int(PAGES.read_text(encoding="ascii"))
    yield
    # No more than before: somebody else's, beside us, come and go.
    wait_for(lambda: int(PAGES.read_text(encoding="ascii")) <= before, "the huge pages to be given back", 30)


def test_as_root_it_captures_with_af_xdp_kills_two_processes_and_balances(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "kept"
    with started("--seconds", "3", "--rate", "20000", "--json", "--archive", str(target)) as demo:
        status, output, errors = demo.end()
    verdict = json.loads(output)
    assert (status, errors) == (0, "")
    assert set(verdict) >= KEYS
    assert verdict["source"] == "afxdp"
    assert verdict["balanced"] is True
    # Two lines of 60,000 packets and an end of session each; 7 + 3 withheld on A, 3 on B.
    assert verdict["sent"] == verdict["captured"] == verdict["recorded"] == 2 * 60_001 - 13
    assert set(verdict["lost"].values()) == {0}
    assert verdict["kills"] == verdict["restarts"] == {"recorder": 1, "capture": 1}
    assert [(line["gaps_made"], line["gaps_found"], line["same_bytes"]) for line in verdict["lines"]] == [
        (2, 2, True),
        (1, 1, True),
    ]
    assert 0 < verdict["rx_delay_ns"]["p50"] <= verdict["rx_delay_ns"]["p99"] <= verdict["rx_delay_ns"]["max"]
    archive = Archive(target)
    assert verdict["archive"] == str(target)
    assert assert_sequences_once(archive) == verdict["sent"]
    assert [list(row) for row in open_archive(target).sql(verdict["query"]).fetchall()] == verdict["answer"]
    assert [row[:2] for row in verdict["answer"]] == [["A", 59_991], ["B", 59_998]]
    assert traces(demo.pid) == []


def test_its_page_can_be_pasted_as_it_stands(tmp_path: pathlib.Path) -> None:
    with started("--seconds", "2", "--rate", "5000", folder=tmp_path) as demo:
        status, page, errors = demo.end()
    assert status == 0, errors
    lines = page.splitlines()
    assert max(map(len, lines)) <= 80 or sys.executable in page
    assert "BALANCED: every packet is accounted for" in lines
    assert "source    afxdp: AF_XDP on veth between two network namespaces" in lines
    assert "lost                0" in lines
    assert [line for line in errors.splitlines() if "kill -9" in line and "the recorder" in line]
    assert [line for line in errors.splitlines() if "kill -9" in line and "the capture" in line]
    paste = page[page.index("from nanotape.storage import") :]
    done = subprocess.run([sys.executable, "-"], input=paste, capture_output=True, text=True, check=True, cwd=tmp_path)
    answers = [line.removeprefix("# ").split() for line in lines if line.startswith("# ")]
    assert [name for name, *_ in answers] == ["A", "B"]
    for name, packets, size in answers:
        assert packets in done.stdout.split(), name  # DuckDB's table, and Polars' below it
        assert size in done.stdout.split()
    assert done.stdout.count("9991") + done.stdout.count("9998") == 4


def test_without_root_it_takes_the_socket_source_on_loopback_and_says_so() -> None:
    with as_nobody() as (nanotape, work):
        with started("--seconds", "2", "--rate", "2000", command=nanotape, folder=work) as demo:
            status, page, errors = demo.end()
        assert status == 0, errors
        assert "not root: the socket source stands in for AF_XDP" in errors
        assert "source    socket: plain UDP on loopback, without root" in page
        assert "BALANCED: every packet is accounted for" in page.splitlines()
        assert (work / "demo-archive").stat().st_uid == 65_534
        assert assert_sequences_once(Archive(work / "demo-archive")) == 2 * 4001 - 13
    assert traces(demo.pid) == []


def test_a_packet_that_the_exchange_did_not_log_is_one_unexplained(tmp_path: pathlib.Path) -> None:
    """The control of the whole: somebody else sends a packet to line A."""
    target = str(tmp_path / "kept")
    with started("--seconds", "2", "--rate", "5000", "--archive", target) as demo:
        demo.wait_news("kill -9")
        inside = ["ip", "netns", "exec", f"nt-demo-{demo.pid}-exchange"]
        subprocess.run([*inside, sys.executable, "-c", SEND_ONE], check=True)
        status, page, _ = demo.end()
    assert status == 1
    assert "NOT BALANCED: 1 packets unexplained" in page.splitlines()
    assert "NOT the bytes that were sent" in page
    assert traces(demo.pid) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "at the start"), (signal.SIGINT, "in the middle"), (signal.SIGTERM, "in the middle")],
)
def test_a_signal_ends_it_with_nothing_left(number: signal.Signals, moment: str, tmp_path: pathlib.Path) -> None:
    with started("--seconds", "6", "--rate", "5000", folder=tmp_path) as demo:
        if moment == "in the middle":
            demo.wait_news("kill -9")
        else:
            wait_for(lambda: traces(demo.pid), "its first trace")
        os.killpg(demo.pid, number)
        os.killpg(demo.pid, number)  # an impatient user
        status, output, errors = demo.end()
    assert (status, output) == (130, "")
    assert errors.splitlines()[-1] == "nanotape: interrupted: everything that the demo made is removed"
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
    assert traces(demo.pid) == []


def test_without_root_ctrl_c_leaves_nothing_too() -> None:
    with as_nobody() as (nanotape, work):
        with started("--seconds", "6", "--rate", "1000", command=nanotape, folder=work) as demo:
            demo.wait_news("kill -9")
            os.killpg(demo.pid, signal.SIGINT)
            status, output, errors = demo.end()
        assert (status, output) == (130, "")
        assert errors.splitlines()[-1] == "nanotape: interrupted: everything that the demo made is removed"
        assert list(work.iterdir()) == []
    assert traces(demo.pid) == []


def test_what_a_killed_demo_left_the_next_one_removes(tmp_path: pathlib.Path) -> None:
    with started("--seconds", "30", "--rate", "2000", folder=tmp_path) as killed:
        wait_for(lambda: len(processes(pathlib.Path(f"nanotape-demo-{killed.pid}"))) >= 4, "all of its processes", 30)
        killed.process.kill()
        killed.end()
    wait_for(lambda: not any("process" in trace for trace in traces(killed.pid)), "the end of its processes", 30)
    left = " ".join(traces(killed.pid))
    for part in ("/var/tmp/", "/dev/shm/", "/run/nanotape-demo", f"nt-demo-{killed.pid}-capture", "hugetlbfs"):
        assert part in left or (part == "hugetlbfs" and pathlib.Path("/dev/hugepages").is_mount())
    with started("--seconds", "1", "--rate", "2000", folder=tmp_path) as demo:
        status, page, errors = demo.end()
    assert status == 0, errors
    assert "BALANCED: every packet is accounted for" in page.splitlines()
    assert traces(killed.pid) == traces(demo.pid) == []


@pytest.mark.slow
def test_what_a_killed_demo_without_root_left_the_next_one_removes() -> None:
    with as_nobody() as (nanotape, work):
        with started("--seconds", "30", "--rate", "2000", command=nanotape, folder=work) as killed:
            name = pathlib.Path(f"nanotape-demo-{killed.pid}")
            wait_for(lambda: len(processes(name)) >= 3, "all of its processes", 30)
            killed.process.kill()
            killed.end()
        wait_for(lambda: not processes(name), "the end of its processes", 30)
        assert f"/tmp/{name}" in traces(killed.pid)
        assert f"/dev/shm/{name}" in traces(killed.pid)
        with started("--seconds", "1", "--rate", "2000", command=nanotape, folder=work) as demo:
            status, _, errors = demo.end()
        assert status == 0, errors
    assert traces(killed.pid) == traces(demo.pid) == []


@pytest.mark.parametrize("tool", ["ethtool", "ip"])
def test_a_stage_that_cannot_be_set_is_one_line_and_leaves_nothing(tool: str, tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / tool).write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n", encoding="ascii")
    (broken / tool).chmod(0o755)
    with started("--seconds", "1", "--archive", str(tmp_path / "kept"), path=str(broken)) as demo:
        status, output, errors = demo.end()
    assert (status, output) == (2, "")
    assert errors.count("\n") == 1
    assert "no such thing; the demo as root needs network namespaces and veth" in errors
    assert not (tmp_path / "kept").exists()
    left = traces(demo.pid)
    if tool == "ip":  # which would have been needed to remove them too
        left = [trace for trace in left if "netns" not in trace]
    assert left == []


def test_a_service_that_cannot_start_is_one_line_and_leaves_nothing() -> None:
    """No room for the ring."""
    with as_nobody() as (nanotape, work):
        small = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
        script = 'mount -t tmpfs -o size=8m,mode=1777 none /dev/shm && exec "$@"'
        with started("--seconds", "1", command=(*small, script, "sh", *nanotape), folder=work) as demo:
            status, output, errors = demo.end()
        assert (status, output) == (1, "")
        line = errors.splitlines()[-1]
        assert line.startswith("nanotape: capture: ended before it was ready (exit status 1): ")
        assert "make room, or ask for a smaller ring" in line
        assert list(work.iterdir()) == []
    assert traces(demo.pid) == []


def test_a_demo_of_a_handful_of_packets_replaces_half_an_archive_of_a_killed_one(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "demo-archive"
    (target / "segments" / "demo").mkdir(parents=True)
    (target / "segments" / "demo" / "half.arrow").touch()
    (target / ".nanotape-demo").touch()
    with started("--seconds", "1", "--rate", "40", "--json", folder=tmp_path) as demo:
        status, output, errors = demo.end()
    assert (status, errors) == (0, "")
    assert assert_sequences_once(Archive(target)) == json.loads(output)["sent"]
    assert not (target / "segments" / "demo" / "half.arrow").exists()
