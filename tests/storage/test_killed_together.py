"""Recorder and compactor killed with SIGKILL at random instants, alone and together, while a ring runs ahead of them.

Rows are counted, in what `open_archive` shows; events and stats are held against them, and never counters.
"""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from synthetic import SyntheticReader, SyntheticRing, assert_rows_are_theirs

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.encoder import Compression
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

CONTEXT = multiprocessing.get_context("fork")  # a new interpreter for each kill would take most of the time


def record(path: Path, newest: int, oldest: int, seed: int, begun: EventType) -> None:
    """Records what the ring holds, in small batches and small segments, and waits to be killed."""
    quiet()
    ring = SyntheticRing(newest=newest, oldest=oldest)
    options = RecorderOptions(
        batch_rows=random.Random(seed).choice((100, 300, 900)),
        rotate_bytes=60_000,
        fsync=(Fsync.NEVER, Fsync.INTERVAL, Fsync.BATCH)[seed % 3],
        flush_interval_s=0.01,
        idle_sleep_s=0,
        compression=Compression("zstd" if seed % 2 else "none"),
    )
    recorder = Recorder(ring, SyntheticReader(ring, 700, seed), Archive.create(path), options, log=lambda _: None)
    recorder.begin()
    begun.set()
    while recorder.step():
        pass
    if seed % 5 == 0:
        recorder.finish()
        return
    while True:
        recorder.step()
        time.sleep(0.002)


def compact_again_and_again(path: Path, seed: int, begun: EventType) -> None:
    """Compacts and merges until it is killed."""
    quiet()
    begun.set()
    archive = Archive(path)
    while True:
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        date = today if random.Random(seed).random() < 0.5 else None
        compact(archive, CompactOptions(date=date, grace_ns=0, budget_bytes=300_000), log=lambda _: None)


def quiet() -> None:
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def check(path: Path) -> tuple[int, int]:
    """Holds all that is visible against itself. Returns the last sequence, and how many are lost."""
    reader = open_archive(path)
    # The tables beside first: what is recorded meanwhile must not make a difference, and nothing is.
    stats, events = reader.stats(), reader.events(kind="capture_loss")
    rows = reader.packets(
        columns=["ring_seq", "lost_before", "channel", "line", "wire_len", "payload", "ts"]
    ).read_all()
    sequences = rows.column("ring_seq").to_numpy()
    lost = [
        np.arange(event["seq_first"], event["seq_last"] + 1)
        for event in events.select(["seq_first", "seq_last"]).to_pylist()
    ]
    accounted = np.sort(np.concatenate([sequences, *lost])) if len(sequences) or lost else np.empty(0, np.int64)
    assert np.array_equal(accounted, np.arange(1, len(accounted) + 1)), "each sequence is a row or in a loss, once"
    assert len(set(events.column("id").to_pylist())) == len(events)
    assert sum(rows.column("lost_before").to_pylist()) == sum(events.column("packets_lost").to_pylist())
    assert_rows_are_theirs(rows.select(["ring_seq", "payload", "ts"]))
    through = max(stats.column("ring_seq").to_pylist(), default=0)
    told: Counter[tuple[str, str | None]] = Counter()
    for row in stats.select(["channel", "line", "packets"]).to_pylist():
        told[row["channel"], row["line"]] += row["packets"]
    summed = rows.filter(pc.field("ring_seq") <= through).select(["channel", "line"]).to_pylist()
    assert told == Counter((row["channel"], row["line"]) for row in summed)
    return (int(sequences.max()) if len(sequences) else 0), sum(map(len, lost))


def kill(process: multiprocessing.process.BaseProcess) -> None:
    assert process.pid is not None
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


def kill_again_and_again(path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    Archive.create(path)
    newest, end, lost, killed, moved = 0, 0, 0, Counter[str](), 0
    while sum(killed.values()) < kills:
        number = sum(killed.values())
        newest += chance.choice((500, 3000, 6000))
        oldest = end + 1 + (chance.randint(1, 400) if chance.random() < 0.25 else 0)
        oldest = min(oldest, newest)
        which = chance.choice(("recorder", "compactor", "both"))
        processes, begun = [], CONTEXT.Event()
        if which != "compactor":
            processes.append(CONTEXT.Process(target=record, args=(path, newest, oldest, seed + number, begun)))
        if which != "recorder":
            processes.append(CONTEXT.Process(target=compact_again_and_again, args=(path, seed + number, begun)))
        for process in processes:
            process.start()
        if chance.random() < 0.7:  # the others are killed while they begin
            assert begun.wait(30)
        time.sleep(chance.uniform(0.005, 0.3))  # the instant of the kill, not a wait for something
        for process in chance.sample(processes, len(processes)):
            kill(process)
        killed[which] += 1
        before, (end, lost) = end, check(path)
        moved += end > before
    process = CONTEXT.Process(target=record, args=(path, newest + 500, end + 1, 0, CONTEXT.Event()))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    compact(Archive(path), CompactOptions(grace_ns=0), log=lambda _: None)
    assert check(path) == (newest + 500, lost)
    assert Archive(path).segments() == []
    assert open_archive(path).stats().column("packets").to_pylist() != []
    assert sum(open_archive(path).stats().column("packets").to_pylist()) == newest + 500 - lost
    assert moved > kills // 4, "most recorders must have got on"
    assert lost > 0


def test_eight_kills_of_recorder_and_compactor_leave_each_sequence_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "archive", 8, 20261128)


@pytest.mark.slow
def test_two_hundred_kills_of_recorder_and_compactor_leave_each_sequence_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "archive", 200, 5)
