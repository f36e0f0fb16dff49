"""What the .deb runs when it is installed and removed: Python is compiled once, and nothing of that stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "scripts" / "debian" / "units.sh"
TOOLS = ("sh", "find", "rm", "rmdir")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package's root, with a module to compile."""
    subprocess.run([UNITS, tmp_path], check=True, cwd=UNITS.parents[2])
    home = tmp_path / "opt" / "nanotape"
    for folder in (home / "bin", home / "lib"):
        folder.mkdir(parents=True)
    (home / "bin" / "python").symlink_to(sys.executable)
    (home / "lib" / "module.py").write_text("x = 1\n", encoding="ascii")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def run(root: Path, script: str, *words: str, installed_root: str | None = None) -> str:
    """With none of systemd's tools, or one that only writes down what it is asked for: this host stays as it is."""
    environment = {"PATH": str(root / "tools"), "DPKG_ROOT": str(root) if installed_root is None else installed_root}
    shell = os.path.realpath(root / "tools" / "sh")
    text = (root / "DEBIAN" / script).read_text(encoding="ascii")
    for place in ("/run/systemd/system", "/etc/systemd/system", "/opt/nanotape"):
        before = "" if place.startswith("/run") else "${DPKG_ROOT:-}"
        text = text.replace(f'"{before}"{place}', place).replace(f"{before}{place}", place)
        text = text.replace(place, f"{root}{place}")
    done = subprocess.run(
        [shell, "-c", text, script, *words], check=True, env=environment, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@pytest.fixture
def asked(root: Path) -> Path:
    """What systemctl is asked for, on a host that systemd runs and that has rings enabled."""
    log = root / "asked"
    (root / "run" / "systemd" / "system").mkdir(parents=True)
    wants = root / "etc" / "systemd" / "system" / "nanotape.target.wants"
    wants.mkdir(parents=True)
    (wants / "nanotape-capture@main.service").symlink_to("/usr/lib/systemd/system/nanotape-capture@.service")
    (wants / "another.service").symlink_to("/usr/lib/systemd/system/another.service")
    for name in ("systemctl", "udevadm"):
        tool = root / "tools" / name
        tool.write_text(f'#!/bin/sh\necho "$@" >>{log}\n', encoding="ascii")
        tool.chmod(0o755)
    log.touch()
    return log


def test_python_is_compiled_at_the_installation_and_what_came_of_it_goes_before_the_files_do(root: Path) -> None:
    lib = root / "opt" / "nanotape" / "lib"
    run(root, "postinst", "configure")
    assert [path.suffix for path in (lib / "__pycache__").iterdir()] == [".pyc"]
    run(root, "prerm", "remove")
    assert [path.name for path in lib.iterdir()] == ["module.py"]


def test_a_removal_stops_all_units_and_disables_what_was_enabled(root: Path, asked: Path) -> None:
    run(root, "prerm", "remove", installed_root="")
    stop, *rest = asked.read_text(encoding="ascii").splitlines()
    assert stop == "stop nanotape.target nanotape-*.timer nanotape-*.service"
    assert rest == ["--quiet --no-reload disable nanotape-capture@main.service"]
    run(root, "postrm", "remove", installed_root="")
    assert asked.read_text(encoding="ascii").splitlines()[-1] == "daemon-reload"


def test_an_upgrade_stops_nothing_and_says_what_goes_on(root: Path, asked: Path) -> None:
    run(root, "prerm", "upgrade", "0.2.0", installed_root="")
    assert asked.read_text(encoding="ascii") == ""
    said = run(root, "postinst", "configure", "0.1.0", installed_root="")
    assert "goes on as version 0.1.0" in said
    assert "stop" not in asked.read_text(encoding="ascii")
    assert run(root, "postinst", "configure", installed_root="") == ""


def test_where_a_root_is_being_made_no_unit_is_touched(root: Path, asked: Path) -> None:
    for script in ("prerm", "postrm"):
        run(root, script, "remove")
    assert asked.read_text(encoding="ascii") == ""


def test_a_purge_takes_the_drop_ins_that_are_ours_and_leaves_others(root: Path) -> None:
    system = root / "etc" / "systemd" / "system"
    for name, files in {"record@main": ["50-nanotape.conf"], "record@b": ["50-nanotape.conf", "60-mine.conf"]}.items():
        folder = system / f"nanotape-{name}.service.d"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).touch()
    run(root, "postrm", "remove")
    assert len(list(system.rglob("*.conf"))) == 3
    run(root, "postrm", "purge")
    assert [str(path.relative_to(system)) for path in system.rglob("*")] == [
        "nanotape-record@b.service.d", "nanotape-record@b.service.d/60-mine.conf",
    ]  # fmt: skip


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_shells_find_nothing_wrong_with_the_scripts(root: Path, script: str) -> None:
    path = root / "DEBIAN" / script
    dash, shellcheck = shutil.which("dash"), shutil.which("shellcheck")
    if dash is None or shellcheck is None:
        pytest.skip("needs dash and shellcheck (apt-get install dash shellcheck)")
    subprocess.run([dash, "-n", path], check=True)
    subprocess.run([shellcheck, path], check=True)
