"""Retention, compaction and a recorder at work on one archive at once, each killed again and again."""

import itertools
import random
import subprocess
import sys
import time

import pytest
import synthetic
from deadline import wait_for
from synthetic import RING_ID, assert_rows_are_theirs

from nanotape.storage.archive import Archive
from nanotape.storage.clock import SystemClock
from nanotape.storage.manifest import read_manifests
from nanotape.storage.retention import Retention, RetentionPolicy

RETENTION = """
import sys
import time
from pathlib import Path
from nanotape.storage.archive import Archive
from nanotape.storage.clock import SystemClock
from nanotape.storage.retention import Retention, RetentionPolicy, Room

policy = RetentionPolicy(keep_free=lambda total: 1, grace_ns=0, host="box")
retention = Retention(Archive(sys.argv[1]), policy, SystemClock(), lambda _: None, lambda _: Room(0, 0))
while True:
    retention.enforce()
    time.sleep(0.3)  # so that compaction has its share
"""
COMPACTION = """
import sys
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import StorageError

while True:
    try:
        compact(Archive(sys.argv[1]), CompactOptions(grace_ns=0, budget_bytes=1 << 20), log=lambda _: None)
    except (StorageError, OSError):
        pass  # retention was quicker
"""


class Restless:
    """A process that is killed and started anew."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.kills = 0
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *self._arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def kill(self) -> None:
        self.end()
        self.kills += 1
        self.process = self._start()

    def end(self) -> bytes:
        self.process.kill()
        return self.process.communicate()[1]


@pytest.mark.slow
def test_every_row_is_visible_or_told_as_deleted_and_none_is_both(archive: Archive) -> None:
    newest, rounds, dice = 400_000, 40, random.Random(4)
    recorder = Restless(synthetic.__file__, str(archive.path), str(newest), "2")
    wait_for(lambda: bool(archive.segments()), "the first segment", 30)
    all_of_them = [recorder, *(Restless("-c", code, str(archive.path)) for code in (RETENTION, COMPACTION))]
    try:
        for _ in range(rounds):
            time.sleep(dice.uniform(0.2, 1.2))  # no condition: any instant will do
            one = dice.choice(all_of_them)
            if one.process.poll() != 0:  # a recorder that has recorded all has nothing more to lose
                one.kill()
        wait_for(lambda: recorder.process.poll() is not None, "the recorder's end", 60)
    finally:
        said = [each.end() for each in all_of_them]
    assert recorder.process.returncode == 0
    assert sum(each.kills for each in all_of_them) > rounds // 2
    assert not [line for line in said if b"Traceback" in line], said
    _end_what_was_begun(archive)
    rows = archive.table(["ring_seq", "ts", "payload"])
    visible = rows.column("ring_seq").to_pylist()
    assert len(visible) == len(set(visible))
    assert_rows_are_theirs(rows)
    events = archive.rows("events", ["id", "kind", "packets_lost"]).to_pylist()
    told = [each for each in events if each["kind"] == "retention"]
    assert len({each["id"] for each in told}) == len(told)
    assert sum(each["packets_lost"] for each in told) == newest - len(visible)
    gone = [each for manifest in read_manifests(archive.path, "packets") for each in manifest.gone]
    assert sum(each.rows for each in gone) == newest - len(visible)
    assert {each.path.partition("/")[0] for each in gone} == {"segments", "packets"}
    ranges = sorted(
        (held.first_seq, held.last_seq, each.path.startswith("segments"))
        for each in gone
        for held in each.rings.values()
    )
    assert ranges[0][0] == 1
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges) if one[2] or other[2])
    assert archive.visible().ends[RING_ID] == newest


def _end_what_was_begun(archive: Archive) -> None:
    """As the next look does."""
    policy = RetentionPolicy(keep_free=lambda _total: 0, grace_ns=0, host="box")
    Retention(archive, policy, SystemClock(), lambda _line: None).enforce()
