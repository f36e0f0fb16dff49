"""Prove the ring's protocol with Spin, and prove that the proof can fail.

The whole model must pass; with any one fence removed it must not. Exit status 0, or 1 with the run that surprised.
Needs `spin` and a C compiler; usage: check.py [--deaths N] [--end N] for a wider search (make test-slow runs one).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).with_name("ring.pml")

FENCES = {
    "B": "writer: release fence between tail_intent and the payload",
    "C": "writer: release order of the tail store",
    "G": "writer: release order of the index store",
    "D": "reader: acquire order of the tail load",
    "E": "reader: acquire fence between the copy and the second look at tail_intent",
    "H": "reader: acquire order of the index load",
    "R": "restart: padding over what the dead writer scribbled on",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Spin said of one variant; `states` counts distinct states stored, `violation` is None when it proved."""

    states: int
    violation: str | None


def search(defines: list[str], folder: Path) -> Verdict:
    """Run Spin's exhaustive search of the model with these preprocessor definitions."""
    subprocess.run(["spin", "-a", *defines, str(MODEL)], cwd=folder, check=True, capture_output=True)
    compiler = ["cc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=8000", "-o", "pan", "pan.c"]
    subprocess.run(compiler, cwd=folder, check=True, capture_output=True)
    report = subprocess.run(["./pan", "-m2000000"], cwd=folder, check=True, capture_output=True, text=True).stdout
    errors = re.search(r"errors: (\d+)", report)
    stored = re.search(r"(\d+) states, stored", report)
    if errors is None or stored is None or "max search depth too small" in report or "out of memory" in report:
        raise RuntimeError(f"spin gave no whole answer:\n{report}")
    violation = re.search(r"pan:\d+: (.*)", report)
    return Verdict(int(stored[1]), None if errors[1] == "0" else (violation[1] if violation else "unnamed"))


def main() -> int:
    """Search the model, then each variant with a fence removed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--end", type=int, default=8, help="slots written before the writer stops")
    parser.add_argument("--deaths", type=int, default=1, help="how often the writer may be killed")
    options = parser.parse_args()
    bounds = [f"-DEND={options.end}", f"-DDEATHS={options.deaths}"]
    surprises = 0
    with tempfile.TemporaryDirectory(prefix="nanotape-model-") as name:
        folder = Path(name)
        whole = search(bounds, folder)
        sys.stdout.write(f"ring model: {whole.states} states, {whole.violation or 'no violation'}\n")
        surprises += whole.violation is not None
        for letter, meaning in FENCES.items():
            broken = search([f"-DNO_{letter}", *bounds], folder)
            surprises += broken.violation is None
            sys.stdout.write(
                f"  without {letter} ({meaning}): {broken.violation or 'STILL PROVED: the control fails'}\n"
            )
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
