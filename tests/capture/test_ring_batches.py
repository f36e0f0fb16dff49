"""Batches and packets against what a writer put into the ring, through the real binding."""

import itertools
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from frames import ethernet, ipv4, ipv6, market_data, udp
from ring_writer import EPOCH_NS, RingWriter, Written, fault

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA, TS_KINDS
from nanotape.capture.errors import RingCorrupt, RingReplaced, SequenceNotWritten
from nanotape.capture.reader import Resume, RingReader, Start
from nanotape.capture.ring import Ring
from nanotape.native import lib

RX_DELAY_UNKNOWN = -(2**31)


@pytest.fixture
def writer() -> RingWriter:
    return RingWriter.private(1 << 20)


@pytest.fixture
def ring(writer: RingWriter) -> Ring:
    return Ring(writer.handle)


def read_all(ring: Ring) -> pa.Table:
    return pa.Table.from_batches(ring.batches(start="oldest", idle=0), RING_SCHEMA)


def must_read(reader: RingReader, max_rows: int = 1000, max_bytes: int = 1 << 20) -> pa.RecordBatch:
    batch = reader.read(max_rows, max_bytes)
    assert batch is not None
    return batch


def test_an_empty_ring_gives_no_batch(ring: Ring) -> None:
    assert ring.reader().read() is None
    assert list(ring.batches(idle=0)) == []


def test_a_batch_is_valid_arrow_and_equals_what_was_written(writer: RingWriter, ring: Ring) -> None:
    writer.write(
        Written(
            market_data(b"one"), ts_ns=EPOCH_NS + 1, ts_kind=0, rx_delay_ns=-5, flow_id=7, flow_seq=2**63, source=9
        ),
        Written(ethernet(ipv6(udp(b"two")), (0x8100, 42)) + b"end", ts_kind=4, rx_delay_ns=RX_DELAY_UNKNOWN, flags=3),
    )
    batch = must_read(ring.reader("oldest"))
    batch.validate(full=True)
    assert batch.schema.equals(RING_SCHEMA, check_metadata=True)
    table = batch.drop_columns(["ts"]).to_pylist()
    assert batch["ts"].cast(pa.int64()).to_pylist() == [EPOCH_NS + 1, EPOCH_NS]
    first, second = table
    assert first == {
        "ring_seq": 1, "ts_kind": "nic", "ts_raw": None, "rx_delay_ns": -5, "epoch": 1, "flow_id": 7,
        "flow_seq": 2**63, "source": 9,
        "src_ip": "10.0.0.1", "dst_ip": "239.1.2.3", "src_port": 12345, "dst_port": 15000, "vlan": None,
        "wire_len": 45, "payload_len": 3, "lost_before": 0, "flags": 0,
        "header": market_data(b"one")[:42], "payload": b"one", "trailer": b"",
    }  # fmt: skip
    assert (second["ts_kind"], second["rx_delay_ns"], second["vlan"]) == ("file", None, 42)
    assert (second["src_ip"], second["dst_ip"]) == ("fe80::1", "ff15::99")
    assert (second["trailer"], second["flags"]) == (b"end", 3)


@pytest.mark.parametrize("frame", [market_data(b"one"), market_data(b""), b"", bytes(13)])
def test_a_stamp_that_was_replaced_stands_beside_its_packet_and_in_no_frame(
    frame: bytes, writer: RingWriter, ring: Ring
) -> None:
    stamps = [None, -(2**63), None, 2**63 - 1, EPOCH_NS, None]
    writer.write(*(Written(frame, flags=FLAG_BITS["bad_stamp"], ts_raw=raw) for raw in stamps))
    table = read_all(ring)
    table.validate(full=True)
    assert table["ts_raw"].to_pylist() == stamps
    packets = list(ring.packets(start="oldest", idle=0))
    assert [packet.ts_raw for packet in packets] == stamps
    assert {packet.frame for packet in packets} == {frame}
    assert {packet.wire_len for packet in packets} == {len(frame)}
    assert all("bad_stamp" in packet.flag_names and packet.flags < 1 << 14 for packet in packets)


def test_every_stamp_kind_has_its_name(writer: RingWriter, ring: Ring) -> None:
    writer.write(*(Written(market_data(b""), ts_kind=kind) for kind in range(len(TS_KINDS))))
    assert read_all(ring)["ts_kind"].to_pylist() == list(TS_KINDS)


def test_a_frame_without_addresses_or_ports_has_nulls(writer: RingWriter, ring: Ring) -> None:
    writer.write(
        Written(ethernet(bytes(28), kind=0x0806)),
        Written(ethernet(ipv4(b"x" * 8, fragment=1))),
        Written(market_data(b"")),
    )
    table = read_all(ring)
    assert table["src_ip"].to_pylist() == [None, "10.0.0.1", "10.0.0.1"]
    assert table["dst_port"].to_pylist() == [None, None, 15000]


def test_a_rebuilt_header_is_flagged_and_its_checksum_not_judged(writer: RingWriter, ring: Ring) -> None:
    frame = ethernet(ipv4(udp(b"x"), checksum_error=1))
    writer.write(Written(frame), Written(frame, flags=FLAG_BITS["rebuilt_header"]))
    assert read_all(ring)["flags"].to_pylist() == [FLAG_BITS["bad_checksum"], FLAG_BITS["rebuilt_header"]]


def test_dictionaries_only_ever_grow_from_batch_to_batch(writer: RingWriter, ring: Ring) -> None:
    reader = ring.reader("oldest")
    known: list[str] = []
    for number in range(200):
        writer.write(Written(ethernet(ipv4(udp(b""), src=f"10.0.{number % 50}.{number}"))))
        batch = must_read(reader)
        dictionary = batch["src_ip"].dictionary.to_pylist()
        assert dictionary[: len(known)] == known
        assert batch["src_ip"].to_pylist() == [f"10.0.{number % 50}.{number}"]
        known = dictionary
    assert len(known) == 201


def test_batches_go_into_one_arrow_file_with_growing_dictionaries(
    writer: RingWriter, ring: Ring, tmp_path: Path
) -> None:
    reader = ring.reader("oldest")
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_file(tmp_path / "x.arrow", RING_SCHEMA, options=options) as file:
        for number in range(20):
            writer.write(Written(ethernet(ipv4(udp(b""), src=f"10.0.0.{number}"))))
            file.write(reader.read())
    table = pa.ipc.open_file(tmp_path / "x.arrow").read_all()
    assert table["src_ip"].to_pylist() == [f"10.0.0.{number}" for number in range(20)]


def test_a_batch_outlives_its_reader_and_its_ring(writer: RingWriter, ring: Ring) -> None:
    writer.write(Written(market_data(b"kept")))
    with ring, ring.reader("oldest") as reader:
        batch = must_read(reader)
    assert batch["payload"].to_pylist() == [b"kept"]
    with pytest.raises(ValueError, match="reader is closed"):
        reader.read()
    with pytest.raises(ValueError, match="ring is closed"):
        ring.reader()


def test_a_batch_holds_no_more_memory_than_its_rows_need(writer: RingWriter, ring: Ring) -> None:
    writer.write(*(Written(market_data(b"x" * 200)) for _ in range(100)))
    batch = must_read(ring.reader("oldest"))
    assert batch.get_total_buffer_size() < 100 * 500


def test_rows_and_bytes_of_a_batch_are_bounded(writer: RingWriter, ring: Ring) -> None:
    writer.write(*(Written(market_data(b"x" * 100)) for _ in range(100)))
    reader = ring.reader("oldest")
    assert must_read(reader, max_rows=7).num_rows == 7
    frame_max = lib.nt_columns_frame_max(writer.handle)
    assert must_read(reader, max_bytes=1000).num_rows <= (1000 + frame_max) // 142
    assert reader.next_seq == reader.records + 1


def test_what_is_gathered_bit_by_bit_is_the_batch_that_one_read_gives(writer: RingWriter, ring: Ring) -> None:
    gathering, reader = ring.reader("oldest"), ring.reader("oldest")
    for number in range(50):
        frame = market_data(bytes(number)) if number % 3 else ethernet(bytes(28), kind=0x0806)
        writer.write(Written(frame, rx_delay_ns=number if number % 2 else RX_DELAY_UNKNOWN))
        assert gathering.gather(1000, 1 << 20) == 1
        assert gathering.gathered_rows == number + 1
    assert gathering.gather(1000, 1 << 20) == 0
    size = gathering.gathered_bytes
    batch = gathering.take()
    assert batch is not None
    batch.validate(full=True)
    assert batch.equals(must_read(reader), check_metadata=True)
    assert size <= batch.nbytes < size + 200, "but for bitmaps and dictionaries"
    assert (gathering.gathered_rows, gathering.gathered_bytes, gathering.take()) == (0, 0, None)


def test_rows_and_bytes_of_what_is_gathered_are_bounded(writer: RingWriter, ring: Ring) -> None:
    writer.write(*(Written(market_data(bytes(100))) for _ in range(100)))
    reader = ring.reader("oldest")
    assert reader.gather(max_rows=7) == 7
    assert reader.gather(max_rows=7) == 0
    batch = reader.take()
    assert batch is not None
    assert batch["ring_seq"].to_pylist() == list(range(1, 8))
    reader = ring.reader("oldest")
    assert reader.gather(1000, 1000) == 8, "142 bytes each: seven are not enough"
    assert reader.gather(1000, 1000) == 0


def test_memory_is_used_again_once_nothing_is_left_of_the_batch(writer: RingWriter, ring: Ring) -> None:
    reader = ring.reader("oldest")

    def gathered(text: bytes) -> pa.RecordBatch:
        writer.write(*(Written(market_data(text)) for _ in range(20)))
        assert reader.gather(1000, 1 << 20) == 20
        batch = reader.take()
        assert batch is not None
        return batch

    batch = gathered(b"first")
    address = batch["payload"].buffers()[2].address
    kept = batch["payload"].slice(10, 5)
    del batch
    second = gathered(b"other")
    assert second["payload"].buffers()[2].address != address
    assert kept.to_pylist() == [b"first"] * 5, "a slice of one column is enough to keep it"
    assert second["payload"].to_pylist() == [b"other"] * 20
    del kept
    third = gathered(b"third")
    assert third["payload"].buffers()[2].address == address
    assert third["payload"].to_pylist() == [b"third"] * 20
    assert second["payload"].to_pylist() == [b"other"] * 20


def test_damage_is_reported_after_what_was_gathered_before_it(writer: RingWriter, ring: Ring) -> None:
    writer.write(Written(market_data(b"good")))
    writer.write(Written(market_data(b"bad"), ts_kind=200))
    reader = ring.reader("oldest")
    assert reader.gather() == 1
    for _ in range(2):
        with pytest.raises(RingCorrupt):
            reader.gather()
    batch = reader.take()
    assert batch is not None
    assert batch["payload"].to_pylist() == [b"good"]


def test_tiny_frames_still_all_arrive(writer: RingWriter, ring: Ring) -> None:
    writer.write(*(Written(b"") for _ in range(1000)))
    assert read_all(ring)["ring_seq"].to_pylist() == list(range(1, 1001))


@pytest.mark.parametrize(("start", "first"), [("oldest", 1), (4, 4), ("latest", 11), (11, 11)])
def test_a_reader_starts_where_it_is_told(writer: RingWriter, ring: Ring, start: Start, first: int) -> None:
    writer.write(*(Written(market_data(b"")) for _ in range(10)))
    batches = ring.batches(start=start, idle=0)
    writer.write(Written(market_data(b"")))
    assert next(batches)["ring_seq"][0].as_py() == first


def test_a_sequence_still_to_come_is_refused(writer: RingWriter, ring: Ring) -> None:
    writer.write(Written(market_data(b"")))
    with pytest.raises(SequenceNotWritten, match="sequence 3 is not written yet"):
        ring.reader(start=3)


def test_unknown_words_are_refused(ring: Ring) -> None:
    with pytest.raises(ValueError, match='"latest", "oldest"'):
        ring.reader(start="newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='"quarter"'):
        ring.reader(resume="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='"sleep", "spin"'):
        next(iter(ring.batches(wait="nap")))  # type: ignore[arg-type]


@pytest.mark.parametrize("resume", ["quarter", "oldest", "latest"])
def test_a_lapped_reader_counts_exactly_what_it_lost(writer: RingWriter, ring: Ring, resume: Resume) -> None:
    slow, fast = ring.reader("oldest", resume=resume), ring.reader("oldest")
    read = lost = last = fast_read = 0
    for turn in range(40):
        writer.write(*(Written(market_data(b"x" * 100)) for _ in range(1000)))
        fast_read += sum(batch.num_rows for batch in fast.batches(idle=0))
        if turn % 13 == 12:  # each lap of the ring is about 5500 records
            for batch in slow.batches(idle=0):
                for packet_lost, sequence in zip(
                    batch["lost_before"].to_pylist(), batch["ring_seq"].to_pylist(), strict=True
                ):
                    assert sequence == last + packet_lost + 1
                    lost, read, last = lost + packet_lost, read + 1, sequence
    writer.write(Written(market_data(b"")))
    for packet in slow.packets(idle=0):
        lost, read = lost + packet.lost_before, read + 1
    assert lost > 0
    assert slow.lost == lost
    assert read + lost == writer.next_seq - 1
    assert (fast.lost, fast_read) == (0, 40_000)


def test_epochs_follow_the_writers(writer: RingWriter, ring: Ring) -> None:
    for _ in range(3):
        writer.write(Written(market_data(b"")), Written(market_data(b"")))
        writer.restart()
    assert read_all(ring)["epoch"].to_pylist() == [1, 1, 2, 2, 3, 3]
    assert ring.epoch == 4
    second = ring.epoch_entry(2)
    assert second is not None
    assert second.first_seq == 3


def test_packets_are_rows_as_objects(writer: RingWriter, ring: Ring) -> None:
    writer.write(Written(market_data(b"x").ljust(60, b"\0"), wire_length=64, ts_ns=EPOCH_NS + 123, flags=1))
    packet = next(ring.packets(start="oldest", idle=0))
    assert packet.frame == market_data(b"x").ljust(60, b"\0")
    assert (packet.ts, packet.wire_len, packet.payload, len(packet.trailer)) == (EPOCH_NS + 123, 64, b"x", 17)
    assert packet.flag_names == {"truncated"}


class Clock:
    """Seconds that pass only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits = 0

    def __call__(self) -> float:
        return self.now

    def reset(self) -> None:
        pass

    def wait(self) -> None:
        self.waits += 1
        self.now += 0.1


def test_an_idle_reader_ends_after_its_time(writer: RingWriter, ring: Ring) -> None:
    clock = Clock()
    writer.write(Written(market_data(b"")))
    batches = ring.reader("oldest", clock=clock).batches(wait=clock, idle=1.0)
    assert len(list(batches)) == 1
    assert 10 <= clock.waits <= 11


def test_a_reader_stops_when_told(writer: RingWriter, ring: Ring) -> None:
    event = threading.Event()
    batches = ring.batches(start="oldest", stop=event)
    writer.write(Written(market_data(b"")))
    next(batches)
    event.set()
    assert next(batches, None) is None
    answers = itertools.chain([False, True])
    assert list(ring.batches(stop=lambda: next(answers))) == []


def test_a_reader_waits_for_a_writer_in_another_thread(writer: RingWriter, ring: Ring) -> None:
    batches = ring.batches(wait="sleep", idle=20)

    def write() -> None:
        for _ in range(500):
            writer.write(Written(market_data(b"x")))

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while seen < 500:
        seen += next(batches).num_rows
    thread.join()
    assert seen == 500


def test_damage_is_reported_after_the_records_before_it(writer: RingWriter, ring: Ring) -> None:
    writer.write(Written(market_data(b"good")), Written(market_data(b"bad"), ts_kind=9))
    reader = ring.reader("oldest")
    assert must_read(reader)["payload"].to_pylist() == [b"good"]
    for _ in range(2):
        with pytest.raises(RingCorrupt, match="no writer could have written"):
            reader.read()


def test_a_reader_of_a_ring_that_was_made_anew_reads_the_rest_and_says_so(tmp_path: Path) -> None:
    clock = Clock()
    writer = RingWriter.attach(tmp_path)
    with Ring.open("test", tmp_path) as ring:
        batches = ring.reader("oldest", clock=clock).batches(wait=clock, idle=100)
        writer.write(Written(market_data(b"old")))
        assert next(batches).num_rows == 1
        writer.write(Written(market_data(b"rest")))
        writer.close()
        assert lib.nt_ring_remove(bytes(tmp_path), b"test", fault()) == 0
        again = RingWriter.attach(tmp_path)
        assert next(batches)["payload"].to_pylist() == [b"rest"]
        with pytest.raises(RingReplaced, match="open it again"):
            next(batches)
        again.close()
