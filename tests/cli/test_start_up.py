"""A verb loads what it needs and no more: to load all of them takes longer than most questions to an archive."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nanotape.cli.main import app
from nanotape.cli.verbs import VERBS

PROGRAM = """
import sys
sys.argv = ["nanotape", *{words!r}]
from nanotape.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
BEGINNINGS = ("nanotape.", "duckdb", "numpy", "pandas", "pyarrow", "pydantic")
names = sorted(name for name in sys.modules if name.startswith(BEGINNINGS))
print(*names, sep="\\n")
"""


def loaded(*words: str) -> set[str]:
    program = PROGRAM.format(words=list(words))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_the_version_needs_no_verb() -> None:
    assert not loaded("--version") & {f"nanotape.cli.{where.partition(':')[0]}" for where in VERBS.values()}


def test_a_question_to_an_archive_loads_neither_configuration_nor_capture(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    modules = loaded("query", str(tmp_path / "archive"), "SELECT count(*) FROM packets")
    assert {"nanotape.cli.query", "duckdb"} <= modules
    assert not {name for name in modules if name.startswith(("nanotape.config", "nanotape.capture", "nanotape.native"))}


def test_what_starts_a_service_loads_no_arrays() -> None:
    """They take as long as all else of a start, and nobody reads a ring there."""
    modules = loaded("run", "--help")
    assert {"nanotape.capture.ring", "nanotape.cli.supervise"} <= modules
    assert not modules & {"pyarrow", "numpy", "pandas", "duckdb", "nanotape.capture.reader"}


def test_a_recorder_does_not_load_pandas() -> None:
    """Which pyarrow does, where it is installed, with its first array."""
    pytest.importorskip("pandas")
    modules = loaded("record", "--help")
    assert "nanotape.storage.recorder" in modules
    assert "pandas" not in modules
    program = (
        "from nanotape.storage.rehearsal import rehearse; {}; rehearse(); import sys; print('pandas' in sys.modules)"
    )
    refuse = "from nanotape.storage.pandas_refusal import refuse_pandas; refuse_pandas()"
    assert printed(program.format(refuse)) == "False"
    assert printed(program.format("pass")) == "True", "pyarrow has given it up: this guard is not needed any more"


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_found_and_has_a_help(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert f" {name} " in done.output


def test_a_mistyped_verb_is_refused_with_one_like_it() -> None:
    done = CliRunner().invoke(app, ["qury"])
    assert done.exit_code == 2
    assert "Did you mean 'query'?" in done.output
