"""`nanotape top` without a terminal: one frame as text, one snapshot as JSON, and refusals."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from crafted_host import CraftedHost


def test_once_begins_with_the_headline_of_status_and_keeps_to_80_columns(tmp_path: Path) -> None:
    with CraftedHost(tmp_path) as host:
        host.publish(3)
        host.end()
        status, output, errors = call("top", "--once", "--config", host.config)
        _, said, _ = call("status", "--config", host.config, "--interval", "0.1")
    first, *rest = output.splitlines()
    assert first == said.splitlines()[0]
    assert rest
    assert all(len(line) <= 80 for line in rest)
    assert (status, errors) == (1, "")


def test_json_is_one_object(tmp_path: Path) -> None:
    with CraftedHost(tmp_path) as host:
        host.publish(3)
        host.end()
        status, output, _ = call("top", "--json", "--config", host.config)
    told = json.loads(output)
    assert told["fine"] is False
    assert told["rings"][0]["health"]["packets"] == 3
    assert told["clock"] is None
    assert status == 1


def test_without_a_ring_it_says_that_nothing_is_captured(tmp_path: Path) -> None:
    with CraftedHost(tmp_path) as host:
        host.remove()
        status, output, _ = call("top", "--once", "--config", host.config)
    assert output.startswith("nothing is captured: there is no ring in")
    assert "There is nothing to watch" in output
    assert status == 1


def test_without_a_terminal_it_is_refused(tmp_path: Path) -> None:
    with CraftedHost(tmp_path) as host:
        status, output, errors = call("top", "--config", host.config)
    assert (status, output) == (2, "")
    assert "it needs a terminal; --once prints one frame" in " ".join(errors.replace("│", " ").split())


@pytest.mark.parametrize("other", ["stdin", "stdout", "stderr"])
def test_where_one_of_its_streams_is_no_terminal_it_is_refused(other: str, tmp_path: Path) -> None:
    """It reads keys from the first and draws on the last: nothing would be seen, and no key would end it."""
    master, slave = os.openpty()
    try:
        streams = {**dict.fromkeys(("stdin", "stdout", "stderr"), slave), other: subprocess.PIPE}
        with CraftedHost(tmp_path) as host:
            command = [*NANOTAPE, "top", "--config", str(host.config)]
            with subprocess.Popen(command, **streams) as process:  # type: ignore[call-overload]
                try:
                    assert process.wait(30) == 2
                    said = process.stderr.read() if process.stderr else os.read(master, 10_000)
                finally:
                    process.kill()
        assert b"it needs a terminal" in said
    finally:
        os.close(master)
        os.close(slave)


def test_a_configuration_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    status, _, errors = call("top", "--once", "--config", tmp_path / "none.toml")
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert "none.toml" in errors
