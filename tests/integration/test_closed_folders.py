"""Folders that a user may not enter: said in a line, or taken for absent, and never a traceback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanotape.capture.errors import PermissionDenied, PlaceUnusable
from nanotape.capture.host.measure import nearest_folder
from nanotape.capture.host.root import HostRoot
from nanotape.capture.host.tuning_files import write_folder
from nanotape.capture.listing import list_rings
from nanotape.capture.support.parts import support_parts
from nanotape.config import loads

pytestmark = pytest.mark.root

NOBODY = 65534


@pytest.fixture
def closed() -> Iterator[Path]:
    """Of root alone; whoever asks is nobody."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        folder = Path(place) / "closed"
        folder.mkdir(mode=0o700)
        Path(place).chmod(0o755)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("below", ["", "shm"])
def test_rings_that_may_not_be_listed_are_not_taken_for_none(closed: Path, below: str) -> None:
    with pytest.raises(PermissionDenied, match="cannot be listed: Permission denied; run as root, or"):
        list_rings(closed / below)


def test_a_tuning_is_refused_in_one_line(closed: Path) -> None:
    with pytest.raises(PlaceUnusable, match="cannot be written: Permission denied; name another folder"):
        write_folder(closed / "tuning", {"README.md": "x"})


def test_checks_take_what_they_may_not_see_for_absent(closed: Path) -> None:
    assert not HostRoot(closed).exists("sys/class/net")
    assert nearest_folder(closed / "archive" / "deep") == closed


def test_a_bundle_goes_without_the_state_files(closed: Path) -> None:
    names = [part.name for part in support_parts(loads(f'[paths]\nrun_dir = "{closed}/run"\n'), None)]
    assert "status.json" in names
    assert not any(name.startswith("run/") for name in names)
