"""nanotape-bench: its verbs for ring and recorder, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanotape.capture.ring import Ring
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options
from nanotape.cli.bench.native import run_native
from nanotape.cli.bench.path_part import bottleneck, write_plainly
from nanotape.cli.bench.workspace import STEM, check_room, size_of, workspace

PACKETS = 20_000


@pytest.mark.parametrize("frame_bytes", [60, 242, 1400])
def test_every_packet_from_memory_is_in_the_ring_byte_for_byte(tmp_path: Path, frame_bytes: int) -> None:
    where = ("--shm", str(tmp_path), "--capacity", 1 << 20)
    found = run_native("ring", *where, "--frame-bytes", frame_bytes, "--packets", PACKETS, "--readers", 2)
    assert found["newest_seq"] == PACKETS
    assert found["checked"] == min(1000, (1 << 19) // (frame_bytes + 48 + 7 & ~7)), "or as many as half the ring holds"
    assert found["ring_ns"] > 0 < found["memcpy_ns"]
    for reader in found["readers"]:
        assert reader["records"] + reader["lost"] == PACKETS
        assert not reader["error"]
    assert not list(tmp_path.glob("*.ring")), "it leaves no ring behind"


def test_a_filled_ring_holds_as_many_packets_as_were_asked_for_and_a_feed_can_be_read_from_it(tmp_path: Path) -> None:
    found = run_native("fill", "--shm", str(tmp_path), "--capacity", 16 << 20, "--packets", PACKETS)
    with Ring.open(found["ring"], tmp_path) as ring:
        (flow,) = ring.flows()
        batches = list(ring.batches(start="oldest", idle=0.0))
    assert (flow.channel, flow.line) == ("itch", "A")
    assert sum(batch.num_rows for batch in batches) == PACKETS
    assert sum(sum(batch.column("wire_len").to_pylist()) for batch in batches) == found["frame_bytes"]


def test_a_ring_that_is_too_small_for_what_is_filled_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"more than its .* bytes hold; make it larger"):
        run_native("fill", "--shm", str(tmp_path), "--capacity", 1 << 20, "--packets", PACKETS)


@pytest.mark.parametrize(
    "words",
    [
        ("ring", "--packets", "10"),
        ("ring", "--shm", "/dev/shm", "--frame-bytes", "59"),
        ("ring", "--shm", "/dev/shm", "--readers", "17"),
        ("ring", "--shm", "/dev/shm", "--packets", "-1"),
        ("fill", "--shm", "/dev/shm", "more"),
    ],
)
def test_a_wrong_option_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(BenchError, match=f"nanotape-bench {words[0]}: "):
        run_native(*words)


def test_a_workspace_is_gone_at_its_end_and_so_is_what_a_killed_one_left(tmp_path: Path) -> None:
    leftover = tmp_path / f"{STEM}{2**22 + 1}-abc"  # beyond any process id
    (leftover / "deep").mkdir(parents=True)
    with workspace(tmp_path) as place:
        assert place.disk.is_dir()
        assert place.memory.is_dir()
        assert place.hugepages is None
        assert not leftover.exists()
    assert list(tmp_path.iterdir()) == []
    assert not place.memory.exists()


def test_a_folder_may_be_named_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with workspace(Path()) as place:
        assert place.disk.is_absolute()
        assert place.disk.parent == tmp_path


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot make a folder in it.*--folder"), workspace(tmp_path / "none"):
        pass


def test_a_disk_without_room_is_one_line_before_anything_is_measured(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(BenchError, match=r"^.*: expected room for 1000000.0 GB, found .*; make some, or .* --folder$"):
        check_room(tmp_path, 10**15)


def test_holes_of_a_file_are_no_bytes_on_disk(tmp_path: Path) -> None:
    with (tmp_path / "a.arrow").open("wb") as file:
        file.write(b"x" * 100)
        file.truncate(1 << 20)
    (tmp_path / "b.json").write_bytes(b"y" * 7)
    assert 100 < size_of(tmp_path, "*.arrow") <= 64 << 10
    assert size_of(tmp_path) == size_of(tmp_path, "*.arrow") + 7


def test_a_plain_write_is_of_whole_blocks_and_leaves_nothing(tmp_path: Path) -> None:
    seconds, size = write_plainly(tmp_path / "x", (8 << 20) + 1)
    assert (seconds > 0, size) == (True, 8 << 20)
    assert list(tmp_path.iterdir()) == []


def test_the_bottleneck_is_the_slowest_stage_and_what_is_no_stage_is_told_beside_it() -> None:
    def stage(mpps: float, lost: int | None = None) -> dict[str, object]:
        return {"mpps": {"median": mpps}, "lost": {"max": lost}}

    summary = {
        "the ring": stage(21),
        "the recorder": stage(1.9, 0),
        "the disk": stage(3.4),
        "ring and recorder together": stage(1.4, 7),
    }
    assert bottleneck(summary) == (
        "The bottleneck is the recorder: 1.9 Mpps. By themselves, in Mpps: the ring 21, the disk 3.4. "
        "Ring and recorder together: 1.4 Mpps, 7 packets lost at the worst."
    )
    assert bottleneck({"the ring": stage(21)}) == "Only the ring was measured: 21 Mpps."


def test_options_are_those_of_a_full_run_unless_said_otherwise() -> None:
    assert (Options().quick, Options().repetitions) == (False, 5)
