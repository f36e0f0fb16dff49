import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from pcapng_file import PcapngFile, parse
from recorder_bench import Bench, HandClock, later, recorded
from synthetic import FIRST_TS, RING_ID, SyntheticRing, payloads

from nanotape.storage import atomic_file, export_target, open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import ExportError, FilterError, QueryError
from nanotape.storage.export import ExportOptions, ExportReport, export
from nanotape.storage.frame_stream import FrameChoice, frame_stream
from nanotape.storage.selection import Selection

COMMENT, DROP_COUNT, IF_NAME = 1, 4, 2


def exported(archive: Archive | list[Path], choice: FrameChoice | None = None, **options: Any) -> PcapngFile:
    return parse(exported_bytes(archive, choice, **options)[0])


def exported_bytes(
    archive: Archive | list[Path], choice: FrameChoice | None = None, **options: Any
) -> tuple[bytes, ExportReport]:
    output = io.BytesIO()
    reader = open_archive(archive.path if isinstance(archive, Archive) else [*archive])
    report = export(reader, None, output, ExportOptions(choice or FrameChoice(), **options))
    return output.getvalue(), report


def sequences(file: PcapngFile) -> list[int]:
    """The ring sequences, which payloads tell."""
    return [int.from_bytes(packet.frame[42:50], "big") for packet in file.packets]


def stamps(file: PcapngFile) -> list[int]:
    return [packet.fields["ts"] for packet in file.packets]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """1 to 1000 in Parquet files, 1001 to 1300 in a segment, 1301 to 1500 live; only to be read."""
    archive = Archive.create(tmp_path_factory.mktemp("mixed") / "archive")
    recorded(archive, SyntheticRing(newest=1000))
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    recorded(archive, SyntheticRing(newest=1300), clock=later())
    live = Bench(archive, SyntheticRing(newest=1500), batch_rows=100, clock=later(20))
    live.recorder.begin()
    live.record_all()
    archive.bench = live  # type: ignore[attr-defined] # keeps it from being collected
    return archive


@pytest.fixture
def lapped(archive: Archive) -> Archive:
    """1 to 100 and 151 to 300: fifty were lost."""
    bench = Bench(archive, SyntheticRing(newest=100))
    bench.recorder.begin()
    bench.record_all()
    bench.ring.oldest, bench.ring.newest = 151, 300
    bench.record_all()
    bench.recorder.finish()
    return archive


def test_parquet_segments_and_live_rows_come_in_the_order_of_the_ring(mixed: Archive) -> None:
    file = exported(mixed)
    expected = list(range(1, 1501))
    assert sequences(file) == expected
    assert stamps(file) == [FIRST_TS + seq for seq in expected]
    header = bytes(range(42))
    assert file.packets[6].frame == header + payloads(np.array([7])).tobytes()


def test_each_interface_of_a_ring_is_announced_by_its_name(mixed: Archive) -> None:
    file = exported(mixed)
    names = [block.text(IF_NAME) for block in file.interfaces]
    assert sorted(filter(None, names)) == ["eth1", "eth8", "eth9"]
    rows = open_archive(mixed.path).packets(columns=["ring_seq", "interface"]).read_all().to_pylist()
    interface = {row["ring_seq"]: row["interface"] for row in rows}
    found = [names[packet.fields["interface"]] for packet in file.packets]
    assert found == [interface[seq] for seq in sequences(file)]


def test_a_loss_is_a_drop_count_and_a_comment_on_the_packet_after_it(lapped: Archive) -> None:
    data, report = exported_bytes(lapped)
    marked = {
        seq: (packet.number(DROP_COUNT), packet.text(COMMENT))
        for seq, packet in zip(sequences(parse(data)), parse(data).packets, strict=True)
        if DROP_COUNT in packet.options
    }
    assert list(marked) == [151]
    drops, comment = marked[151]
    assert drops == 50
    assert comment is not None
    assert "nanotape capture_loss: ring sequences 101-150" in comment
    assert "packets_lost 50" in comment
    assert report.drops == 50


def test_a_drop_count_is_of_its_row_alone_when_others_are_left_out(lapped: Archive) -> None:
    file = exported(lapped, FrameChoice(where="ring_seq >= 152"))
    assert sequences(file) == list(range(152, 301))
    assert all(packet.number(DROP_COUNT) is None for packet in file.packets)


def test_what_is_chosen_by_channel_line_time_and_condition_and_nothing_else_is_exported(mixed: Archive) -> None:
    rows = open_archive(mixed.path).packets(columns=["ring_seq", "channel", "line"]).read_all().to_pylist()
    line = sorted(row["ring_seq"] for row in rows if row["line"] == "A")
    assert sequences(exported(mixed, FrameChoice(Selection.of(line="A")))) == line
    between = Selection.of(start=FIRST_TS + 990, end=FIRST_TS + 1310)
    assert sequences(exported(mixed, FrameChoice(between))) == list(range(990, 1310))
    assert sequences(exported(mixed, FrameChoice(between, "ring_seq % 2 = 0 -- even"))) == list(range(990, 1310, 2))
    assert sequences(exported(mixed, FrameChoice(last_ns=10))) == list(range(1490, 1501))
    assert sequences(exported(mixed, FrameChoice(Selection.of(channel="none")))) == []


def test_around_an_event_is_what_lies_within_the_pad_of_it(lapped: Archive) -> None:
    events = open_archive(lapped.path).events(kind="capture_loss")
    (identity,) = events.column("id").to_pylist()
    start, end = (events.column(name).cast("int64").to_pylist()[0] for name in ("ts_start", "ts_end"))
    first, last = start - 20, (end or start) + 20
    expected = [seq for seq in (*range(1, 101), *range(151, 301)) if first <= FIRST_TS + seq <= last]
    assert sequences(exported(lapped, FrameChoice(around=identity, pad_ns=20))) == expected
    with pytest.raises(QueryError, match="event nothing: expected the id of one in this archive"):
        exported(lapped, FrameChoice(around="nothing"))


def test_a_condition_that_is_no_sql_is_one_line(mixed: Archive) -> None:
    with pytest.raises(QueryError, match=r"condition .nonsense = 1.: .*nonsense") as refusal:
        exported(mixed, FrameChoice(where="nonsense = 1"))
    assert "\n" not in str(refusal.value)


def test_a_filter_that_libpcap_refuses_is_told_in_its_words(mixed: Archive) -> None:
    with pytest.raises(FilterError, match=r"filter 'udp prt 5': .*libpcap says: .+"):
        exported(mixed, filter_text="udp prt 5")


def test_frames_pass_by_their_bytes_and_their_length(mixed: Archive) -> None:
    assert len(exported(mixed, filter_text="greater 58").packets) == 1500
    assert len(exported(mixed, filter_text="greater 59").packets) == 0
    assert sequences(exported(mixed, filter_text="ether[49] = 7 and ether[48] = 1")) == [256 + 7]


def test_an_export_of_nothing_is_a_file_that_tcpdump_reads(mixed: Archive, tmp_path: Path) -> None:
    data, report = exported_bytes(mixed, FrameChoice(where="false"))
    assert report.packets == 0
    assert report.first_ns is None
    assert len(parse(data).interfaces) == 1


def test_several_rings_are_merged_by_time(tmp_path: Path) -> None:
    paths = []
    for host, ring_id in (("box", RING_ID), ("other", "f" * 32)):
        paths.append(tmp_path / host)
        ring = SyntheticRing(host=host, ring_id=ring_id, newest=200)
        recorded(Archive.create(paths[-1]), ring)
    file = exported(paths)
    assert stamps(file) == [FIRST_TS + seq for seq in range(1, 201) for _ in range(2)]
    assert len(file.interfaces) == 6


def test_frames_of_zstd_can_be_read_alone_by_the_table_at_the_end(
    mixed: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_target, "FRAME_BYTES", 20_000)
    plain, _ = exported_bytes(mixed)
    packed, _ = exported_bytes(mixed, zstd=True)
    with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
        assert reader.read() == plain
    count, descriptor, magic = struct.unpack("<IBI", packed[-9:])
    assert (magic, descriptor) == (0x8F92EAB1, 0)
    assert count == -(-len(plain) // 20_000)
    sizes = list(struct.iter_unpack("<II", packed[-9 - 8 * count : -9]))
    assert struct.unpack("<II", packed[-17 - 8 * count : -9 - 8 * count]) == (0x184D2A5E, 8 * count + 9)
    at = sum(compressed for compressed, _ in sizes[:2])
    third = zstandard.ZstdDecompressor().decompress(packed[at : at + sizes[2][0]])
    assert third == plain[40_000:60_000]


def test_after_a_failure_an_older_file_is_as_it_was_and_nothing_else_is_there(
    mixed: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "here" / "file.pcapng"
    target.parent.mkdir()
    target.write_bytes(b"older")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_file.os, "fsync", fail)
    with pytest.raises(ExportError, match="cannot be written: No space left on device; make room"):
        export(open_archive(mixed.path), target, io.BytesIO())
    assert [path.name for path in target.parent.iterdir()] == ["file.pcapng"]
    assert target.read_bytes() == b"older"


def test_what_comes_while_it_is_read_is_not_in_it(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    stream = frame_stream(open_archive(archive.path), FrameChoice())
    recorded(archive, SyntheticRing(name="late", ring_id="e" * 32, newest=10))
    bench.ring.newest = 200
    bench.record_all()
    found = [seq for table in stream.moderate_tables() for seq in table.column("ring_seq").to_pylist()]
    assert found == list(range(1, 101))
    assert stream.packets == 100
