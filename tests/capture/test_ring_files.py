"""Rings in files: opening, describing, listing, the status files of readers, and what each kind of trouble says."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadline import wait_for
from frames import market_data
from ring_writer import RingWriter, Written, fault

from nanotape.capture.counters import SystemCalls, as_json
from nanotape.capture.errors import (
    PermissionDenied,
    ReaderBusy,
    ReaderNameInvalid,
    RingCorrupt,
    RingError,
    RingLayoutMismatch,
    RingNotFound,
    RingNotReady,
)
from nanotape.capture.listing import RingFacts, UnreadableRing, describe, list_rings
from nanotape.capture.processes import is_alive
from nanotape.capture.readers import list_readers, status_path
from nanotape.capture.ring import Ring
from nanotape.native import ffi, lib

UNKNOWN = 2**64 - 1
NOBODY = 65534
NUMBER_0 = "read" if os.uname().machine == "x86_64" else "io_setup"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RingWriter]:
    writer = RingWriter.attach(tmp_path)
    yield writer
    writer.close()


@pytest.fixture
def ring(writer: RingWriter, tmp_path: Path) -> Iterator[Ring]:
    with Ring.open("test", tmp_path) as ring:
        yield ring


def test_a_ring_describes_itself(ring: Ring, tmp_path: Path) -> None:
    assert (ring.name, ring.capacity_bytes, ring.memory, ring.fallback_reason) == ("test", 1 << 20, "shm", None)
    assert (ring.epoch, ring.writer_pid, ring.writer_alive) == (1, os.getpid(), True)
    assert len(bytes.fromhex(ring.ring_id)) == 16
    assert ring.host == os.uname().nodename
    assert ring.data_path == str(tmp_path / "test.data")
    assert ring.is_current()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ((0, 0, 0, b""), SystemCalls(None, None, None, None)),
        ((1, 0, 0, b""), SystemCalls("count", 0, None, None)),
        ((2, 0, 0, b""), SystemCalls("kill", None, None, None)),
        ((1, 3, 1, b""), SystemCalls("count", 3, NUMBER_0, None)),
        ((0, 3, 4_000_001, b"why not"), SystemCalls(None, 3, "number 4000000", "why not")),
    ],
)
def test_system_calls_that_nobody_counts_are_unknown_and_not_0(
    written: tuple[int, int, int, bytes], expected: SystemCalls, writer: RingWriter, ring: Ring
) -> None:
    """Not known: of an older ring, too, whose zeros these are. Number 0 is a call."""
    told = writer.handle.descriptor
    told.seccomp, told.system_calls, told.last_system_call, told.seccomp_reason = written
    assert ring.system_calls() == describe(ring).system_calls == expected


def test_late_rounds_that_nobody_measures_are_unknown_and_not_0(writer: RingWriter, ring: Ring) -> None:
    assert ring.gaps() is None
    told = writer.handle.descriptor
    told.gap_threshold_ns, told.gap_max_ns, told.gaps_ns = 10_000, 70_000, 90_000
    told.gap_histogram[14], told.gap_histogram[17] = 1, 1
    found = describe(ring).gaps
    assert found is not None
    assert (found.threshold_ns, found.count, found.longest_ns, found.total_ns) == (10_000, 2, 70_000, 90_000)
    assert (found.histogram[14], found.histogram[17], len(found.histogram)) == (1, 1, 40)


def test_a_ring_opens_by_its_path_too(ring: Ring, tmp_path: Path) -> None:
    with Ring.open(tmp_path / "test.ring") as same:
        assert same.ring_id == ring.ring_id


def test_a_writer_that_ended_cleanly_is_nobody(writer: RingWriter, ring: Ring) -> None:
    writer.close()
    assert (ring.writer_pid, ring.writer_alive) == (None, False)


def test_the_flow_table_names_what_a_flow_id_stands_for(writer: RingWriter, ring: Ring) -> None:
    flow = ffi.new("struct nt_flow *")
    flow.family, flow.port, flow.vlan = 4, 15000, 100
    flow.group[0:4], flow.source[0:4] = [239, 1, 2, 3], [10, 0, 0, 1]
    flow.interface, flow.feed, flow.channel, flow.line = b"eth1", b"itch", "Zürich".encode(), b"A"
    number = ffi.new("uint32_t *")
    assert lib.nt_ring_flow_id(writer.handle, flow, number, fault()) == 0
    (known,) = ring.flows()
    assert (known.id, known.group, known.source, known.port, known.vlan) == (1, "239.1.2.3", "10.0.0.1", 15000, 100)
    assert (known.interface, known.feed, known.channel, known.line) == ("eth1", "itch", "Zürich", "A")


def test_counters_that_cannot_be_read_are_none_not_nought(writer: RingWriter, ring: Ring) -> None:
    slot = ffi.new("uint32_t *")
    assert lib.nt_ring_source_slot(writer.handle, b"socket:lo", b"lo", 2, 0, slot, fault()) == 0
    writer.handle.sources[0].stats.xdp_seen = UNKNOWN
    writer.handle.sources[0].stats.socket_drops = 3
    writer.handle.sources[0].loop.packets = 12
    writer.handle.sources[0].loop.delay_histogram[9] = 12
    (source,) = ring.sources()
    assert (source.name, source.interface, source.kind, source.zero_copy) == ("socket:lo", "lo", "socket", False)
    assert (source.stats.xdp_seen, source.stats.socket_drops, source.stats.updated_ns) == (None, 3, None)
    assert (source.loop.packets, source.loop.delay_histogram[9], source.loop.last_packet_ns) == (12, 12, None)
    assert json.loads(json.dumps(as_json(source)))["stats"]["xdp_seen"] is None


def test_missing_damaged_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RingNotFound, match=r"none\.ring"):
        Ring.open("none", tmp_path)
    (tmp_path / "text.ring").write_text("hello")
    with pytest.raises(RingCorrupt, match="not a ring"):
        Ring.open("text", tmp_path)
    (tmp_path / "new.ring").write_bytes(bytes(8192))
    with pytest.raises(RingNotReady, match="still being made"):
        Ring.open("new", tmp_path)


def test_a_ring_of_another_layout_version_is_refused(writer: RingWriter, tmp_path: Path) -> None:
    path = tmp_path / "test.ring"
    with path.open("r+b") as file:
        file.seek(8)
        file.write((99).to_bytes(4, "little"))
    with pytest.raises(RingLayoutMismatch, match=f"version {lib.NT_RING_LAYOUT_VERSION} expected, 99 found"):
        Ring.open("test", tmp_path)


def test_a_ring_whose_data_are_gone_is_not_found(writer: RingWriter, tmp_path: Path) -> None:
    (tmp_path / "test.data").rename(tmp_path / "elsewhere")
    with pytest.raises(RingNotFound, match=r"test\.data"):
        Ring.open("test", tmp_path)


@pytest.mark.root
def test_a_user_outside_the_group_is_told_so() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders let nobody else in
        Path(folder).chmod(0o755)
        writer = RingWriter.attach(Path(folder))
        child = os.fork()
        if child == 0:
            os._exit(_open_as_nobody(Path(folder)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        writer.close()


def _open_as_nobody(folder: Path) -> int:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    try:
        Ring.open("test", folder)
    except PermissionDenied as error:
        return 0 if "group" in str(error) else 2
    except BaseException:
        return 3
    return 1


def test_listing_shows_good_rings_and_says_what_is_wrong_with_bad_ones(writer: RingWriter, tmp_path: Path) -> None:
    (tmp_path / "bad.ring").write_text("hello")
    bad, good = list_rings(tmp_path, tmp_path / "run")
    assert isinstance(bad, UnreadableRing)
    assert isinstance(good, RingFacts)
    assert (bad.name, good.name, good.packets) == ("bad", "test", 0)
    assert json.loads(json.dumps(as_json(good)))["readers"] == []
    assert list_rings(tmp_path / "nowhere") == ()


def test_a_named_reader_is_seen_while_it_reads(writer: RingWriter, ring: Ring, tmp_path: Path) -> None:
    writer.write(*(Written(market_data(b"x")) for _ in range(10)))
    with ring.reader("oldest", reader_name="tape", run_directory=tmp_path) as reader:
        (waiting,) = list_readers(ring, tmp_path)
        assert (waiting.name, waiting.pid, waiting.alive, waiting.current) == ("tape", os.getpid(), True, True)
        assert waiting.lag_bytes == ring.tail
        assert (waiting.recorded, waiting.write_failures, waiting.written_bytes) == (None, None, None)
        reader.read()
        reader.publish_status(recorded=9, write_failures=1, written_bytes=0)
        reader.publish_status(written_bytes=4096)
        (fact,) = describe(ring, tmp_path).readers
        assert (fact.lag_bytes, fact.lag_share, fact.records, fact.lost, fact.next_seq) == (0, 0, 10, 0, 11)
        assert (fact.first_seq, fact.recorded, fact.write_failures, fact.written_bytes) == (1, 9, 1, 4096)
        assert fact.updated_ns > waiting.updated_ns
    assert list_readers(ring, tmp_path) == ()


def test_a_reader_of_the_ring_before_says_nothing_about_this_one(
    writer: RingWriter, ring: Ring, tmp_path: Path
) -> None:
    reader = ring.reader(reader_name="tape", run_directory=tmp_path)
    writer.close()
    assert lib.nt_ring_remove(bytes(tmp_path), b"test", fault()) == 0
    again = RingWriter.attach(tmp_path)
    with Ring.open("test", tmp_path) as successor:
        (fact,) = list_readers(successor, tmp_path)
        assert (fact.current, fact.lag_bytes) == (False, None)
        assert reader.is_replaced()
    again.close()


def test_names_that_lead_elsewhere_are_refused(ring: Ring, tmp_path: Path) -> None:
    for name in ("../up", "", ".hidden", "a/b", "x" * 64):
        with pytest.raises(ReaderNameInvalid, match="choose another"):
            ring.reader(reader_name=name, run_directory=tmp_path)


def test_a_file_that_is_no_status_is_not_listed(ring: Ring, tmp_path: Path) -> None:
    folder = tmp_path / "test" / "readers"
    folder.mkdir(parents=True)
    (folder / "junk.status").write_bytes(b"junk")
    assert list_readers(ring, tmp_path) == ()


@pytest.mark.root
def test_a_ring_whose_file_may_not_be_read_any_more_is_not_the_current_one() -> None:
    """Its successor is being made: closed to all but its maker until it is whole."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        writer = RingWriter.attach(Path(folder))
        with Ring.open("test", Path(folder)) as ring:
            (Path(folder) / "test.ring").chmod(0o600)
            child = os.fork()
            if child == 0:
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                try:
                    os._exit(1 if ring.is_current() else 0)
                except BaseException:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert ring.is_current()
        writer.close()


def test_a_name_in_use_is_refused_to_another_process_for_as_long_as_it_is_in_use(
    writer: RingWriter, ring: Ring, tmp_path: Path
) -> None:
    writer.write(Written(market_data(b"x")))
    command = [sys.executable, "-c", READER, str(tmp_path / "test.ring"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "1\n"
            with pytest.raises(ReaderBusy, match=f"found process {child.pid}"):
                ring.reader(reader_name="victim", run_directory=tmp_path)
            assert [fact.pid for fact in list_readers(ring, tmp_path)] == [child.pid]
        finally:
            child.kill()
    with ring.reader(reader_name="victim", run_directory=tmp_path):
        assert [fact.pid for fact in list_readers(ring, tmp_path)] == [os.getpid()]


def test_a_dead_readers_file_whose_process_id_is_another_process_by_now_is_in_nobodys_way(
    writer: RingWriter, ring: Ring, tmp_path: Path
) -> None:
    path = status_path(tmp_path, "test", "tape")
    with ring.reader(reader_name="tape", run_directory=tmp_path):
        content = bytearray(path.read_bytes())
    content[12:16] = os.getppid().to_bytes(4, "little")
    path.write_bytes(content)
    assert [fact.alive for fact in list_readers(ring, tmp_path)] == [True], "so it seems"
    with ring.reader(reader_name="tape", run_directory=tmp_path):
        assert [fact.pid for fact in list_readers(ring, tmp_path)] == [os.getpid()]


def test_who_locks_a_dead_readers_file_does_not_keep_its_successor_out(
    writer: RingWriter, ring: Ring, tmp_path: Path
) -> None:
    """All who may read it can."""
    path = status_path(tmp_path, "test", "tape")
    with ring.reader(reader_name="tape", run_directory=tmp_path):
        content = bytearray(path.read_bytes())
    content[12:16] = (2**22 + 1).to_bytes(4, "little")  # beyond the kernel's largest
    path.write_bytes(content)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with ring.reader(reader_name="tape", run_directory=tmp_path):
            assert [fact.pid for fact in list_readers(ring, tmp_path)] == [os.getpid()]


def test_a_reader_that_closes_leaves_alone_what_came_to_stand_in_its_files_place(ring: Ring, tmp_path: Path) -> None:
    path = status_path(tmp_path, "test", "tape")
    with ring.reader(reader_name="tape", run_directory=tmp_path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_a_reader_is_shown_later_too_and_but_once(writer: RingWriter, ring: Ring, tmp_path: Path) -> None:
    writer.write(*(Written(market_data(b"x")) for _ in range(10)))
    with ring.reader("oldest") as reader:
        assert list_readers(ring, tmp_path) == ()
        assert (reader.newest_seq(), reader.next_seq) == (10, 1)
        reader.show_as("tape", tmp_path)
        assert [fact.name for fact in list_readers(ring, tmp_path)] == ["tape"]
        with pytest.raises(ValueError, match="already"):
            reader.show_as("tape", tmp_path)
    assert list_readers(ring, tmp_path) == ()


@pytest.mark.parametrize("trouble", ["a file above it", "a folder in its place"])
def test_a_status_file_that_cannot_be_made_is_one_line_and_leaves_the_reader_reading(
    writer: RingWriter, ring: Ring, tmp_path: Path, trouble: str
) -> None:
    path = status_path(tmp_path, "test", "tape")
    if trouble == "a file above it":
        path.parent.parent.write_text("")
    else:
        path.mkdir(parents=True)
    writer.write(Written(market_data(b"x")))
    with ring.reader("oldest") as reader:
        with pytest.raises(RingError) as caught:
            reader.show_as("tape", tmp_path)
        assert "\n" not in str(caught.value)
        assert [packet.payload for packet in reader.packets(idle=0)] == [b"x"]


READER = """
import sys
from nanotape.capture.ring import Ring
for batch in Ring.open(sys.argv[1]).batches(start="oldest", reader_name="victim", run_directory=sys.argv[2]):
    print(batch.num_rows, flush=True)
"""


def test_a_killed_reader_leaves_a_file_that_says_it_is_dead(writer: RingWriter, ring: Ring, tmp_path: Path) -> None:
    writer.write(*(Written(market_data(b"x")) for _ in range(10)))
    command = [sys.executable, "-c", READER, str(tmp_path / "test.ring"), str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "10\n"
    child.kill()  # not waited for yet: a zombie is dead too
    wait_for(lambda: not is_alive(child.pid), "the reader's death")
    (fact,) = list_readers(ring, tmp_path)
    assert (fact.name, fact.alive, fact.records, fact.next_seq) == ("victim", False, 10, 11)
    child.communicate()
    assert fact.next_seq is not None
    with ring.reader(fact.next_seq, reader_name="victim", run_directory=tmp_path) as successor:
        writer.write(Written(market_data(b"next")))
        assert [packet.payload for packet in successor.packets(idle=0)] == [b"next"]
        assert [again.alive for again in list_readers(ring, tmp_path)] == [True]
