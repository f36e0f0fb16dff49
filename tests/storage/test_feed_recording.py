"""What is missing is told once, whatever becomes of the recorders that tell it."""

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from feed_ring import FeedReader, FeedRing, faults, feed_recorder

from nanotape.capture.link_watch import LinkOutage
from nanotape.storage import feed_recording
from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveError
from nanotape.storage.feed_findings import Found
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_state import STATE_NAME
from nanotape.storage.feed_told import ToldBefore

PROGRAM = Path(__file__).with_name("feed_ring.py")
KINDS = ("feed_gap", "duplicate", "reorder", "feed_reset", "session")


def told(path: Path) -> Counter[tuple[str, str, int, str | None]]:
    """Events of the feed: kind, line, sequence, line that had it."""
    rows = Archive(path).rows("events", ["kind", "line", "seq_first", "filled_by"])
    return Counter(
        (each["kind"], each["line"], each["seq_first"], each["filled_by"])
        for each in rows.to_pylist()
        if each["kind"] in KINDS
    )


def record(path: Path, newest: int, *, is_last: bool = False) -> None:
    ring = FeedRing(newest=newest)
    recorder = feed_recorder(ring, Archive.create(path), FeedReader(ring))
    recorder.begin()
    while recorder.step():
        pass
    recorder.ring_gone = is_last
    recorder.finish()


def test_a_restart_is_no_gap_and_what_is_missing_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    for newest in (2_000, 2_001, 5_000, 5_000, 9_000):
        record(path, newest, is_last=newest == 9_000)
    assert told(path) == Counter(faults(9_000))


def test_an_outage_that_ends_as_the_recorder_does_is_told_to_be_over(tmp_path: Path) -> None:
    """Else it would stand as one that goes on."""
    over: list[LinkOutage] = []
    ring = FeedRing(newest=100)
    options = FeedOptions(is_live=False, links=lambda: over)
    recorder = feed_recorder(ring, Archive.create(tmp_path / "archive"), FeedReader(ring), options)
    recorder.begin()
    while recorder.step():
        pass
    over.append(LinkOutage("eth1", 1_000, 2_000, "carrier"))
    recorder.finish()
    links = [each for each in Archive(tmp_path / "archive").rows("events").to_pylist() if each["kind"] == "link"]
    assert [each["severity"] for each in links] == ["warning"]


def test_what_was_told_before_is_known_with_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    record(path, 2_000)
    ring = FeedRing(newest=2_000)
    before = ToldBefore(Archive(path), ring, 0, 2_000)
    [*_, event] = [each for each in Archive(path).rows("events").to_pylist() if each["kind"] == "feed_gap"]
    flow = next(each for each in ring.flows() if each.line == event["line"])
    session, _, key = event["feed_key"].partition("/")
    found = Found(
        "gap", 0, flow.id, session, key or None, None, event["seq_first"], event["seq_last"], 1, 1, 0, 0, 1, 2, None, 0
    )
    assert before.cause_of(found) == event["cause"] == "unknown"
    assert before.cause_of(replace(found, seq_first=3, seq_last=3)) is None
    assert before.cause_of(replace(found, ring_seq=2_001)) is None


def test_without_a_state_sequences_are_followed_from_the_next_packet_on(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    record(path, 2_000)
    for state in (path / "segments" / "demo").glob("feeds.state*"):
        state.write_bytes(b'{"version": 1}\n')
    record(path, 4_000, is_last=True)
    lacking = Counter(faults(4_000)) - told(path)
    assert told(path) == Counter(faults(4_000)) - lacking
    assert {(kind, line) for kind, line, _, _ in lacking} == {("feed_gap", "A"), ("feed_gap", "B")}
    assert all(900 < seq < 1_100 for _, _, seq, _ in lacking), "what was not told when the state was lost"


def test_a_damaged_state_is_not_used_and_the_one_before_is(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    for newest in (2_000, 3_000):
        record(path, newest)
    state = path / "segments" / "demo" / STATE_NAME
    assert state.with_name(f"{STATE_NAME}.old").exists()
    damaged = bytearray(state.read_bytes())
    damaged[-5] ^= 1
    state.write_bytes(damaged)
    record(path, 4_000, is_last=True)
    assert told(path) == Counter(faults(4_000))


def test_a_state_that_is_ahead_of_the_archive_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    record(path, 2_000)
    folder = path / "segments" / "demo"
    ahead = (folder / STATE_NAME).read_bytes().replace(b'"ring_seq": 2000', b'"ring_seq": 9999', 1)
    (folder / STATE_NAME).write_bytes(ahead)
    (folder / f"{STATE_NAME}.old").unlink(missing_ok=True)
    record(path, 4_000, is_last=True)
    assert not told(path) - Counter(faults(4_000))
    assert len(Counter(faults(4_000)) - told(path)) == 2


def test_recorded_packets_that_cannot_be_read_any_more_are_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state is older than the last packets; the disk has damaged these."""
    path = tmp_path / "archive"
    record(path, 2_000)
    state = path / "segments" / "demo" / STATE_NAME
    before = state.read_bytes()
    record(path, 2_600)
    state.write_bytes(before)
    state.with_name(f"{STATE_NAME}.old").write_bytes(before)

    def unreadable(*_: object) -> None:
        raise ArchiveError("cannot be read")

    known = told(path)
    monkeypatch.setattr(feed_recording, "rows_after", unreadable)
    record(path, 2_610, is_last=True)
    assert not told(path) - known - Counter(faults(2_610))


def test_a_ring_that_was_made_anew_goes_on_with_the_sequences_of_the_last_one(tmp_path: Path) -> None:
    """What came between the two is missing since nobody captured it."""
    path = tmp_path / "archive"
    record(path, 2_000)
    ring = FeedRing(newest=3_000, oldest=2_201, ring_id="f" * 32)
    reader = FeedReader(ring)
    recorder = feed_recorder(ring, Archive.create(path), reader, start="latest")
    ring.newest = 2_200
    recorder.begin()
    ring.newest = 3_000
    while recorder.step():
        pass
    recorder.ring_gone = True
    recorder.finish()
    rows = Archive(path).rows("events", ["kind", "line", "cause", "stage", "seq_first", "seq_last", "messages_lost"])
    away = [each for each in rows.to_pylist() if each["stage"] == "not_running"]
    assert sorted(each["line"] for each in away) == ["A", "B"]
    assert {each["cause"] for each in away} == {"ours"}
    first = {line: FeedReader(ring)._plans["AB".index(line)].sequences[1_000] for line in "AB"}
    assert {each["line"]: each["seq_first"] for each in away} == {line: first[line] for line in "AB"}


def test_a_channel_of_an_unknown_framing_is_recorded_and_not_decoded(tmp_path: Path) -> None:
    class Forgotten(FeedRing):
        def flows(self) -> tuple[Any, ...]:
            return tuple(replace(flow, framing="house") for flow in super().flows())

    ring = Forgotten(newest=100)
    recorder = feed_recorder(ring, Archive.create(tmp_path / "archive"), FeedReader(ring))
    recorder.begin()
    while recorder.step():
        pass
    recorder.finish()
    rows = Archive(tmp_path / "archive").table(["ring_seq", "feed_seq"])
    assert (rows.num_rows, rows.column("feed_seq").null_count) == (100, 100)


def kill_again_and_again(path: Path, kills: int, seed: int) -> None:
    """Each recorder has a little more of the ring to record, and is killed at some instant."""
    chance, newest = random.Random(seed), 0
    Archive.create(path)
    for _ in range(kills):
        newest += chance.randrange(1_500, 4_000)
        command = [sys.executable, str(PROGRAM), str(path), str(newest), str(chance.randrange(1 << 30))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(chance.uniform(0, 0.4))  # the instant of the kill is what is tried here
            process.kill()
            process.wait()
    record(path, newest, is_last=True)
    assert told(path) == Counter(faults(newest))


def test_three_kills_leave_each_fault_told_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "archive", 3, 20261128)


@pytest.mark.slow
def test_sixty_kills_leave_each_fault_told_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "archive", 60, 6)
