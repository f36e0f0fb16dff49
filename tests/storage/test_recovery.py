import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import small_segments as small

from nanotape.storage import recovery, segment
from nanotape.storage.errors import StorageError
from nanotape.storage.recovery import Outcome, check_complete, recover_directory, recover_part
from nanotape.storage.segment import Fsync
from nanotape.storage.sidecar import ENTRY_BYTES, HEADER_BYTES


class Part:
    """The same part file again and again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path, self.ends = small.write_part(directory)
        self.sidecar_path = small.sidecar_of(self.path)
        self.data, self.sidecar = self.path.read_bytes(), self.sidecar_path.read_bytes()

    def restore(self, data: bytes | None = None, sidecar: bytes | None = None) -> None:
        for name in os.listdir(self.directory):
            (self.directory / name).unlink()
        self.path.write_bytes(self.data if data is None else data)
        self.sidecar_path.write_bytes(self.sidecar if sidecar is None else sidecar)

    def recover(self, batches: int) -> recovery.Recovery | None:
        """Recovers, and checks that exactly the first `batches` are there, all right, and nothing else is left."""
        reports = recover_directory(self.directory, Fsync.NEVER)
        assert len(reports) <= 1
        finished = self.path.with_suffix("")
        if batches == 0:
            assert not finished.exists()
            return reports[0] if reports else None
        assert small.names_in(self.directory) == sorted([finished.name, self.sidecar_path.name])
        assert small.decoded(small.read_back(finished)) == small.decoded(small.BATCHES[:batches])
        assert check_complete(finished) is None
        return reports[0] if reports else None


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part(tmp_path)


def test_a_part_is_finished_in_place_with_all_that_the_sidecar_covers(part: Part) -> None:
    report = part.recover(4)
    assert report is not None
    assert (report.outcome, report.rows, report.first_seq, report.last_seq) == (Outcome.FINISHED, 18, 7, 30)
    assert (report.cut_bytes, report.damage, report.rebuilt) == (0, None, False)
    assert recover_directory(part.directory) == [], "once is enough"


def test_a_recovered_segment_is_byte_for_byte_the_closed_one(part: Part, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    writer = small.open_segment(tmp_path / "closed")
    for one in small.BATCHES:
        writer.write(one)
    closed = writer.close()
    assert closed is not None
    assert recover_part(part.path).path.read_bytes() == closed.read_bytes()


def test_a_part_truncated_at_any_byte_keeps_every_whole_batch(part: Part) -> None:
    """The sidecar says more than the part holds, which no kill leaves behind, but a power cut does."""
    for length in range(len(part.data)):
        part.restore(part.data[:length])
        whole = sum(end <= length for end in part.ends)
        report = part.recover(whole)
        assert report is not None
        assert report.damage is not None, length
        assert (report.outcome == Outcome.SET_ASIDE) == (whole == 0)


def test_a_sidecar_truncated_at_any_byte_decides_what_is_kept(part: Part) -> None:
    rows_at = [slot for slot, rows in enumerate(entry_rows(part.sidecar)) if rows]
    for length in range(len(part.sidecar)):
        part.restore(sidecar=part.sidecar[:length])
        slots = (length - HEADER_BYTES) // ENTRY_BYTES
        report = part.recover(sum(slot < slots for slot in rows_at) if length >= HEADER_BYTES else 4)
        assert report is not None
        assert report.rebuilt == (length < HEADER_BYTES)
        assert report.damage is None


def entry_rows(data: bytes) -> list[int]:
    return [int.from_bytes(data[at + 32 : at + 36], "little") for at in range(HEADER_BYTES, len(data), ENTRY_BYTES)]


def test_a_kill_between_any_two_bytes_written_loses_only_the_tail(part: Part) -> None:
    """All states that the writer's order allows: part bytes of a batch, then its sidecar entries."""
    entries_end = [
        HEADER_BYTES + ENTRY_BYTES * (slot + 1) for slot, rows in enumerate(entry_rows(part.sidecar)) if rows
    ]
    part_length, sidecar_length = 8, HEADER_BYTES
    for done, (end, entry_end) in enumerate(zip(part.ends, entries_end, strict=True)):
        states = [(length, sidecar_length) for length in range(part_length, end)]
        states += [(end, length) for length in range(sidecar_length, entry_end)]
        for state in states:
            part.restore(part.data[: state[0]], part.sidecar[: state[1]])
            report = part.recover(done)
            assert report is not None
            assert report.damage is None
            assert report.outcome == (Outcome.FINISHED if done else Outcome.REMOVED)
            if not done:
                assert small.names_in(part.directory) == []
        part_length, sidecar_length = end, entry_end


@pytest.mark.parametrize("keep_sidecar", [False, True])
def test_a_part_without_a_usable_sidecar_keeps_every_whole_batch_at_any_length(part: Part, keep_sidecar: bool) -> None:
    for length in range(0, len(part.data), 3):
        part.restore(part.data[:length], b"" if keep_sidecar else None)
        if not keep_sidecar:
            part.sidecar_path.unlink()
        report = part.recover(sum(end <= length for end in part.ends))
        assert report is not None
        assert report.rebuilt
        assert report.outcome in (Outcome.FINISHED, Outcome.REMOVED)


def test_damage_in_the_middle_of_the_sidecar_is_bridged_by_decoding(part: Part) -> None:
    damaged = bytearray(part.sidecar)
    damaged[HEADER_BYTES + 2 * ENTRY_BYTES + 5] ^= 0x40
    part.restore(sidecar=bytes(damaged))
    report = part.recover(4)
    assert report is not None
    assert report.rebuilt
    assert part.sidecar_path.read_bytes() == part.sidecar, "and it is what it was"


def test_a_flipped_bit_anywhere_in_the_messages_ends_the_segment_before_it(part: Part) -> None:
    for position in range(8, len(part.data), 2):
        flipped = bytearray(part.data)
        flipped[position] ^= 1 << position // 2 % 8
        part.restore(bytes(flipped))
        report = part.recover(sum(end <= position for end in part.ends))
        assert report is not None
        assert report.damage is not None
        assert "crc32c" in report.damage


def test_without_the_checksum_flipped_bits_pass_in_silence(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without sums to compare, Arrow itself reads wrong rows from many a flipped bit."""
    monkeypatch.setattr(recovery, "checksum", lambda data: 0)
    entries = [
        recovery.SidecarEntry(e.offset, e.length, e.first_seq, e.last_seq, e.rows, 0)
        for e in recovery.sidecar.parse(part.sidecar).entries
    ]  # type: ignore[union-attr]
    blind = recovery.sidecar.pack(bytes(range(16)), entries)
    wrong = 0
    chance = random.Random(11)
    for _ in range(300):
        flipped = bytearray(part.data)
        position = chance.randrange(part.ends[0], len(flipped))
        flipped[position] ^= 1 << chance.randrange(8)
        part.restore(bytes(flipped), blind)
        try:
            recover_part(part.path, Fsync.NEVER)
            rows = small.decoded(small.read_back(part.path.with_suffix("")))
        except (StorageError, pa.ArrowException, OSError, IndexError, ValueError):
            continue
        wrong += rows != small.decoded(small.BATCHES)
    assert wrong > 20, f"only {wrong} of 300 flips gave wrong rows"


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def test_recovery_killed_at_any_of_its_steps_can_be_repeated(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that changes a file is preceded, and each write also halved, by a death; then recovery runs again."""
    torn = part.data[:-20]
    deaths = 0
    for step in range(100):
        part.restore(torn, part.sidecar)
        with monkeypatch.context() as patch:
            left = [step]
            die_at(patch, left)
            try:
                recover_directory(part.directory, Fsync.INTERVAL)
                survived = True
            except Killed:
                survived = False
                deaths += 1
        part.recover(3)
        if survived:
            break
    assert deaths >= 6, "ftruncate, the sidecar's replacement, footer, syncs, rename"


def test_a_writer_that_dies_in_any_of_its_writes_leaves_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar's entry after the message, never before it: else the sidecar would cover what is not there."""
    kept = []
    for step in range(100):
        directory = tmp_path / str(step)
        directory.mkdir()
        survived = False
        with monkeypatch.context() as patch:
            die_at(patch, [step])
            try:
                writer = small.open_segment(directory, fsync=Fsync.BATCH)
                for one in small.BATCHES:
                    writer.write(one)
                survived = True
            except Killed:
                pass
        reports = recover_directory(directory, Fsync.NEVER)
        assert [report.damage for report in reports] in ([], [None])
        kept.append(sum(report.rows for report in reports))
        if survived:
            break
    assert kept == sorted(kept)
    assert set(kept) == {0, 5, 8, 12, 18}


def die_at(patch: pytest.MonkeyPatch, left: list[int]) -> None:
    def dying(call: Any) -> Any:
        def changed(*arguments: Any, **options: Any) -> Any:
            if left[0] == 0:
                if call is os_pwrite:
                    call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2], *arguments[2:])
                raise Killed
            left[0] -= 1
            return call(*arguments, **options)

        return changed

    os_pwrite = os.pwrite
    for name in ("pwrite", "ftruncate", "rename", "fsync", "unlink"):
        patch.setattr(os, name, dying(getattr(os, name)))


def test_an_empty_part_is_removed_with_its_sidecar(tmp_path: Path) -> None:
    small.open_segment(tmp_path).abandon()
    assert [report.outcome for report in recover_directory(tmp_path)] == [Outcome.REMOVED]
    assert small.names_in(tmp_path) == []


def test_a_sidecar_that_belongs_to_nothing_is_removed_and_foreign_files_stay(part: Part) -> None:
    part.path.unlink()
    foreign = ["notes.txt", "x.arrow.part", "x.arrow.sum", "recorder.lock"]
    for name in foreign:
        (part.directory / name).write_text("mine")
    assert recover_directory(part.directory) == []
    assert small.names_in(part.directory) == sorted(foreign)


def test_a_part_beside_a_finished_segment_of_its_name_is_left_alone(part: Part) -> None:
    shutil.copy(part.path, part.path.with_suffix(""))
    with pytest.raises(StorageError, match="same name"):
        recover_directory(part.directory)


def test_a_part_whose_first_message_is_damaged_is_set_aside_not_deleted(part: Part) -> None:
    flipped = bytearray(part.data)
    flipped[100] ^= 1
    part.restore(bytes(flipped))
    report = part.recover(0)
    assert report is not None
    assert report.outcome == Outcome.SET_ASIDE
    assert report.path.read_bytes() == bytes(flipped)
    assert recover_directory(part.directory) == []


def test_every_flipped_bit_of_a_footer_is_found_by_the_check(part: Part) -> None:
    recover_part(part.path, Fsync.NEVER)
    finished = part.path.with_suffix("")
    whole = finished.read_bytes()
    for position in range(part.ends[-1], len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        finished.write_bytes(bytes(flipped))
        assert check_complete(finished) is not None
    finished.write_bytes(whole)
    assert check_complete(finished) is None


def test_recovery_costs_the_reading_of_the_file_and_no_rewriting(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    original = segment.write_at
    monkeypatch.setattr(
        segment, "write_at", lambda fd, data, at: (written.append(len(data)), original(fd, data, at))[1]
    )
    report = recover_part(part.path)
    assert written == [report.path.stat().st_size - part.ends[-1]], "the footer and nothing else"
