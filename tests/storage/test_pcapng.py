"""pcapng as it is written: by a strict reader of our own, and by Wireshark's tools, which must have nothing to say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pcapng_file import STATISTICS, PcapngFile, parse

from nanotape.storage.pcapng import (
    LINKTYPE_ETHERNET,
    LINKTYPE_LINUX_SLL2,
    InterfaceCounts,
    PcapngPacket,
    PcapngWriter,
)

U64_MAX = 2**64 - 1
NOW_NS = 1_795_219_200_123_456_789
COUNTS = st.none() | st.integers(-5, 2**70)
PACKETS = st.builds(
    PcapngPacket,
    interface=st.integers(0, 2),
    ts_ns=st.integers(-(2**63), 2**65) | st.just(NOW_NS),
    wire_length=st.integers(0, 2**32 - 1),
    frame=st.binary(max_size=70),
    drops=st.sampled_from([0, 0, 1, 2**32, 2**64]),
    comment=st.text(max_size=9) | st.just(""),
)


def written(*packets: PcapngPacket, interfaces: int = 3) -> PcapngFile:
    """A file of these packets, read back."""
    pieces: list[bytes] = []
    writer = PcapngWriter(pieces.append, "machine", "system", "nanotape test")
    for number in range(interfaces):
        assert writer.add_interface(LINKTYPE_ETHERNET, f"if{number}", f"source {number}") == number
    writer.packets(packets)
    writer.flush()
    writer.flush()
    assert len(pieces) == 1
    return parse(pieces[0])


def clamped(number: int) -> int:
    return min(max(number, 0), U64_MAX)


@given(st.lists(PACKETS, max_size=8))
def test_whatever_a_packet_says_comes_back_as_it_went_in(packets: list[PcapngPacket]) -> None:
    file = written(*packets)
    assert len(file.packets) == len(packets)
    for packet, block in zip(packets, file.packets, strict=True):
        assert block.frame == packet.frame
        assert block.fields["interface"] == packet.interface
        assert block.fields["ts"] == clamped(packet.ts_ns)
        assert block.fields["original"] == max(len(packet.frame), packet.wire_length)
        assert block.number(4) == (clamped(packet.drops) or None)
        assert block.number(2) == 1  # inbound
        assert block.text(1) == (packet.comment.encode("utf-8", "replace").decode() or None)


def test_section_and_interfaces_name_machine_source_and_nanoseconds() -> None:
    file = written()
    [section] = file.of(0x0A0D0D0A)
    assert [section.text(code) for code in (2, 3, 4)] == ["machine", "system", "nanotape test"]
    assert section.fields["length"] == -1
    for number, interface in enumerate(file.interfaces):
        assert interface.fields == {"link_type": 1, "reserved": 0, "snaplen": 0}
        assert [interface.text(code) for code in (2, 3)] == [f"if{number}", f"source {number}"]
        assert interface.number(9) == 9


def test_a_text_too_long_for_an_option_is_cut_between_two_characters() -> None:
    [block] = written(PcapngPacket(0, NOW_NS, 4, b"abcd", 0, "ä" * 40_000)).packets
    assert block.text(1) == "ä" * 32_767


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.none() | st.integers(-9, 2**70), st.none() | st.just(NOW_NS))
def test_statistics_leave_out_what_is_not_known(
    received: int | None,
    ours: int | None,
    system: int | None,
    delivered: int | None,
    start: int | None,
    end: int | None,
) -> None:
    pieces: list[bytes] = []
    writer = PcapngWriter(pieces.append)
    writer.add_interface(LINKTYPE_LINUX_SLL2)
    writer.statistics(0, NOW_NS, InterfaceCounts(received, ours, system, delivered), start, end)
    writer.flush()
    file = parse(pieces[0])
    [block] = file.of(STATISTICS)
    assert file.interfaces[0].options.keys() == {9}
    assert block.fields["ts"] == NOW_NS
    expected = {4: received, 5: ours, 7: system, 8: delivered}
    assert {code: block.number(code) for code in expected} == {
        code: None if number is None else clamped(number) for code, number in expected.items()
    }
    assert (block.stamp(2), block.stamp(3)) == (None if start is None else clamped(start), end)


def test_an_interface_may_come_after_packets() -> None:
    pieces: list[bytes] = []
    writer = PcapngWriter(pieces.append)
    for number in range(3):
        assert writer.add_interface(LINKTYPE_ETHERNET, f"if{number}") == number
        writer.packets([PcapngPacket(number, NOW_NS, 60, bytes(60))])
        writer.flush()
    file = parse(b"".join(pieces))
    assert [block.fields["interface"] for block in file.packets] == [0, 1, 2]


@pytest.mark.parametrize("tool", ["tshark", "capinfos"])
def test_wiresharks_tools_read_it_without_a_complaint(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here: Wireshark's reading is not compared")
    pieces: list[bytes] = []
    writer = PcapngWriter(pieces.append, "machine", "system", "nanotape test")
    writer.add_interface(LINKTYPE_ETHERNET, "eth0", "afxdp:eth0:0")
    frame = bytes.fromhex("01005e010203020000000001ffff") + bytes(46)
    stamps = (0, NOW_NS, NOW_NS + 1, -5, 2**63 - 1)
    writer.packets(
        PcapngPacket(0, ts_ns, 1500, frame, drops=number, comment="c" * number) for number, ts_ns in enumerate(stamps)
    )
    writer.statistics(0, NOW_NS, InterfaceCounts(9, 1, None, 5), NOW_NS - 10, NOW_NS)
    writer.add_interface(LINKTYPE_ETHERNET, "eth1")
    writer.packets([PcapngPacket(1, NOW_NS + 2, 60, frame)])
    writer.flush()
    path = tmp_path / "file.pcapng"
    path.write_bytes(b"".join(pieces))
    fields = ["frame.interface_name", "frame.drop_count", "frame.comment", "frame.len", "frame.cap_len"]
    command = [tool, str(path)] if tool == "capinfos" else [tool, "-n", "-r", str(path), "-T", "fields"]
    command += [] if tool == "capinfos" else [word for name in fields for word in ("-e", name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("Running as user")] == []
    if tool == "capinfos":
        assert "Number of packets:   6" in done.stdout
        assert "Name = eth1" in done.stdout
        assert "Capture application: nanotape test" in done.stdout
        return
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[:5] == [["eth0", str(number) if number else "", "c" * number, "1500", "60"] for number in range(5)]
    assert rows[5][0] == "eth1"
