"""Segments and parts that are cut off anywhere, or have a bit flipped: read right, recovered, or refused by name.

The long forms visit every byte and ten thousand bits; the short ones some of them, chosen by chance.
"""

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from recorder_bench import Bench
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.errors import StorageError
from nanotape.storage.recovery import Outcome, recover_part

ROWS = 60


class Specimen:
    """An archive of one small segment, that can be damaged again and again."""

    def __init__(self, folder: Path, *, complete: bool) -> None:
        self.archive = Archive.create(folder / ("complete" if complete else "live"))
        bench = Bench(self.archive, SyntheticRing(newest=ROWS), batch_rows=20)
        bench.recorder.begin()
        bench.record_all()
        if complete:
            bench.recorder.finish()
        else:
            bench.recorder.recording.files.let_go()
        [facts] = self.archive.segments()
        self.path, self.sums = facts.path, facts.path.with_name(facts.name + ".arrow.sum")
        self.whole, self.whole_sums = self.path.read_bytes(), self.sums.read_bytes()
        self.truth = self.archive.table()
        assert self.truth.num_rows == ROWS

    def restore(self, segment: bytes | None = None, sums: bytes | None = None) -> None:
        for each in self.path.parent.glob("2*"):
            each.unlink()
        self.path.write_bytes(self.whole if segment is None else segment)
        self.sums.write_bytes(self.whole_sums if sums is None else sums)

    def read(self) -> pa.Table | None:
        """What the archive shows; None: refused, by name."""
        try:
            rows = self.archive.table()
        except StorageError as error:
            said = str(error)
            if self.path.name.partition(".arrow")[0] not in said or "\n" in said:
                pytest.fail(f"a line that names the file expected, found {said}")
            return None
        assert rows.equals(self.truth.slice(0, rows.num_rows)), "never a wrong row"
        return rows

    def recover(self) -> int:
        """Rows that are read after recovery; they are right."""
        report = recover_part(self.path)
        rows = self.read()
        assert rows is not None
        assert rows.num_rows == (report.rows if report.outcome == Outcome.FINISHED else 0)
        return rows.num_rows


@pytest.fixture
def segment(tmp_path: Path) -> Specimen:
    return Specimen(tmp_path, complete=True)


@pytest.fixture
def part(tmp_path: Path) -> Specimen:
    return Specimen(tmp_path, complete=False)


def cut_complete(specimen: Specimen, lengths: list[int]) -> None:
    for length in lengths:
        specimen.restore(specimen.whole[:length])
        assert specimen.read() is None, f"cut to {length} bytes: it was complete once"


def cut_part(specimen: Specimen, lengths: list[int]) -> None:
    before = 0
    for length in sorted(lengths):
        specimen.restore(specimen.whole[:length])
        specimen.read()
        rows = specimen.recover()
        assert rows >= before
        before = rows
    assert before == ROWS or len(specimen.whole) not in lengths


def flip(specimen: Specimen, flips: int, seed: int) -> None:
    chance = random.Random(seed)
    refused = read = recovered = 0
    for _ in range(flips):
        damaged, sums = bytearray(specimen.whole), bytearray(specimen.whole_sums)
        target = sums if chance.random() < 0.1 else damaged
        target[chance.randrange(len(target))] ^= 1 << chance.randrange(8)
        specimen.restore(bytes(damaged), bytes(sums))
        if specimen.read() is None:
            refused += 1
        else:
            read += 1
        if specimen.path.suffix == ".part":
            recovered += specimen.recover() > 0
    assert refused > flips // 2, "nearly all flips are seen"
    if specimen.path.suffix == ".part":
        assert recovered > flips // 4


def test_a_complete_segment_that_is_cut_off_is_refused_by_name(segment: Specimen) -> None:
    cut_complete(segment, [*random.Random(1).sample(range(len(segment.whole)), 150), 0, len(segment.whole) - 1])


def test_a_part_that_is_cut_off_is_recovered_up_to_its_last_whole_batch(part: Specimen) -> None:
    cut_part(part, [*random.Random(2).sample(range(len(part.whole)), 80), 0, len(part.whole)])


def test_a_flipped_bit_is_never_a_wrong_row(segment: Specimen, part: Specimen) -> None:
    flip(segment, 250, 3)
    flip(part, 100, 4)


@pytest.mark.slow
def test_a_complete_segment_is_refused_wherever_it_is_cut_off(segment: Specimen) -> None:
    cut_complete(segment, list(range(len(segment.whole))))


@pytest.mark.slow
def test_a_part_is_recovered_wherever_it_is_cut_off(part: Specimen) -> None:
    cut_part(part, list(range(len(part.whole) + 1)))


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_never_a_wrong_row(segment: Specimen, part: Specimen) -> None:
    flip(segment, 7000, 5)
    flip(part, 3000, 6)


def test_a_segment_without_sidecar_is_decoded_in_full_and_cut_ones_refused(segment: Specimen) -> None:
    segment.sums.unlink()
    assert segment.read() is not None
    shutil.copy(segment.path, segment.path.with_suffix(".copy"))
    segment.path.write_bytes(segment.whole[: len(segment.whole) // 2])
    assert segment.read() is None
