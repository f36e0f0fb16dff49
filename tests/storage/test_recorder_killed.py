import os
import random
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthetic import RING_ID, assert_rows_are_theirs

from nanotape.storage.archive import Archive
from nanotape.storage.resume import archive_end
from nanotape.storage.settlement import accounted_end
from nanotape.storage.verify import verify

PROGRAM = Path(__file__).parent / "synthetic.py"
ROWS_A_KILL = 35_000
"""More than are recorded before one; most are recorded by the last, whom nobody kills."""
KILLS = [6, pytest.param(20, marks=pytest.mark.slow)]


def start(archive: Archive, newest: int, seed: int, *settled: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(archive.path), str(newest), str(seed), *settled],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "importing done\n"
    return process


def kill_at_random(process: subprocess.Popen[str], chance: random.Random, kill: int) -> None:
    """Every fourth one while it begins, or right after: under load that takes longer than all the rest."""
    assert process.stdout is not None
    begins = kill % 4 == 0
    if not begins:
        assert process.stdout.readline() == "begun\n"
    said = select.select([process.stdout], [], [], chance.uniform(0.001, 0.12))[0]
    process.kill()
    process.wait()
    assert begins or not said, "it must be killed while it records: raise ROWS_A_KILL"


def numbers(kills: int, reached: list[int]) -> Iterator[int]:
    """Of so many kills, and of more while most hit a recorder that had not got on: on a loaded machine they do."""
    for kill in range(4 * kills):
        if kill >= kills and len(set(reached)) > kills // 2:
            return
        yield kill


@pytest.mark.parametrize("kills", KILLS)
def test_a_recorder_killed_at_random_instants_records_each_sequence_once(kills: int, archive: Archive) -> None:
    """Rows in the archive are counted, not counters."""
    chance = random.Random(20261120)
    reached: list[int] = []
    newest = kills * ROWS_A_KILL
    for kill in numbers(kills, reached):
        with start(archive, newest, kill) as process:
            kill_at_random(process, chance, kill)
        reached.append((archive_end(archive.path / "segments" / "demo", RING_ID).last_seq or 0) + 1)
        visible = archive.table(["ring_seq"]).column("ring_seq").to_pylist()
        assert visible == list(range(1, reached[-1])), "whole rows from the first on, recovered or not"
    assert reached == sorted(reached)
    assert len(set(reached)) > kills // 2, "most kills must hit a recorder that had got on"
    with start(archive, newest, kills | 1) as process:
        assert process.communicate(timeout=120)[0] == "begun\nfinished\n"
    table = archive.table(["ring_seq", "payload", "ts", "lost_before"])
    assert table.column("ring_seq").to_pylist() == list(range(1, newest + 1))
    assert sum(table.column("lost_before").to_pylist()) == 0
    assert_rows_are_theirs(table)
    assert all(facts.complete for facts in archive.segments())
    assert verify(archive).findings == []


@pytest.mark.parametrize("kills", KILLS)
def test_a_recorder_that_leaves_packets_out_records_the_others_once_whenever_it_is_killed(
    kills: int, archive: Archive, tmp_path: Path
) -> None:
    """Each time, the ring has dropped by then what the dead recorder had said that it had dealt with."""
    chance = random.Random(20261121)
    settled = tmp_path / "settled"
    reached: list[int] = []
    newest = kills * ROWS_A_KILL
    for kill in numbers(kills, reached):
        with start(archive, newest, kill, str(settled)) as process:
            kill_at_random(process, chance, kill)
        reached.append(accounted_end(archive.path / "segments" / "demo", RING_ID))
        assert reached[-1] >= int.from_bytes(settled.read_bytes(), "little")
    assert reached == sorted(reached)
    assert len(set(reached)) > kills // 2, "most kills must hit a recorder that had got on"
    with start(archive, newest, kills | 1, str(settled)) as process:
        assert process.communicate(timeout=120)[0] == "begun\nfinished\n"
    table = archive.table(["ring_seq", "payload", "ts", "lost_before"])
    assert table.column("ring_seq").to_pylist() == [each for each in range(1, newest + 1) if each % 3]
    assert sum(table.column("lost_before").to_pylist()) == 0
    assert_rows_are_theirs(table)
    assert verify(archive).findings == []
