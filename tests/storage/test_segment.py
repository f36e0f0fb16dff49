import itertools
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
import small_segments as small

from nanotape.storage import file_writes, segment, sidecar
from nanotape.storage.encoder import Compression, StreamEncoder
from nanotape.storage.errors import BatchRefusedError, SegmentWriteError
from nanotape.storage.recovery import check_complete
from nanotape.storage.segment import Fsync
from nanotape.storage.segment_names import NAME_PATTERN, segment_name


@contextmanager
def no_file_larger_than(limit: int) -> Iterator[None]:
    """A disk that takes part of a write and then refuses: the kernel's own file size limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_name_sorts_by_time_and_says_the_first_sequence() -> None:
    name = segment_name(1_795_207_020_123_456_789, 1)
    assert name == "20261120T203700.123456789Z-000000000001"
    assert segment_name(1_795_207_020_123_456_790, 0) > name
    assert NAME_PATTERN.fullmatch(name)
    assert NAME_PATTERN.fullmatch(segment_name(1, 2**63 - 1))


def test_a_closed_segment_is_an_arrow_file_that_says_where_it_comes_from(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    for one in small.BATCHES:
        writer.write(one)
    assert (writer.rows, writer.first_seq, writer.last_seq) == (18, 7, 30)
    path = writer.close()
    assert path is not None
    assert small.names_in(tmp_path) == [path.name, path.name + ".sum"]
    assert small.decoded(small.read_back(path)) == small.decoded(small.BATCHES)
    metadata = ipc.open_file(pa.memory_map(str(path))).schema.metadata
    assert metadata == {
        b"ring": b"demo",
        b"ring_id": small.IDENTITY.ring_id.encode(),
        b"host": b"box",
        b"first_seq": b"7",
    }
    assert check_complete(path) is None


def test_the_part_reads_as_a_stream_from_byte_8_while_it_grows(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    for count, one in enumerate(small.BATCHES, 1):
        writer.write(one)
        sums = sidecar.read(small.sidecar_of(writer.path))
        assert sums is not None
        assert sums.end == writer.size_bytes == writer.path.stat().st_size
        with pa.OSFile(str(writer.path)) as file, ipc.open_stream(file.get_stream(8, sums.end - 8)) as stream:
            assert small.decoded(list(stream)) == small.decoded(small.BATCHES[:count])


def test_dictionaries_grow_and_are_never_replaced_whatever_the_batches_bring(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    batches = [
        small.batch(7, 5, ["a"]),
        small.batch(12, 5, ["b", "a"]),  # another order
        small.batch(17, 5, ["z"]),  # nothing in common
        small.batch(22, 5, ["z", "b"]),
        small.batch(27, 5, ["a"]).slice(2, 3),
    ]
    for one in batches:
        writer.write(one)
    path = writer.close()
    assert path is not None
    read = small.read_back(path)
    assert small.decoded(read) == small.decoded(batches)
    assert {tuple(one.column("name").dictionary.to_pylist()) for one in read} == {("a", "b", "z")}


def test_pyarrow_alone_refuses_what_the_growing_dictionary_makes_possible(tmp_path: Path) -> None:
    """The negative control."""
    options = ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with ipc.new_file(str(tmp_path / "x.arrow"), small.SCHEMA, options=options) as writer:
        writer.write_batch(small.batch(1, 5, ["a"]))
        with pytest.raises(pa.ArrowInvalid, match="replacement"):
            writer.write_batch(small.batch(6, 5, ["b", "a"]))


def test_an_empty_dictionary_and_nulls_in_it_may_come_first(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    empty = pa.RecordBatch.from_arrays(
        [
            pa.array([1, 2], pa.int64()),
            pa.nulls(2, small.SCHEMA.field("name").type),
            pa.array([b"", b"x"], pa.binary()),
        ],
        schema=small.SCHEMA,
    )
    with_null = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array([None, "n"]))
    second = pa.RecordBatch.from_arrays(
        [pa.array([3, 4, 5]), with_null, pa.array([b"", b"", b""])], schema=small.SCHEMA
    )
    writer.write(empty)
    writer.write(second)
    path = writer.close()
    assert path is not None
    names = [row["name"] for row in small.decoded(small.read_back(path))]
    assert names == [None, None, None, "n", None]


def test_a_segment_without_rows_leaves_nothing(tmp_path: Path) -> None:
    assert small.open_segment(tmp_path).close() is None
    assert small.names_in(tmp_path) == []


@pytest.mark.parametrize("fsync", list(Fsync))
def test_every_fsync_policy_writes_the_same_bytes(tmp_path: Path, fsync: Fsync) -> None:
    results = []
    for policy in (Fsync.NEVER, fsync):
        (tmp_path / f"{len(results)}").mkdir()
        writer = small.open_segment(tmp_path / f"{len(results)}", fsync=policy)
        for one in small.BATCHES:
            writer.write(one)
            writer.sync()
        path = writer.close()
        assert path is not None
        results.append(path.read_bytes())
    assert results[0] == results[1]


def test_the_kernel_may_take_a_part_of_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes a call, ending within pieces and at their ends."""
    whole = small.open_segment(tmp_path)
    (tmp_path / "slow").mkdir()
    slow = small.open_segment(tmp_path / "slow")
    for one in small.BATCHES:
        whole.write(one)
    pwritev = os.pwritev
    taken = itertools.cycle(range(1, 40))

    def part(fd: int, pieces: list[pa.Buffer], offset: int) -> int:
        return pwritev(fd, [b"".join(pieces)[: next(taken)]], offset)

    monkeypatch.setattr(os, "pwritev", part)
    monkeypatch.setattr(file_writes, "_RUN_BYTES", 100)
    for one in small.BATCHES:
        slow.write(one)
    for one, other in ((whole.path, slow.path), (small.sidecar_of(whole.path), small.sidecar_of(slow.path))):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", ["none", "lz4", "zstd"])
def test_a_message_of_many_runs_is_whole_and_summed(tmp_path: Path, kind: Literal["none", "lz4", "zstd"]) -> None:
    """Random bytes: more than one run in each buffer, compressed or not."""
    rows = 3 * file_writes._RUN_BYTES // 500
    payload = pa.array([random.randbytes(500) for _ in range(rows)], pa.binary())
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a"]))
    batch = pa.RecordBatch.from_arrays([pa.array(range(7, 7 + rows)), names, payload], schema=small.SCHEMA)
    writer = small.open_segment(tmp_path, compression=Compression(kind))
    writer.write(batch)
    sums = sidecar.read(small.sidecar_of(writer.path))
    assert sums is not None
    data = writer.path.read_bytes()
    assert [sidecar.checksum(data[one.offset : one.end]) for one in sums.entries] == [
        one.crc32c for one in sums.entries
    ]
    path = writer.close()
    assert path is not None
    [read] = small.read_back(path)
    assert read.column("payload").equals(payload)


def test_what_is_not_compressed_is_not_copied_before_it_is_written() -> None:
    payload = pa.array([bytes(100)] * 100, pa.binary())
    batch = pa.RecordBatch.from_arrays([payload], names=["payload"])
    encoder = StreamEncoder(batch.schema, Compression("none"))
    [_, message] = encoder.encode(batch)
    assert payload.buffers()[2].address in [piece.address for piece in message.pieces]
    assert sum(len(piece) for piece in message.pieces) == message.length


@pytest.mark.parametrize(("fsync", "created", "synced"), [("never", 0, 0), ("interval", 0, 1), ("batch", 1, 1)])
def test_the_name_of_a_new_part_is_on_disk_with_its_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, created: int, synced: int
) -> None:
    named: list[Path] = []
    monkeypatch.setattr(segment, "sync_directory", named.append)
    writer = small.open_segment(tmp_path, fsync=Fsync(fsync))
    assert named == [tmp_path] * created
    for one in small.BATCHES:
        writer.write(one)
        writer.sync()
    assert named == [tmp_path] * synced


def test_pages_are_let_go_of_one_sync_after_the_one_that_wrote_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[tuple[int, int]] = []
    writer = small.open_segment(tmp_path, fsync=Fsync.INTERVAL)
    monkeypatch.setattr(os, "posix_fadvise", lambda _fd, begin, length, _advice: dropped.append((begin, length)))
    ends = [writer.size_bytes]
    for one in small.BATCHES:
        writer.write(one)
        writer.sync()
        ends.append(writer.size_bytes)
    assert dropped == [(0, end) for end in ends[:-1]]
    assert ends[0] > 0, "a length of 0 would mean all of the file"


def test_other_columns_and_falling_sequences_are_refused_and_harm_nothing(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    writer.write(small.BATCHES[0])
    other = small.SCHEMA.set(2, pa.field("payload", pa.string()))
    with pytest.raises(BatchRefusedError, match="expected, found payload: string"):
        writer.write(pa.RecordBatch.from_pylist([{"ring_seq": 20, "name": "a", "payload": "x"}], schema=other))
    for first in (1, 7, 11):
        with pytest.raises(BatchRefusedError, match="rising ring sequences after 11"):
            writer.write(small.batch(first, 5, ["alpha"]))
    with pytest.raises(BatchRefusedError, match="a batch with rows"):
        writer.write(small.batch(20, 5, ["alpha"]).slice(0, 0))
    writer.write(small.BATCHES[1])
    path = writer.close()
    assert path is not None
    assert small.decoded(small.read_back(path)) == small.decoded(small.BATCHES[:2])


def test_a_write_that_the_disk_refuses_leaves_the_segment_as_it_was_and_usable(tmp_path: Path) -> None:
    """The dictionary that grew with the refused batch must reach the file with the next one."""
    writer = small.open_segment(tmp_path)
    writer.write(small.BATCHES[0])
    before, sums = writer.path.read_bytes(), small.sidecar_of(writer.path).read_bytes()
    for spare in (0, 1, 300, 700):
        refused = pytest.raises(SegmentWriteError, match="cannot write 3 rows: File too large")
        with no_file_larger_than(len(before) + spare), refused:
            writer.write(small.BATCHES[1])
        assert writer.path.read_bytes() == before
        assert small.sidecar_of(writer.path).read_bytes() == sums
        assert not writer.broken
    writer.write(small.BATCHES[3])
    path = writer.close()
    assert path is not None
    assert small.decoded(small.read_back(path)) == small.decoded([small.BATCHES[0], small.BATCHES[3]])
    assert check_complete(path) is None


def test_a_disk_that_refuses_the_very_first_batch_is_got_over(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    with no_file_larger_than(100), pytest.raises(SegmentWriteError):
        writer.write(small.BATCHES[0])
    writer.write(small.BATCHES[1])
    path = writer.close()
    assert path is not None
    assert small.decoded(small.read_back(path)) == small.decoded(small.BATCHES[1:2])


def test_a_disk_that_refuses_the_footer_leaves_a_part_with_all_its_rows(tmp_path: Path) -> None:
    writer = small.open_segment(tmp_path)
    writer.write(small.BATCHES[0])
    whole = writer.path.read_bytes()
    with no_file_larger_than(len(whole) + 50), pytest.raises(SegmentWriteError, match="cannot finish"):
        writer.close()
    assert writer.path.read_bytes() == whole


def test_files_that_cannot_be_made_leave_nothing(tmp_path: Path) -> None:
    with no_file_larger_than(4), pytest.raises(SegmentWriteError, match="cannot create: File too large"):
        small.open_segment(tmp_path)
    assert small.names_in(tmp_path) == []
    with pytest.raises(SegmentWriteError, match="No such file or directory"):
        small.open_segment(tmp_path / "gone")
