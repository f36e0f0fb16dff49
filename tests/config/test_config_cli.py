"""`nanotape config`: data to stdout, talk to stderr, exit status 0 or 2, never a traceback."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nanotape.cli.config import app
from nanotape.config import load, loads

RUN = CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "nanotape.toml"
    file.write_text('[ring]\nname = "x"\n', encoding="utf-8")
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.toml"
    file.write_text("[ring]\nnam = 1\ncapacity = 1\n", encoding="utf-8")
    return file


def test_check_says_in_one_line_that_all_is_fine(file: Path) -> None:
    done = RUN.invoke(app, ["check", "-c", str(file)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}: fine: ")
    assert done.stdout.count("\n") == 1


def test_check_tells_every_mistake_on_stderr_and_exits_with_2(bad: Path) -> None:
    done = RUN.invoke(app, ["check", "-c", str(bad)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split(" expected")[0] for line in done.stderr.splitlines()] == [
        f"{bad}:2: ring.nam:",
        f"{bad}:3: ring.capacity:",
    ]


def test_check_speaks_json_in_both_cases(file: Path, bad: Path) -> None:
    fine = RUN.invoke(app, ["check", "--json", "-c", str(file)])
    assert fine.exit_code == 0
    assert json.loads(fine.stdout) == {
        "fine": True,
        "errors": [],
        "files": [str(file)],
        "source": "afxdp",
        "select": "channels",
        "interfaces": [],
        "channels": 0,
        "flows": 0,
        "ring": "x",
        "ring_bytes": 256 << 20,
    }
    refused = RUN.invoke(app, ["check", "--json", "-c", str(bad)])
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["fine"] is False
    assert json.loads(refused.stdout)["errors"] == refused.stderr.splitlines()


def test_show_prints_toml_that_loads_to_the_same(file: Path) -> None:
    done = RUN.invoke(app, ["show", "-c", str(file)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert loads(done.stdout) == load(file)
    assert f'name = "x"  # {file}:2\n' in done.stdout


def test_show_speaks_json(file: Path) -> None:
    facts = json.loads(RUN.invoke(app, ["show", "--json", "-c", str(file)]).stdout)
    assert facts["settings"]["ring"]["name"] == "x"
    assert facts["origins"]["ring.name"] == f"{file}:2"


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_missing_file_is_one_line_and_2(tmp_path: Path, verb: str) -> None:
    done = RUN.invoke(app, [verb, "-c", str(tmp_path / "none.toml")])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_schema_prints_json() -> None:
    done = RUN.invoke(app, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")
