"""Asking ptp4l by pmc; what a real pair of them says is in tests/integration/test_linuxptp.py."""

from __future__ import annotations

import pathlib
import socket
import stat
import sys
from collections.abc import Sequence

import pytest

from nanotape.capture.clock.pmc import ASKED, Pmc, found_sockets
from nanotape.capture.clock.tool import run_command
from nanotape.capture.errors import PmcUnusable

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"


@pytest.fixture
def server(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "ptp4l"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path))
    return path


def test_one_call_asks_for_all_and_leaves_no_socket(server: pathlib.Path, tmp_path: pathlib.Path) -> None:
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], _timeout_s: float) -> str:
        calls.append(command)
        pathlib.Path(command[command.index("-i") + 1]).touch()  # as a pmc does that is killed
        return (DATA / "pmc-3.1.1-slave.txt").read_text()

    pmc = Pmc(server, 24, tmp_path, run)
    answer = pmc.ask()
    pmc.ask()
    assert answer.one("TIME_STATUS_NP") is not None
    first, second = calls
    assert first[:8] == ["pmc", "-u", "-b", "0", "-d", "24", "-s", str(server)]
    assert first[-len(ASKED) :] == [f"GET {each}" for each in ASKED]
    assert first[9] != second[9]
    assert list(tmp_path.iterdir()) == [server]


def test_nobody_who_answers_is_an_error_that_names_socket_and_domain(
    server: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    silent = (DATA / "pmc-3.1.1-wrong-domain.txt").read_text()
    with pytest.raises(PmcUnusable, match=f"{server}: no ptp4l answers in domain 3"):
        Pmc(server, 3, tmp_path, lambda *_: silent).ask()


def test_pmc_that_is_not_installed_or_hangs_is_an_error(server: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def absent(_command: Sequence[str], _timeout_s: float) -> str:
        raise FileNotFoundError

    def hanging(_command: Sequence[str], _timeout_s: float) -> str:
        return run_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.05)

    with pytest.raises(PmcUnusable, match="pmc is not installed"):
        Pmc(server, 0, tmp_path, absent).ask()
    with pytest.raises(PmcUnusable, match="has not ended within"):
        Pmc(server, 0, tmp_path, hanging).ask()


def test_a_path_too_long_for_a_socket_is_refused(server: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(PmcUnusable, match="at most 107 bytes"):
        Pmc(server, 0, tmp_path / ("x" * 120), lambda *_: "").ask()


def test_sockets_are_found_once_each_the_read_only_ones_first(server: pathlib.Path, tmp_path: pathlib.Path) -> None:
    read_only, link, plain = tmp_path / "ptp4lro", tmp_path / "link", tmp_path / "plain"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(read_only))
    link.symlink_to(read_only)
    plain.touch()
    assert stat.S_ISSOCK(server.stat().st_mode)
    assert found_sockets([read_only, link, server, plain, tmp_path / "none"]) == [read_only, server]
