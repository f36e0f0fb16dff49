"""After a rehearsal a recorder loads no module any more: its user may not be able to read the folder they lie in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorder_bench import later

from nanotape.storage.archive import Archive
from nanotape.storage.segment_names import opened_ns, segment_name

PROGRAM = """
import sys
from pathlib import Path
import nanotape.cli.record
from feed_ring import FeedReader, FeedRing, feed_recorder
from nanotape.storage.archive import Archive
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.rehearsal import rehearse
from recorder_bench import later

class Closed:
    def find_spec(self, name, path=None, target=None):
        raise ModuleNotFoundError(f"{name}: the folder that it lies in may not be read any more")

if sys.argv[2] == "rehearsed":
    rehearse()
sys.meta_path.insert(0, Closed())
folder = Path(sys.argv[1])
for turn in range(2):  # the second one goes on
    ring = FeedRing(newest=2000 * (turn + 1))
    options = FeedOptions(is_live=False, facts_path=folder / "feeds.json")
    recorder = feed_recorder(ring, Archive.create(folder / "archive"), FeedReader(ring, 400), options)
    recorder._clock = recorder.recording._clock = clock = later(60 * turn)
    recorder.recording.told.path = folder / "segments.json"
    recorder.recording.clock_folder = folder / "clock"
    recorder.begin()
    for _ in range(20):
        recorder.step()
        clock.sleep(1)
    recorder.rotate()
    recorder.finish()
"""


def recorded(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM, str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def test_nothing_is_loaded_after_a_rehearsal(tmp_path: Path) -> None:
    done = recorded(tmp_path, "rehearsed")
    assert done.returncode == 0, done.stderr
    sequences = Archive(tmp_path / "archive").table(["ring_seq"]).column("ring_seq").to_pylist()
    assert sequences == list(range(1, 4001))
    assert (tmp_path / "segments.json").exists()
    assert (tmp_path / "feeds.json").exists()


def test_without_one_something_is(tmp_path: Path) -> None:
    """Else the rehearsal is not needed any more, or the test above sees nothing."""
    assert "ModuleNotFoundError" in recorded(tmp_path, "unrehearsed").stderr


@pytest.mark.parametrize("at_ns", [0, 1_795_207_020_123_456_789, later().utc_ns()])
def test_a_segments_name_tells_when_it_was_opened(at_ns: int) -> None:
    assert opened_ns(segment_name(at_ns, 7)) == at_ns
