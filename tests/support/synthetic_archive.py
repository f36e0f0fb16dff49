"""An archive of a synthetic ring, for tests outside of tests/storage."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "storage"))

from recorder_bench import recorded
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive


def make_archive(path: Path, newest: int = 1000) -> Archive:
    """With the sequences 1 to `newest` of ring `demo`, in one segment, and all that a recorder tells beside them."""
    archive = Archive.create(path)
    recorded(archive, SyntheticRing(newest=newest))
    return archive
