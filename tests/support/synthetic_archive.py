"""An archive of a synthetic ring, for tests outside of tests/storage."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "storage"))

from recorder_bench import later, recorded
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive


def make_archive(path: Path, newest: int = 1000) -> Archive:
    """With the sequences 1 to `newest` of ring `demo`, in one segment, and all that a recorder tells beside them."""
    archive = Archive.create(path)
    recorded(archive, SyntheticRing(newest=newest))
    return archive


def record_more(archive: Archive, oldest: int, newest: int, seconds: int = 10) -> None:
    """Goes on, `seconds` later, with what the ring holds by then."""
    recorded(archive, SyntheticRing(oldest=oldest, newest=newest), clock=later(seconds))
