"""The wheel under test: the one NANOTAPE_WHEEL names, else the one `make develop` left, else one built now."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import wheels


@pytest.fixture(scope="session")
def wheel(repository: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The path of a platform wheel of this tree."""
    named = os.environ.get("NANOTAPE_WHEEL")
    if named:
        return pathlib.Path(named).resolve()
    built = sorted((repository / "build" / "dist").glob("nanotape-*.whl"))
    return built[-1] if built else build_wheel(repository, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def pure_wheel(repository: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The path of a wheel without native code, as a quant's laptop builds it."""
    return build_wheel(repository, tmp_path_factory.mktemp("pure"), "-Csetup-args=-Dnative=disabled")


@pytest.fixture(scope="session")
def empty_environment(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The interpreter of an environment that holds the wheel and what it declares to need."""
    return wheels.install(wheel, tmp_path_factory.mktemp("environment"))


def build_wheel(repository: pathlib.Path, folder: pathlib.Path, *options: str) -> pathlib.Path:
    """Builds a wheel of the tree with the running environment's tools, away from the tree."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", f"-Cbuild-dir={folder / 'build'}", *options, "-w", os.fspath(folder)]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        [*command, os.fspath(repository)], capture_output=True, text=True, env=os.environ | {"PATH": path}, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return next(folder.glob("nanotape-*.whl"))
