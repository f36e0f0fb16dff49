"""Integration tests that use what a machine has once are marked `shared`, so that no two of them run at a time."""

from __future__ import annotations

import pathlib
import re

import pytest

ONCE = re.compile(r'interface="lo"|\bplain: Rig\b|hugepages: Callable|huge\.hugepages\(|free_port\(\)|huge_bytes\(\)')
"""Loopback and its ports, and huge pages."""
MARK = "mark.shared"


def unmarked(folder: pathlib.Path) -> list[str]:
    """Files that use such a thing and do not say so."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("test_*.py"))}
    return [name for name, text in texts.items() if ONCE.search(text) and MARK not in text]


def test_no_integration_test_uses_the_machines_own_unmarked(repository: pathlib.Path) -> None:
    assert unmarked(repository / "tests" / "integration") == []


@pytest.mark.parametrize(
    "line",
    [
        'rig(Wanted(kind="socket", interface="lo"))',
        "def test_x(plain: Rig) -> None:",
        "with huge.hugepages(72) as mount:",
    ],
)
def test_a_file_that_does_is_found(line: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_new.py").write_text(f"{line}\n", encoding="utf-8")
    (tmp_path / "test_other.py").write_text("def test_y(wired: Rig) -> None: ...\n", encoding="utf-8")
    assert unmarked(tmp_path) == ["test_new.py"]
    (tmp_path / "test_new.py").write_text(f"pytestmark = pytest.{MARK}\n{line}\n", encoding="utf-8")
    assert unmarked(tmp_path) == []
