"""What a clock service wrote is held against what an archive has: over restarts, kills, recorders side by side."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clock_lines import SECOND_NS, JournalWriter, change, line_of, sample
from clock_twin import bound_of
from recorder_bench import Bench, HandClock, later
from synthetic import FIRST_TS, SyntheticRing

from nanotape.storage import clock_told, open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.clock_entries import ClockChange, ClockSample
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.manifest import MANIFEST_NAME
from nanotape.storage.verify import verify

T = HandClock().utc_ns()
NAMES = [field.name for field in fields(ClockSample) if field.name not in ("at_ns", "growth_ppb")]


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    return JournalWriter(tmp_path / "run" / "clock")


def bench_of(
    archive: Archive, folder: Path, seconds: int = 0, ring: SyntheticRing | None = None, **options: Any
) -> Bench:
    bench = Bench(archive, ring or SyntheticRing(newest=100), clock=later(seconds), **options)
    bench.recorder.recording.clock_folder = folder
    bench.recorder.begin()
    return bench


def die(bench: Bench) -> None:
    """What the kernel does to the locks of a killed process."""
    bench.die()
    assert bench.recorder.recording._clocks is not None
    bench.recorder.recording._clocks.let_go()


def ticked(bench: Bench, seconds: int = 6) -> None:
    for _ in range(seconds):
        bench.clock.sleep(1)
        bench.recorder.step()


def samples_of(archive: Archive) -> list[tuple[Any, ...]]:
    rows = archive.rows("clock")
    stamps = rows.column("ts").cast(pa.int64()).to_pylist()
    columns = [rows.column(name).to_pylist() for name in NAMES]
    return list(zip(stamps, *columns, strict=True))


def row_of(entry: ClockSample) -> tuple[Any, ...]:
    return (entry.at_ns, *(getattr(entry, name) for name in NAMES))


def changes_of(archive: Archive) -> list[tuple[Any, ...]]:
    rows = archive.rows("events")
    ends = [rows.column(name).cast(pa.int64()).to_pylist() for name in ("ts_start", "ts_end")]
    told = zip(*ends, *(rows.column(name).to_pylist() for name in ("kind", "stage", "severity", "detail")), strict=True)
    return [(begin, end, *rest) for begin, end, kind, *rest in told if kind == "clock"]


def event_of(entry: ClockChange) -> tuple[Any, ...]:
    return (entry.at_ns, entry.end_ns, entry.what, entry.severity, f"{entry.clock}: {entry.detail}")


def assert_all_is_told_once(archive: Archive, writer: JournalWriter) -> None:
    assert Counter(samples_of(archive)) == Counter(map(row_of, writer.samples))
    assert Counter(changes_of(archive)) == Counter(map(event_of, writer.changes))


def test_each_sample_is_a_row_with_all_its_columns_and_each_change_an_event(
    archive: Archive, writer: JournalWriter
) -> None:
    writer.write(sample(T), sample(T, 30, "ptp0"), ClockSample(T + 1, "ptp1", "unknown"), change(T))
    bench = bench_of(archive, writer.folder)
    bench.record_all()
    ticked(bench)
    writer.write(
        sample(T + SECOND_NS), change(T, end_ns=T + 1), change(T + 5, "ptp0: new master", what="master", clock="ptp0")
    )
    ticked(bench)
    bench.recorder.finish()
    assert Counter(samples_of(archive)) == Counter(map(row_of, writer.samples))
    assert [each[-1] for each in changes_of(archive)] == ["system: locked -> holdover"] * 2 + ["ptp0: new master"]
    rows = archive.rows("clock", ["host", "ring", "ring_id", "ring_seq"]).to_pylist()
    ring = bench.ring
    assert {(row["host"], row["ring"], row["ring_id"]) for row in rows} == {(ring.host, ring.name, ring.ring_id)}
    assert {row["ring_seq"] for row in rows} == {0, 100}
    assert verify(archive).findings == []


def test_rows_are_seen_while_the_recorder_goes_on(archive: Archive, writer: JournalWriter) -> None:
    bench = bench_of(archive, writer.folder)
    bench.record_all()
    for second in range(20):
        writer.write(sample(T + second * SECOND_NS))
        ticked(bench, 1)
    assert 15 <= len(samples_of(archive)) <= 20
    bench.recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_restarts_kills_and_compactions_tell_nothing_twice_and_nothing_is_missing(
    archive: Archive, writer: JournalWriter
) -> None:
    for run in range(8):
        now = T + run * 100 * SECOND_NS
        writer.write(sample(now), change(now), sample(now + 1))  # while nobody records
        ring = SyntheticRing(newest=100 * run + 100, ring_id=f"{run // 3:032x}")
        bench = bench_of(archive, writer.folder, 100 * run, ring)
        bench.record_all()
        ticked(bench, 2)
        writer.write(sample(now + 2), change(now, end_ns=now + 2), sample(now + 2, clock="ptp0"))
        ticked(bench, (0, 1, 10)[run % 3])
        if run % 2:
            die(bench)
        else:
            bench.recorder.finish()
        if run in (2, 5):
            compact(archive, CompactOptions(grace_ns=0), clock=later(100 * run + 50), log=lambda _: None)
            assert list((archive.path / "clock").glob("date=*/*.parquet"))
        if run == 4:
            writer.rotate()
    bench_of(archive, writer.folder, 900, SyntheticRing(newest=900, ring_id=f"{2:032x}")).recorder.finish()
    assert_all_is_told_once(archive, writer)
    assert open_archive(archive.path).clock().num_rows == len(writer.samples)


def test_what_waited_for_the_disk_when_a_recorder_was_killed_is_told_by_the_next(
    archive: Archive, writer: JournalWriter
) -> None:
    bench = bench_of(archive, writer.folder)
    writer.write(sample(T), change(T))
    bench.recorder.recording._clocks._look()  # type: ignore[union-attr]
    die(bench)
    assert samples_of(archive) == changes_of(archive) == []
    bench_of(archive, writer.folder, 10).recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_a_clock_that_is_set_back_is_recorded_on(archive: Archive, writer: JournalWriter) -> None:
    writer.write(*(sample(T + at * SECOND_NS) for at in (0, 100, 200)))
    bench_of(archive, writer.folder).recorder.finish()
    writer.write(
        *(sample(T + at * SECOND_NS) for at in (50, 51, 52)), change(T + 50 * SECOND_NS, "-150 s", what="step")
    )
    bench_of(archive, writer.folder, 10).recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_of_several_recorders_one_tells_and_another_takes_over_when_it_ends_or_is_killed(
    archive: Archive, writer: JournalWriter
) -> None:
    rings = [SyntheticRing(name=name, ring_id=f"{at:032x}", newest=10) for at, name in enumerate(("a", "b", "c"))]
    benches = [bench_of(archive, writer.folder, ring=ring) for ring in rings]
    for round_, leaves in enumerate(
        (lambda bench: bench.recorder.finish(), die, lambda bench: bench.recorder.finish())
    ):
        now = T + round_ * 100 * SECOND_NS
        writer.write(sample(now), change(now), sample(now + 1))
        for bench in benches:
            ticked(bench)
        assert_all_is_told_once(archive, writer)
        assert set(archive.rows("clock", ["ring"]).column("ring").to_pylist()) == set("abc"[: round_ + 1])
        writer.write(sample(now + 2), change(now, end_ns=now + 2))
        leaves(benches.pop(0))
    assert_all_is_told_once(archive, writer)


def test_every_packet_has_the_twins_bound_and_so_it_has_once_it_is_compacted(
    archive: Archive, writer: JournalWriter
) -> None:
    steps = [(0, 100), (100, 5_000_000), (150, None), (200, 70), (10**10, 9)]
    for after, error in steps:
        writer.write(sample(FIRST_TS + after, error, growth_ppb=10**8))
    bench = bench_of(archive, writer.folder, ring=SyntheticRing(newest=400), largest=37)
    bench.record_all()
    bench.recorder.finish()
    expected = {seq: bound_of(writer.samples, FIRST_TS + seq, "xdp", None) for seq in range(1, 401)}
    assert len(set(expected.values())) > 20
    for _ in range(2):
        rows = archive.table(["ring_seq", "ts_error_ns"]).to_pylist()
        assert {row["ring_seq"]: row["ts_error_ns"] for row in rows} == expected
        compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)


def test_a_nics_stamps_have_the_bound_of_the_clock_of_the_sources_interface(
    archive: Archive, writer: JournalWriter
) -> None:
    ring = SyntheticRing(newest=60)
    writer.write(sample(FIRST_TS, 500), sample(FIRST_TS, 20, "ptp9", interface="eth9"))
    bench = bench_of(archive, writer.folder, ring=ring)
    take = bench.reader.take

    def stamped() -> pa.RecordBatch | None:
        batch = take()
        if batch is None:
            return None
        at = batch.schema.get_field_index("ts_kind")
        codes = pa.array(batch.column("ring_seq").to_numpy() % 3 == 0).cast(pa.int32())
        kinds = pa.DictionaryArray.from_arrays(codes, pa.array(["nic", "xdp"]))
        return batch.set_column(at, batch.schema.field(at), kinds)

    bench.reader.take = stamped  # type: ignore[method-assign]
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "ts_error_ns"]).to_pylist()
    of_slot = ("eth8", "eth9")
    assert rows == [
        {
            "ring_seq": seq,
            "ts_error_ns": bound_of(writer.samples, FIRST_TS + seq, "xdp" if seq % 3 == 0 else "nic", of_slot[seq % 2]),
        }
        for seq in range(1, 61)
    ]
    assert len({row["ts_error_ns"] for row in rows}) == 3


def test_without_a_clock_service_nothing_is_known_and_nothing_is_told(archive: Archive, tmp_path: Path) -> None:
    bench = bench_of(archive, tmp_path / "nowhere")
    bench.record_all()
    ticked(bench)
    bench.recorder.finish()
    assert archive.table(["ts_error_ns"]).column(0).null_count == 100
    assert samples_of(archive) == changes_of(archive) == []
    assert bench.lines == []


def test_a_service_that_begins_later_is_heard(archive: Archive, tmp_path: Path) -> None:
    bench = bench_of(archive, tmp_path / "run" / "clock")
    ticked(bench, 2)
    writer = JournalWriter(tmp_path / "run" / "clock")
    writer.write(sample(T), change(T))
    ticked(bench, 2)
    bench.recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_rows_that_went_with_their_folder_are_told_again(archive: Archive, writer: JournalWriter) -> None:
    writer.write(sample(T), change(T))
    bench = bench_of(archive, writer.folder)
    bench.record_all()
    ticked(bench)
    assert_all_is_told_once(archive, writer)
    folder = archive.path / "segments" / "demo"
    folder.rename(archive.path / "away")
    ticked(bench)
    bench.recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_an_archive_that_does_not_say_what_it_has_is_complained_of_once_and_asked_again(
    archive: Archive, writer: JournalWriter
) -> None:
    writer.write(sample(T, error_ns=700), change(T))
    day = archive.path / "clock" / "date=2026-11-20"
    day.mkdir(parents=True)
    (day / MANIFEST_NAME).write_text("{")
    bench = bench_of(archive, writer.folder)
    ticked(bench, 40)
    assert [line for line in bench.lines if "clocks are not recorded until that is mended" in line] == bench.lines
    assert len(bench.lines) == 1
    (day / MANIFEST_NAME).unlink()
    ticked(bench, 12)
    bench.recorder.finish()
    assert_all_is_told_once(archive, writer)


def test_a_recorder_that_hears_of_no_service_leaves_the_telling_to_one_that_does(
    archive: Archive, writer: JournalWriter, tmp_path: Path
) -> None:
    deaf = bench_of(archive, tmp_path / "nowhere", ring=SyntheticRing(name="a", ring_id="a" * 32))
    writer.write(sample(T), change(T))
    bench_of(archive, writer.folder, ring=SyntheticRing(name="b", ring_id="b" * 32)).recorder.finish()
    assert_all_is_told_once(archive, writer)
    deaf.recorder.finish()


def test_a_clock_that_was_not_set_yet_makes_nobody_read_the_years_between(
    archive: Archive, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400 * SECOND_NS
    for number, at_ns in enumerate((1, T - 200 * day, T - day, T)):
        writer.write(sample(at_ns), change(at_ns), sample(at_ns + 1))
        bench_of(archive, writer.folder, 10 * number).recorder.finish()
        compact(archive, CompactOptions(grace_ns=0), clock=later(10 * number + 5), log=lambda _: None)
    opened: list[str] = []
    read = clock_told.read_parquet
    monkeypatch.setattr(
        clock_told, "read_parquet", lambda file, schema: opened.append(file.table) or read(file, schema)
    )
    del writer.entries[3:6]  # hours are kept, not months
    writer.path.write_bytes(b"".join(map(line_of, writer.entries)))
    bench_of(archive, writer.folder, 50).recorder.finish()
    assert opened.count("clock") == 3, "of four days, one of which nothing is asked of"
    assert len(samples_of(archive)) == 8
    assert len(changes_of(archive)) == 4


def test_bounds_are_known_though_another_recorder_tells(archive: Archive, writer: JournalWriter) -> None:
    writer.write(sample(FIRST_TS, 40, growth_ppb=0))
    first = bench_of(archive, writer.folder, ring=SyntheticRing(name="a", ring_id="a" * 32))
    second = bench_of(archive, writer.folder, ring=SyntheticRing(name="b", ring_id="b" * 32, newest=10))
    second.record_all()
    second.recorder.finish()
    first.recorder.finish()
    assert archive.table(["ts_error_ns"]).column(0).to_pylist() == [41] * 10
