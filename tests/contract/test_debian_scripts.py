"""What the .deb runs when it is installed and removed: Python is compiled once, and nothing of that stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "scripts" / "debian" / "units.sh"
TOOLS = ("sh", "find", "rm")


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


def run(root: Path, script: str, *words: str) -> None:
    """With none of systemd's tools: nothing of this host is changed."""
    environment = {"PATH": str(root / "tools"), "DPKG_ROOT": str(root)}
    shell = os.path.realpath(root / "tools" / "sh")
    text = (root / "DEBIAN" / script).read_text(encoding="ascii").replace("/run/systemd/system", "/nowhere")
    subprocess.run([shell, "-c", text, script, *words], check=True, env=environment)


def test_python_is_compiled_at_the_installation_and_what_came_of_it_goes_before_the_files_do(root: Path) -> None:
    lib = root / "opt" / "nanotape" / "lib"
    run(root, "postinst", "configure")
    assert [path.suffix for path in (lib / "__pycache__").iterdir()] == [".pyc"]
    run(root, "prerm", "remove")
    assert [path.name for path in lib.iterdir()] == ["module.py"]
