"""A capture file through the whole service: each frame and stamp stands in the Arrow files, once, and nothing else."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Sequence

import pytest
from command_line import as_nobody, call
from deadline import wait_for
from file_rig import (
    COMPRESSIONS,
    assert_recorded,
    expected,
    file_rig,
    in_ring,
    made,
    read_to_the_end,
    recorded,
    waits_for_the_recorder,
)
from pcap_file import CapturedFrame, ethernet_captures, read_pcap, write_pcap
from refusals import edit, refused, running

from nanotape.capture.conservation import ring_books
from nanotape.capture.service import RECORDER
from nanotape.storage.archive import Archive

pytestmark = [pytest.mark.root, pytest.mark.shared]

# Ethernet with nano- and microseconds, trailers, cooked, fractions out of range, PTP.
REAL = [
    "cisco/fusion_hpt_example.pcap",
    "bats/mcastpitch_realtime_useq.pcap",
    "tcpdump/timestamp_invalid_micro.pcap",
    "tcpdump/timestamp_invalid_nano.pcap",
    "tcpdump/ptp_ethernet.pcap",
]


@pytest.mark.parametrize("name", REAL)
def test_a_real_capture_arrives_exactly(name: str, captures: pathlib.Path) -> None:
    frames = read_pcap(captures / name).frames
    with file_rig(captures / name) as rig, rig.service() as service:
        read_to_the_end(service)
        service.stop()
        assert not service.damaged
        assert not service.restarts
        assert_recorded(rig, frames)
        with rig.ring() as ring:
            books = ring_books(ring)
        assert (books.sources[0].offered, books.in_ring, books.lost, books.unexplained) == (
            len(frames),
            len(frames),
            0,
            0,
        )


def test_every_cooked_capture_arrives_exactly(captures: pathlib.Path) -> None:
    cooked = [path for path in sorted(captures.rglob("*.pcap")) if read_pcap(path).link_type != 1]
    assert cooked
    for path in cooked:
        with file_rig(path) as rig, rig.service() as service:
            read_to_the_end(service)
            service.stop()
            assert_recorded(rig, read_pcap(path).frames)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_all_ethernet_captures_arrive_exactly_compressed_or_not(
    compression: str, captures: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """In several members or frames; told by the first bytes, not by the name."""
    frames = [frame for path in ethernet_captures(captures) for frame in read_pcap(path).frames]
    write_pcap(tmp_path / "all", frames)
    packed = COMPRESSIONS[compression]((tmp_path / "all").read_bytes())
    (tmp_path / "packed").write_bytes(packed)
    with file_rig(tmp_path / "packed") as rig, rig.service() as service:
        read_to_the_end(service)
        service.stop()
        assert not service.damaged
        assert_recorded(rig, frames)


def test_flat_out_nothing_is_lost_to_a_recorder_that_is_slow(tmp_path: pathlib.Path) -> None:
    """The ring holds a tenth of the file; the recorder is stopped again and again."""
    frames = made(40_000)
    write_pcap(tmp_path / "f.pcap", frames)
    with file_rig(tmp_path / "f.pcap") as rig, rig.service() as service:
        pid = service.pid(RECORDER)
        assert pid
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: waits_for_the_recorder(rig, len(frames)), "the capture to hold back")
        assert not service.wait(0.2)
        os.kill(pid, signal.SIGCONT)
        read_to_the_end(service)
        service.stop()
        assert_recorded(rig, frames)
        assert json.loads(service.recorder_words)["lost"] == 0


def test_without_a_recorder_the_same_file_goes_through_the_same_ring_without_waiting(tmp_path: pathlib.Path) -> None:
    """The control: who comes late finds a tenth of it."""
    frames = made(40_000)
    write_pcap(tmp_path / "f.pcap", frames)
    with file_rig(tmp_path / "f.pcap") as rig, rig.service(record=False) as service:
        read_to_the_end(service)
        with rig.ring() as ring, ring.reader("oldest") as reader:
            assert ring.sources()[0].loop.packets == len(frames)
            assert reader.next_seq is not None
            assert reader.next_seq > len(frames) * 8 // 10


def damaged(frames: Sequence[CapturedFrame], file: pathlib.Path) -> int:
    """Writes a file whose packet 301 says it has 2 GB; returns the byte at which that one begins."""
    write_pcap(file, frames)
    at = 24 + sum(16 + len(captured.frame) for captured in frames[:300])
    data = bytearray(file.read_bytes())
    data[at + 8 : at + 12] = (2_000_000_000).to_bytes(4, "little")
    file.write_bytes(data)
    return at


def test_all_before_the_damage_is_recorded_and_the_run_ends_with_status_1(tmp_path: pathlib.Path) -> None:
    frames = made(1000)
    at = damaged(frames, tmp_path / "f.pcap")
    with file_rig(tmp_path / "f.pcap") as rig:
        status, output, errors = call("run", "--config", rig.config)
        assert status == 1, errors
        assert f"nanotape-capture: {tmp_path}/f.pcap: packet 301 at byte {at}: " in errors
        assert f"  DAMAGED: {tmp_path}/f.pcap: " in output
        assert "BALANCED" in output
        assert call("status", "--config", rig.config)[1].startswith("read only up to the DAMAGE: ")
        assert_recorded(rig, frames[:300])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_file_that_is_cut_short_gives_what_comes_out_of_it(
    compression: str, tmp_path: pathlib.Path
) -> None:
    frames = made(20_000)
    write_pcap(tmp_path / "f.pcap", frames)
    packed = COMPRESSIONS[compression]((tmp_path / "f.pcap").read_bytes())
    cut = len(packed) * 3 // 4
    (tmp_path / "f.pcap").write_bytes(packed[:cut])
    with file_rig(tmp_path / "f.pcap") as rig:
        status, output, errors = call("run", "--config", rig.config, "--json")
        assert status == 1, errors
        assert f"nanotape: {tmp_path}/f.pcap: byte {cut} of the compressed file: expected more data" in errors
        assert json.loads(output)["damaged"] is True
        found = recorded(rig.archive())
        assert len(found) > 10_000
        assert found == expected(frames[: len(found)])


def test_a_file_that_is_sound_ends_with_status_0_and_says_so(tmp_path: pathlib.Path) -> None:
    write_pcap(tmp_path / "f.pcap", made(1000))
    with file_rig(tmp_path / "f.pcap") as rig:
        status, output, errors = call("run", "--config", rig.config)
        assert status == 0, errors
        assert f"nanotape: {tmp_path}/f.pcap: read to its end\n" in errors
        assert "1,000 of no channel" in output
        status, output, errors = call("run", "--config", rig.config, "--json")
        assert status == 0, errors
        report = json.loads(output)
        assert (report["damaged"], report["unrecorded"], report["in_ring"]) == (False, 0, 2000)


CHANNEL = """
[[channel]]
name = "pitch"
feed = "bats"
[[channel.line]]
group = "{group}"
port = {port}
vlan = "any"
"""


@pytest.mark.parametrize(("other", "kept"), [("", False), ("other = true", True), ("other = false", False)])
def test_what_belongs_to_no_channel_is_recorded_where_asked(other: str, kept: bool, captures: pathlib.Path) -> None:
    """Left out is not lost: the run ends with status 0, and each row says that nothing is missing before it."""
    file = captures / "bats/mcastpitch_realtime_useq.pcap"
    frames = read_pcap(file).frames
    mine = [captured for captured in frames if captured.frame[30:34] + captured.frame[36:38] == _target(frames[0])]
    assert 0 < len(mine) < len(frames)
    group, port = ".".join(map(str, _target(frames[0])[:4])), int.from_bytes(_target(frames[0])[4:], "big")
    with file_rig(file, channels=CHANNEL.format(group=group, port=port), recorder=other) as rig:
        status, output, errors = call("run", "--config", rig.config, "--json")
        assert status == 0, errors
        assert json.loads(output)["in_ring"] == len(frames)
        assert recorded(rig.archive()) == expected(frames if kept else mine)
        rows = rig.archive().table(["channel", "lost_before"]).to_pylist()
        assert {row["lost_before"] for row in rows} == {0}
        assert sum(row["channel"] == "pitch" for row in rows) == len(mine)


def _target(captured: CapturedFrame) -> bytes:
    """Destination address and port of a plain IPv4 frame."""
    return captured.frame[30:34] + captured.frame[36:38]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_without_root_a_file_is_recorded_as_whoever_we_are(compression: str, tmp_path: pathlib.Path) -> None:
    frames = made(1000)
    write_pcap(tmp_path / "f", frames)
    with as_nobody() as (nanotape, work), file_rig(work / "f.pcap") as rig:
        (work / "f.pcap").write_bytes(COMPRESSIONS[compression]((tmp_path / "f").read_bytes()))
        edit(rig, f'run_dir = "{rig.folder}/run"', f'run_dir = "{work}/run"')
        edit(rig, f'archive = "{rig.folder}/archive"', f'archive = "{work}/archive"')
        edit(rig, f'shm_dir = "{rig.shm}"', f'shm_dir = "{work}/shm"')
        done = subprocess.run(
            [*nanotape, "run", "--config", rig.config], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert recorded(Archive(work / "archive")) == expected(frames)


def test_a_run_that_is_stopped_before_the_end_of_its_file_says_so(tmp_path: pathlib.Path) -> None:
    write_pcap(tmp_path / "f.pcap", made(1000, gap_ns=10**9))
    with file_rig(tmp_path / "f.pcap", speed="recorded") as rig:
        with running(rig) as service:
            wait_for(lambda: in_ring(rig) > 0, "the first packet")
            output = service.stop()
        assert "BALANCED" in output
        assert f"nanotape: {tmp_path}/f.pcap: stopped before its end\n" in rig.talk.read_text(encoding="utf-8")


def test_a_file_that_is_not_there_is_one_line(tmp_path: pathlib.Path) -> None:
    with file_rig(tmp_path / "none.pcap") as rig:
        assert f"{tmp_path}/none.pcap: expected a capture file, cannot open it: No such file" in refused(rig)
    (tmp_path / "folder").mkdir()
    with file_rig(tmp_path / "folder") as rig:
        assert f"{tmp_path}/folder: expected a capture file, found something else" in refused(rig)


def test_a_file_that_cannot_be_read_is_one_line() -> None:
    """It opens and looks like a file; to read it is refused, as a broken disk does."""
    with file_rig(pathlib.Path("/proc/self/mem")) as rig:
        assert "/proc/self/mem: expected a capture file, cannot read it: Input/output error; " in refused(rig)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_file_of_another_kind_is_one_line(compression: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "f").write_bytes(COMPRESSIONS[compression](b"no packets in here, by no means\n" * 10))
    with file_rig(tmp_path / "f") as rig:
        assert f"nanotape-capture: {tmp_path}/f: " in refused(rig, status=1)
