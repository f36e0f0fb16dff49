"""The recorder on a real ring, in a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from deadline import wait_for

pytest.importorskip("nanotape.native", reason="a pure build has no ring")

from frames import market_data
from ring_writer import EPOCH_NS, RingWriter, Written

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA
from nanotape.capture.listing import remove_ring
from nanotape.native import ffi, lib
from nanotape.storage.archive import Archive

NOBODY, GROUP = 65534, 64203
PROGRAM = """
import os, sys
from pathlib import Path
from nanotape.storage.record import RecordPlaces, record
from nanotape.storage.recorder import RecorderOptions
from nanotape.storage.rehearsal import rehearse
if len(sys.argv) > 3:  # after the imports, which lie where only root may enter
    rehearse()
    os.setgroups([])
    os.setresgid(*[int(sys.argv[4])] * 3)
    os.setresuid(*[int(sys.argv[3])] * 3)
try:
    totals = record(
        sys.argv[1], sys.argv[2], RecorderOptions(flush_interval_s=0.05, batch_rows=500),
        places=RecordPlaces(Path(sys.argv[1]).parent, Path(sys.argv[1]).parent / "run"),
        on_begin=lambda recorder: print("begins", flush=True),
    )
    print(totals.recorded, totals.lost)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@contextmanager
def recorder(folder: Path, *account: int) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM, str(folder / "test.ring"), str(folder / "archive"), *map(str, account)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def frames(first: int, count: int) -> list[Written]:
    return [Written(market_data(sequence.to_bytes(8, "big") * 4)) for sequence in range(first, first + count)]


def rows(folder: Path) -> int:
    return sum(facts.rows for facts in Archive(folder / "archive").segments()) if (folder / "archive").exists() else 0


def stopped(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    return output.splitlines()[-1]


def test_the_synthetic_ring_of_these_tests_has_a_real_readers_columns() -> None:
    from synthetic import RING_SCHEMA as SYNTHETIC_SCHEMA

    assert [(field.name, field.type) for field in SYNTHETIC_SCHEMA] == [(f.name, f.type) for f in RING_SCHEMA]


def test_a_stamp_that_was_replaced_is_recorded_beside_the_frame(tmp_path: Path) -> None:
    writer = RingWriter.attach(tmp_path)
    frame = market_data(b"payload")
    bad = {"ts_ns": EPOCH_NS, "ts_kind": 3, "flags": FLAG_BITS["bad_stamp"]}
    writer.write(Written(frame, **bad, ts_raw=EPOCH_NS + 37_000_000_001), Written(frame))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) == 2, "both on disk")
        stopped(process)
    first, second = Archive(tmp_path / "archive").table(["ts_raw", "ts_kind", "flags", "header", "payload"]).to_pylist()
    assert (first["ts_raw"], second["ts_raw"]) == (EPOCH_NS + 37_000_000_001, None)
    assert (first["ts_kind"], first["flags"]) == ("user", FLAG_BITS["bad_stamp"])
    assert first["header"] + first["payload"] == second["header"] + second["payload"] == frame


def test_what_the_loop_counts_of_stamps_becomes_events_counters_and_metadata(tmp_path: Path) -> None:
    writer = RingWriter.attach(tmp_path)
    slot = ffi.new("uint32_t *")
    assert lib.nt_ring_source_slot(writer.handle, b"afxdp:eth1:0", b"eth1", lib.NT_SOURCE_AFXDP, 0, slot, ffi.NULL) == 0
    source = writer.handle.sources[slot[0]]
    source.stamp_kind, source.stamp_domain, source.stamp_offset_ns = 2, lib.NT_CLOCK_TAI, 37 * 10**9
    source.loop.bad_stamps = 3
    writer.write(Written(market_data(b"one")))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) == 1, "the packet on disk")
        source.loop.backwards = 2
        archive = Archive(tmp_path / "archive")
        wait_for(lambda: "backwards" in [each["stage"] for each in archive.rows("events").to_pylist()], "the second")
        stopped(process)
    told = [each for each in archive.rows("events").to_pylist() if each["kind"] == "bad_stamp"]
    assert [(each["stage"], each["ts_end"] is None) for each in told] == [
        ("off_clock", True), ("backwards", True), ("off_clock", False), ("backwards", False),
    ]  # fmt: skip
    assert [each["detail"].split(" stamps")[0] for each in told[2:]] == ["afxdp:eth1:0: 3", "afxdp:eth1:0: 2"]
    counters = archive.rows("counters").to_pylist()
    last = {each["stage"]: each["value"] for each in counters if each["source"] == "afxdp:eth1:0"}
    assert (last["bad_stamps"], last["backwards"], last["unstamped"]) == (3, 2, 0)
    with pa.ipc.open_file(archive.segments()[0].path) as segment:
        (stamps,) = json.loads(segment.schema.metadata[b"nanotape_stamps"])
    assert stamps == {
        "source": "afxdp:eth1:0", "interface": "eth1", "kind": "xdp", "domain": "tai", "offset_ns": 37 * 10**9,
    }  # fmt: skip


def test_a_ring_is_recorded_stopped_killed_and_resumed_without_a_seam(tmp_path: Path) -> None:
    writer = RingWriter.attach(tmp_path, capacity=1 << 22)
    writer.write(*frames(1, 1000))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) == 1000, "the first thousand on disk")
        writer.write(*frames(1001, 300))
        wait_for(lambda: rows(tmp_path) == 1300, "the rest within the flush interval")
        assert stopped(process) == "1300 0"
    writer.write(*frames(1301, 700))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) > 1300, "the resumption")
        process.kill()
    writer.write(*frames(2001, 500))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) == 2500, "all")
        with recorder(tmp_path) as second:
            assert "ReaderBusy: reader recorder of ring test" in second.communicate(timeout=20)[1]
            assert second.returncode == 1
        stopped(process)
    table = Archive(tmp_path / "archive").table(["ring_seq", "payload", "channel", "lost_before", "header", "trailer"])
    assert table.column("ring_seq").to_pylist() == list(range(1, 2501))
    frame = [
        b"".join(parts)
        for parts in zip(*(table.column(n).to_pylist() for n in ("header", "payload", "trailer")), strict=True)
    ]
    assert frame == [written.frame for written in frames(1, 2500)]
    assert set(table.column("channel").to_pylist()) == {"other"}
    assert set(table.column("lost_before").to_pylist()) == {0}
    writer.close()


def test_a_ring_made_anew_is_gone_over_to(tmp_path: Path) -> None:
    writer = RingWriter.attach(tmp_path)
    writer.write(*frames(1, 100))
    with recorder(tmp_path) as process:
        wait_for(lambda: rows(tmp_path) == 100, "the first ring")
        writer.close()
        remove_ring("test", tmp_path)
        writer = RingWriter.attach(tmp_path)
        writer.write(*frames(1, 50))
        wait_for(lambda: rows(tmp_path) == 150, "the second ring")
        assert stopped(process) == "150 0"
    facts = Archive(tmp_path / "archive").segments()
    assert [(one.first_seq, one.last_seq) for one in facts] == [(1, 100), (1, 50)]
    assert facts[0].ring_id != facts[1].ring_id
    writer.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that nobody may enter and write to: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="nanotape-record-", dir="/var/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
def test_a_ring_made_anew_by_another_user_is_waited_for_until_it_may_be_read(open_folder: Path) -> None:
    """Its descriptor is its maker's alone, mode 0600, until all of it is there."""
    writer = RingWriter.attach(open_folder)
    for name in ("test.ring", "test.data"):
        os.chown(open_folder / name, 0, GROUP)
    writer.write(*frames(1, 100))
    with recorder(open_folder, NOBODY, GROUP) as process:
        wait_for(lambda: rows(open_folder) == 100, "the first ring")
        writer.close()
        half_made = open_folder / "half-made"
        half_made.touch(0o600)
        half_made.rename(open_folder / "test.ring")  # in one step: the recorder must not see the name missing
        assert process.stderr is not None
        assert "the ring was removed or made anew; waiting" in process.stderr.readline()
        (open_folder / "test.ring").unlink()
        (open_folder / "test.data").unlink()
        writer = RingWriter.attach(open_folder)
        writer.write(*frames(1, 50))
        for name in ("test.data", "test.ring"):
            os.chown(open_folder / name, 0, GROUP)
        wait_for(lambda: rows(open_folder) == 150, "the second ring")
        assert stopped(process) == "150 0"
    writer.close()


@pytest.mark.parametrize("trouble", ["no folder", "another's file", "a socket"])
@pytest.mark.root
def test_a_status_file_that_cannot_be_made_costs_a_line_and_nothing_else(open_folder: Path, trouble: str) -> None:
    readers = open_folder / "run" / "test" / "readers"
    if trouble == "no folder":
        readers.parent.parent.touch()
    else:
        readers.mkdir(parents=True)
    if trouble == "another's file":
        (readers / "recorder.status").touch()
    elif trouble == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(readers / "recorder.status"))
    if readers.exists():
        readers.chmod(0o1777)
    writer = RingWriter.attach(open_folder)
    for name in ("test.ring", "test.data"):
        os.chown(open_folder / name, 0, GROUP)
    writer.write(*frames(1, 100))
    with recorder(open_folder, NOBODY, GROUP) as process:
        wait_for(lambda: rows(open_folder) == 100, "the ring")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert output.splitlines()[-1] == "100 0"
    assert errors.count("\n") == 1
    assert "recording all the same" in errors
    writer.close()


def test_a_missing_ring_is_one_line(tmp_path: Path) -> None:
    with recorder(tmp_path) as process:
        errors = process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert errors.startswith("RingNotFound: ")
    assert errors.count("\n") == 1
