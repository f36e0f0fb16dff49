"""What the wheel holds, what it must not hold, and that it works in an environment that has nothing else."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import zipfile

import pytest
import wheels

PARTS = ("native", "config", "capture", "storage", "tui", "cli")
EXECUTABLES = ("nanotape-holder", "nanotape-capture", "nanotape-bench")
SHIPPED_SUFFIXES = {
    ".py",
    ".pyi",
    ".so",
    ".toml",
    ".csv",
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".sysusers",
    ".tmpfiles",
    ".udev",
    ".yml",
    ".conf",
    ".sql",
    ".tcss",
    ".json",
}


def installed_files(wheel: pathlib.Path) -> list[zipfile.ZipInfo]:
    """Returns the wheel's files below `nanotape/`."""
    with zipfile.ZipFile(wheel) as archive:
        return [entry for entry in archive.infolist() if entry.filename.startswith("nanotape/") and not entry.is_dir()]


def strangers(names: list[str]) -> list[str]:
    """Returns what has no business in a wheel: sources of the C core, build files, prose, tests, caches."""
    known = {*EXECUTABLES, "py.typed"}
    return [
        name
        for name in names
        if (pathlib.PurePath(name).name not in known and pathlib.PurePath(name).suffix not in SHIPPED_SUFFIXES)
        or {"__pycache__", "tests", "model", "binding"} & set(pathlib.PurePath(name).parts)
    ]


def test_the_wheel_holds_every_part_and_nothing_for_builders(wheel: pathlib.Path) -> None:
    names = [entry.filename for entry in installed_files(wheel)]
    assert strangers(names) == []
    assert {f"nanotape/{part}/__init__.py" for part in PARTS} <= set(names)
    assert {f"nanotape/{part}/py.typed" for part in PARTS} <= set(names)
    assert "nanotape/__init__.py" not in names, "nanotape is a namespace package"


def test_the_list_of_strangers_sees_what_must_not_be_shipped() -> None:
    bad = [
        "nanotape/native/ring/writer.c",
        "nanotape/native/ring/layout.h",
        "nanotape/native/meson.build",
        "nanotape/native/PROTOCOL.md",
        "nanotape/native/binding/ring.cdef",
        "nanotape/native/binding/build.py",
        "nanotape/storage/__pycache__/archive.cpython-311.pyc",
        "nanotape/storage/tests/test_archive.py",
    ]
    assert strangers(bad) == bad


def test_every_python_file_of_the_tree_is_in_the_wheel(repository: pathlib.Path, wheel: pathlib.Path) -> None:
    names = {entry.filename for entry in installed_files(wheel)}
    expected = {
        f"nanotape/{path.relative_to(repository)}"
        for part in PARTS
        for path in (repository / part).rglob("*.py")
        if part != "native" or path.parent.name == "native"
    }
    assert expected - names == set(), "newer than the wheel? run `make develop`"


def test_the_executables_are_executable(wheel: pathlib.Path) -> None:
    modes = {pathlib.PurePath(entry.filename).name: entry.external_attr >> 16 for entry in installed_files(wheel)}
    for name in EXECUTABLES:
        assert modes[name] & 0o111 == 0o111, f"{name}: mode {modes[name]:o}"


def test_the_wheel_names_its_platform(wheel: pathlib.Path) -> None:
    assert "linux" in wheel.name
    assert "-none-any" not in wheel.name


IMPORT_EVERY_PART = """
import importlib, pathlib, subprocess, sys
import nanotape.native as native
assert pathlib.Path(native.__file__).is_relative_to(sys.prefix), native.__file__
for part in ("config", "capture", "storage", "storage.archive", "storage.schema", "tui", "cli", "cli.main"):
    importlib.import_module(f"nanotape.{part}")
for name in ("nanotape-holder", "nanotape-capture"):
    command = [native.executable(name), "--plan", "/nonexistent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2), (name, done)
    assert len(done.stderr.strip().splitlines()) == 1, (name, done)
"""


def test_the_wheel_works_in_an_empty_environment(empty_environment: pathlib.Path) -> None:
    done = subprocess.run(
        [empty_environment, "-P", "-c", IMPORT_EVERY_PART], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_says_what_it_can_do_in_an_empty_environment(empty_environment: pathlib.Path) -> None:
    done = subprocess.run(
        [empty_environment.parent / "nanotape", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "capture" in done.stdout


def test_a_pure_build_reads_archives_and_says_what_it_lacks(pure_wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    names = [entry.filename for entry in installed_files(pure_wheel)]
    assert not [name for name in names if name.endswith(".so") or pathlib.PurePath(name).name in EXECUTABLES]
    python = wheels.install(pure_wheel, tmp_path / "environment")
    read = [python, "-P", "-c", "import nanotape.storage.archive, nanotape.storage.schema"]
    subprocess.run(read, check=True, timeout=60)
    done = subprocess.run([python, "-P", "-c", "import nanotape.native"], capture_output=True, text=True, check=False)
    assert "this build can read archives only" in done.stderr


@pytest.mark.slow
def test_the_wheel_and_its_dependencies_install_from_the_index(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    python = tmp_path / "environment" / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "-q", wheel], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    subprocess.run([python, "-P", "-c", "import nanotape.native, nanotape.storage.archive"], check=True)
