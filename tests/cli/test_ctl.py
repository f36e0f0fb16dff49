"""`nanotape ctl` with several rings: each is asked, but a supervisor only once for what concerns all of its rings."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

from nanotape.cli import ctl

CONFIG = """
[paths]
run_dir = "{folder}"
[[ring]]
name = "a"
[[ring]]
name = "b"
[[ring]]
name = "c"
"""


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "nanotape.toml"
    path.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any]]]:
    """Which sockets were asked what; `a` and `b` are one supervisor's, `c` is another's."""
    found: list[tuple[str, Mapping[str, Any]]] = []

    def ask(path: pathlib.Path, request: Mapping[str, Any]) -> dict[str, Any]:
        found.append((path.name, request))
        together = ["c"] if path.name == "c.control" else ["a", "b"]
        if request["do"] == "stop":
            return {"ok": True, "rings": together}
        if request["do"] == "reload":
            unchanged = {"changed": [], "started_anew": []}
            return {"ok": True, "rings": [{"ring": name, **unchanged} for name in together]}
        return {"ok": True, "ring": path.name.partition(".")[0], "number": 1}

    monkeypatch.setattr(ctl, "ask", ask)
    return found


def test_each_ring_is_marked(
    config: pathlib.Path, asked: list[tuple[str, Mapping[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    ctl.mark("x", config, None, as_json=True)
    assert [name for name, _ in asked] == ["a.control", "b.control", "c.control"]
    assert [each["ring"] for each in json.loads(capsys.readouterr().out)["answers"]] == ["a", "b", "c"]


@pytest.mark.parametrize("do", ["stop", "reload"])
def test_what_concerns_all_rings_is_asked_of_each_supervisor_once(
    config: pathlib.Path, asked: list[tuple[str, Mapping[str, Any]]], do: str
) -> None:
    getattr(ctl, do)(config, None, as_json=True)
    assert [name for name, _ in asked] == ["a.control", "c.control"]


def test_a_reload_says_whether_it_may_interrupt(
    config: pathlib.Path, asked: list[tuple[str, Mapping[str, Any]]], capfd: pytest.CaptureFixture[str]
) -> None:
    ctl.reload(config, ["c"], interrupt=True)
    assert asked == [("c.control", {"do": "reload", "interrupt": True})]
    assert capfd.readouterr().err == "nanotape: c: nothing has changed\n"
