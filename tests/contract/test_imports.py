"""The arrows between the parts hold, and each guard that says so is seen to fail when they do not."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

PARTS = ("native", "config", "capture", "storage", "tui", "cli")


def lint_imports(root: pathlib.Path, tree: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter with the repository's contracts over the folder that holds `nanotape`."""
    tool = shutil.which("lint-imports", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if tool is None:
        pytest.skip("import-linter is not installed")
    command = [tool, "--no-cache", "--config", os.fspath(root / "pyproject.toml")]
    environment = os.environ | {"PYTHONPATH": os.fspath(tree), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tree, timeout=120, check=False)


@pytest.fixture
def tree(repository: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the Python sources, laid out as they install."""
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__", "binding", "model")
        shutil.copytree(repository / part, tmp_path / "nanotape" / part, ignore=ignore)
    return tmp_path


def test_the_arrows_hold(repository: pathlib.Path, tree: pathlib.Path) -> None:
    done = lint_imports(repository, tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("config/backwards.py", "import nanotape.capture", "Arrows point one way"),
        ("native/sideways.py", "import nanotape.config", "Arrows point one way"),
        ("capture/upwards.py", "from nanotape import storage", "Arrows point one way"),
        ("storage/schema.py", "import nanotape.native", "Reading an archive needs no native code"),
        ("storage/errors.py", "import nanotape.capture", "Reading an archive needs no native code"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    repository: pathlib.Path, tree: pathlib.Path, module: str, line: str, contract: str
) -> None:
    target = tree / "nanotape" / module
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    target.write_text(f"{before}\n{line}\n", encoding="utf-8")
    done = lint_imports(repository, tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(row.startswith(contract) and "BROKEN" in row for row in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_a_bare_import_of_a_part_is_refused(repository: pathlib.Path, tmp_path: pathlib.Path, part: str) -> None:
    ruff = shutil.which("ruff", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if ruff is None:
        pytest.skip("ruff is not installed")
    bare, full = tmp_path / "bare.py", tmp_path / "full.py"
    bare.write_text(f"import {part}\n", encoding="utf-8")
    full.write_text(f"import nanotape.{part}\n", encoding="utf-8")
    base = [ruff, "check", "--no-cache", "--select", "TID251", "--config", os.fspath(repository / "pyproject.toml")]
    assert "TID251" in subprocess.run([*base, bare], capture_output=True, text=True, check=False).stdout
    assert subprocess.run([*base, full], capture_output=True, text=True, check=False).returncode == 0


# What reads a ring: the recorder's process, and an import, which fills one; all else does without.
READ_ONLY = """
import importlib, pkgutil, sys
import nanotape.storage.archive, nanotape.storage.schema
reading = {"record", "record_options", "capture_files", "import_ring", "import_session", "pcap_import"}
for module in pkgutil.walk_packages(nanotape.storage.__path__, "nanotape.storage."):
    if module.name.rpartition(".")[2] not in reading:
        importlib.import_module(module.name)
loaded = [name for name in sys.modules if name.startswith(("nanotape.native", "nanotape.capture"))]
assert not loaded, loaded
print(nanotape.storage.archive.__file__)
"""


def test_an_archive_is_read_in_a_tree_without_native_and_capture(tree: pathlib.Path) -> None:
    shutil.rmtree(tree / "nanotape" / "native")
    shutil.rmtree(tree / "nanotape" / "capture")
    # -P keeps the current folder out; PYTHONPATH comes before an installed nanotape, whose parts must not serve here.
    done = import_in(tree, READ_ONLY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(os.fspath(tree))


def test_an_archive_module_that_needs_capture_is_caught(tree: pathlib.Path) -> None:
    target = tree / "nanotape" / "storage" / "schema.py"
    target.write_text(target.read_text(encoding="utf-8") + "\nimport nanotape.capture\n", encoding="utf-8")
    assert import_in(tree, READ_ONLY).returncode != 0


def import_in(tree: pathlib.Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that sees the tree's `nanotape` only."""
    alone = f"import nanotape; nanotape.__path__ = [{os.fspath(tree / 'nanotape')!r}]\n"
    environment = os.environ | {"PYTHONPATH": os.fspath(tree)}
    command = [sys.executable, "-P", "-c", alone + program]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tree, timeout=120, check=False)
