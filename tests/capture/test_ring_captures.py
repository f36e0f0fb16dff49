"""Real packets through a ring: the three binary columns are the frame, and tshark reads the same fields."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from pcap_file import CapturedFrame, ethernet_captures, read_pcap, write_pcap
from ring_writer import RingWriter, Written

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA
from nanotape.capture.ring import Ring

FIELDS = ("ip.src", "ip.dst", "udp.srcport", "udp.dstport", "vlan.id", "udp.length")


def through_a_ring(packets: Iterable[CapturedFrame]) -> pa.Table:
    writer = RingWriter.private(1 << 22)
    with Ring(writer.handle) as ring:
        writer.write(
            *(
                Written(packet.frame, packet.wire_length, packet.ts_ns, ts_kind=4, rx_delay_ns=-(2**31))
                for packet in packets
            )
        )
        return pa.Table.from_batches(ring.batches(start="oldest", idle=0, max_rows=100), RING_SCHEMA)


def test_real_frames_come_out_byte_for_byte(captures: Path) -> None:
    total = 0
    for path in ethernet_captures(captures):
        packets = read_pcap(path).frames
        rows = through_a_ring(packets)
        columns = (rows[name].to_pylist() for name in ("header", "payload", "trailer"))
        frames = [b"".join(parts) for parts in zip(*columns, strict=True)]
        assert frames == [packet.frame for packet in packets], path
        assert rows["ts"].cast(pa.int64()).to_pylist() == [packet.ts_ns for packet in packets], path
        assert rows["rx_delay_ns"].null_count == len(packets)
        total += len(frames)
    assert total > 800


def tshark(path: Path) -> list[dict[str, str]]:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=;", "-E", "occurrence=f"]
    # Reassembly would move fields of fragments to the last one; heuristics do not touch the fields asked for.
    command += ["-o", "ip.defragment:FALSE", "-o", "ip.check_checksum:TRUE"]
    for field in (*FIELDS, "ip.checksum.status", "frame.protocols"):
        command += ["-e", field]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [dict(zip((*FIELDS, "checksum", "protocols"), line.split(";"), strict=True)) for line in lines]


def test_tshark_reads_the_same_fields(captures: Path, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    packets = [packet for path in ethernet_captures(captures) for packet in read_pcap(path).frames]
    write_pcap(tmp_path / "all.pcap", packets)
    compared = 0
    rows = through_a_ring(packets).drop_columns(["ts"]).to_pylist()
    for row, told in zip(rows, tshark(tmp_path / "all.pcap"), strict=True):
        if row["flags"] & FLAG_BITS["unparsed"]:
            assert not told["protocols"].startswith(("eth:ethertype:ip:udp", "eth:ethertype:vlan:ethertype:ip:udp"))
            continue
        found = (row["src_ip"], row["dst_ip"], str(row["src_port"]), str(row["dst_port"]))
        assert found == (told["ip.src"], told["ip.dst"], told["udp.srcport"], told["udp.dstport"])
        assert row["payload_len"] + 8 == int(told["udp.length"])
        assert str(row["vlan"] or "") == told["vlan.id"]
        assert bool(row["flags"] & FLAG_BITS["bad_checksum"]) == (told["checksum"] == "0")
        compared += 1
    assert compared > 700
