"""What `make dist` builds works on a host that has neither compiler nor internet, nor libbpf, nor libxdp."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = ("libbpf", "libxdp")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist() -> pathlib.Path:
    """The folder that `make dist` fills, made now."""
    done = subprocess.run(["make", "dist"], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / "dist"


def needed(path: pathlib.Path) -> set[str]:
    """The shared libraries that a file asks for by itself."""
    told = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    return {line.partition("[")[2].rstrip("]") for line in told.splitlines() if "(NEEDED)" in line}


def without_network(command: list[str], **options: str) -> str:
    """Runs a command in a network namespace that has no way out; returns its output."""
    environment = {**os.environ, **options}
    wrapped = ["unshare", "--net", *command] if os.geteuid() == 0 else command
    done = subprocess.run(wrapped, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheelhouse_is_all_that_is_needed(dist: pathlib.Path, tmp_path: pathlib.Path) -> None:
    without_network([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    pip = [str(tmp_path / "venv/bin/pip"), "install", "-qq", "--no-index", "--only-binary", ":all:"]
    without_network([*pip, "--find-links", str(dist / "wheelhouse"), "nanotape"])
    told = without_network([str(tmp_path / "venv/bin/nanotape"), "--version"])
    for name in OWN:
        assert re.search(rf"{name} \S+ static", told), told
    [holder] = tmp_path.rglob("nanotape-holder")
    for path in (holder, *holder.parent.glob("nanotape-*"), *holder.parent.glob("*.so")):
        assert not any(library.startswith(OWN) for library in needed(path)), path


def test_the_debian_package_brings_its_own_environment(dist: pathlib.Path, tmp_path: pathlib.Path) -> None:
    [package] = dist.glob("nanotape_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    python = tmp_path / "opt/nanotape/bin/python"
    where = without_network(
        [str(python), "-P", "-c", "import nanotape.native as n; print(n.executable('nanotape-holder'))"]
    )
    assert where.startswith(str(tmp_path))
    assert without_network([str(python), "-P", "-m", "nanotape.cli.main", "--version"]).startswith("nanotape ")
    assert os.readlink(tmp_path / "usr/bin/nanotape") == "/opt/nanotape/bin/nanotape"
    fields = subprocess.run(["dpkg-deb", "-f", str(package)], capture_output=True, text=True, check=True).stdout
    assert "\nDepends: python3." in fields
    listed = subprocess.run(["dpkg-deb", "-c", str(package)], capture_output=True, text=True, check=True).stdout
    assert all(line.split()[1] == "root/root" for line in listed.splitlines())
    assert "__pycache__" not in listed
    units = {path.name for path in (tmp_path / "usr/lib/systemd/system").iterdir()}
    assert {"nanotape-capture@.service", "nanotape-record@.service", "nanotape.target"} <= units
    for folder in ("sysusers.d", "tmpfiles.d"):
        assert (tmp_path / "usr/lib" / folder / "nanotape.conf").read_text().strip()
