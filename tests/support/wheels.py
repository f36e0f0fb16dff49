"""An empty environment with a wheel in it: its own interpreter, the dependencies that the wheel declares, nothing else.

The dependencies are copied from the running environment, so that this needs no network.
"""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

from packaging.requirements import Requirement


def declared(wheel: pathlib.Path) -> list[Requirement]:
    """Returns what the wheel says it needs, without extras."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needs = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def closure(needs: list[Requirement]) -> dict[str, importlib.metadata.Distribution]:
    """Returns the installed distributions that the requirements and theirs ask for."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(needs)
    while waiting:
        need = waiting.pop()
        if need.name.lower() in found:
            continue
        distribution = importlib.metadata.distribution(need.name)
        found[need.name.lower()] = distribution
        for text in distribution.requires or []:
            below = Requirement(text)
            extras = need.extras or {""}
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(below)
    return found


def install(wheel: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Makes the environment in `folder`, installs the wheel, checks it, and returns the interpreter's path."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
    site = pathlib.Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    for distribution in closure(declared(wheel)).values():
        for file in distribution.files or []:
            source = pathlib.Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(source, target)
    pip = [python, "-m", "pip", "--isolated", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "--no-index", "--no-deps", wheel], check=True, timeout=300)
    subprocess.run([*pip, "check"], check=True, timeout=120, stdout=subprocess.DEVNULL)
    return python


def link_or_copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Hard-links where both lie on one file system: pyarrow alone has 150 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
