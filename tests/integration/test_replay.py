"""Recorded frames go out of one end of a veth pair as they were, and the other end sees when and what."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadline import wait_for
from frames import market_data
from namespaces import NamespacePair
from pcap_file import CapturedFrame, PcapFile, read_pcap, write_pcap

NANOTAPE = (sys.executable, "-m", "nanotape.cli.main")
BATS = "bats/mcastpitch_realtime_useq.pcap"
MS_NS = 10**6

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump (apt-get install tcpdump)"),
]


@contextmanager
def captured(pair: NamespacePair, folder: Path, frames: int) -> Iterator[Path]:
    """Captures so many frames at the right end; the file is whole at the end."""
    path, said = folder / "received.pcap", folder / "tcpdump.stderr"
    options = ("-i", pair.right.interface, "-nn", "--nano", "-c", str(frames), "-Z", "root", "-w", str(path))
    with said.open("wb") as stderr:
        tcpdump = pair.right.start("tcpdump", *options, stderr=stderr)
    try:
        wait_for(lambda: b"listening" in said.read_bytes(), "tcpdump to listen")
        yield path
        tcpdump.wait(timeout=30)
    finally:
        tcpdump.kill()
        tcpdump.wait()


def replayed(pair: NamespacePair, *arguments: str | Path) -> dict[str, object]:
    done = pair.left.run(*NANOTAPE, "replay", *arguments, "-i", pair.left.interface, "--json")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def span_ns(file: PcapFile) -> int:
    return file.frames[-1].ts_ns - file.frames[0].ts_ns


def test_an_archive_s_frames_arrive_unchanged_in_order_and_not_too_early(
    captures: Path, namespace_pair: NamespacePair, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    subprocess.run([*NANOTAPE, "import", captures / BATS, "--to", archive], check=True, capture_output=True)
    original = read_pcap(captures / BATS)
    count = len(original.frames)
    with captured(namespace_pair, tmp_path, count) as path:
        report = replayed(namespace_pair, archive, "--rate", "5kpps")
    received = read_pcap(path)
    assert [each.frame for each in received.frames] == [each.frame for each in original.frames]
    assert (report["sent"], report["too_long"], report["truncated"], report["is_stopped"]) == (count, 0, 0, False)
    planned_ns = (count - 1) * 10**9 // 5000
    timing = report["timing"]
    assert isinstance(timing, dict)
    # Frames are never early, so that the span can be shorter only by how late the first was.
    assert planned_ns - timing["max_ns"] <= span_ns(received) <= planned_ns + timing["max_ns"] + 50 * MS_NS
    assert 0 <= timing["p50_ns"] <= timing["p99_ns"] <= timing["max_ns"]


def test_stamps_say_when_and_a_speed_divides_them(namespace_pair: NamespacePair, tmp_path: Path) -> None:
    frames = [CapturedFrame(market_data(bytes([at]) * 20), 62, 10**18 + at * 40 * MS_NS) for at in range(6)]
    write_pcap(tmp_path / "slow.pcap", frames)
    with captured(namespace_pair, tmp_path, 12) as path:
        report = replayed(namespace_pair, tmp_path / "slow.pcap", "--speed", "2x", "--loop", "2")
    received = read_pcap(path)
    assert [each.frame for each in received.frames] == [each.frame for each in frames] * 2
    timing, seconds = report["timing"], report["seconds"]
    assert isinstance(timing, dict)
    assert isinstance(seconds, float)
    planned_ns = 11 * 20 * MS_NS  # the second loop begins after the mean distance of the first
    assert planned_ns - timing["max_ns"] <= span_ns(received) <= seconds * 1e9 + 50 * MS_NS


def test_frames_to_another_group_have_its_mac_address_and_right_checksums(
    captures: Path, namespace_pair: NamespacePair, tmp_path: Path
) -> None:
    source = captures / "omi/Iex/Tops.IexTp.v1.5/QuoteUpdateMessage.pcap"
    (first, *_) = read_pcap(source).frames
    group, port = ".".join(map(str, first.frame[30:34])), int.from_bytes(first.frame[36:38], "big")
    count = len(read_pcap(source).frames)
    with captured(namespace_pair, tmp_path, count) as path:
        arguments = ("--map", f"{group}:{port}=239.137.9.9:6000", "--source-ip", "10.9.8.7", "--rate", "1kpps")
        replayed(namespace_pair, source, *arguments)
    options = ("-nn", "-e", "-vv", "-r", path)
    text = subprocess.run(["tcpdump", *options], check=True, capture_output=True, text=True).stdout
    assert text.count("10.9.8.7.") == text.count("> 239.137.9.9.6000: [udp sum ok]") == count, text
    assert text.count("> 01:00:5e:09:09:09") == count
    assert "bad" not in text


def test_without_the_right_to_send_frames_it_says_which_in_one_line(captures: Path) -> None:
    without = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw")
    command = [*without, *NANOTAPE, "replay", captures / BATS, "-i", "lo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "CAP_NET_RAW" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interface_that_is_not_there_is_one_line_with_those_that_are(captures: Path) -> None:
    command = [*NANOTAPE, "replay", captures / BATS, "-i", "nowhere9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nowhere9: an interface expected" in done.stderr
    assert "here are lo" in done.stderr
