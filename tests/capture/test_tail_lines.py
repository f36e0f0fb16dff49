"""The line format of `tail`, against tcpdump's own reading of the same frames where the two correspond."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import odd_frames
import pytest
from frames import ethernet, ipv4, ipv6, market_data, udp
from pcap_file import CapturedFrame, write_pcap
from ring_batch import EPOCH_NS, Row, ring_batch

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.counters import Flow
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.hex_dump import hex_dump
from nanotape.capture.json_format import JsonFormat, stamp_text
from nanotape.capture.line_format import LineFormat

FLOWS = (
    Flow(1, "itch", "itch-1", "A", "moldudp64", "incremental", "eth1", "239.1.2.3", None, 15000, None),
    Flow(2, "itch", "itch-1", "B", "moldudp64", "incremental", "eth2", "239.1.2.4", None, 15000, None),
)
FRAGMENT6 = struct.pack(">BBHI", 17, 0, 1, 99)
LIKE_TCPDUMP = {
    "plain": market_data(b"hello world" + bytes(range(20))),
    "nothing in it": market_data(b""),
    "IPv6": ethernet(ipv6(udp(b"abc"))),
    "a tag": ethernet(ipv4(udp(b"x" * 9)), (0x8100, 100)),
    "two tags": ethernet(ipv4(udp(b"x" * 9)), (0x88A8, 7), (0x8100, 100)),
    "IP options": ethernet(ipv4(udp(b"abc"), options=b"\x94\x04\0\0")),
    "a wrong checksum": ethernet(ipv4(udp(b"abc"), checksum_error=1)),
    "padding": ethernet(ipv4(udp(b"pad"))) + bytes(15),
    "a first fragment": ethernet(ipv4(udp(b"a" * 40, length=48), fragment=0x2000)),
    "a later fragment": ethernet(ipv4(b"b" * 41, fragment=5)),
    "a first fragment of IPv6": ethernet(ipv6(FRAGMENT6 + udp(b"q" * 24), following=44)),
    "a later fragment of IPv6": ethernet(ipv6(FRAGMENT6[:2] + b"\0\x20" + bytes(4) + b"q" * 24, following=44)),
}


class Ring:
    """A ring's names."""

    name, host, ring_id = "main", "host-1", "0" * 32

    def __init__(self, flows: tuple[Flow, ...] = FLOWS) -> None:
        """With these flows."""
        self._flows = flows

    def flows(self) -> tuple[Flow, ...]:
        """The flow table."""
        return self._flows

    def sources(self) -> tuple[object, ...]:
        """None."""
        return ()


def lines_of(*rows: Row | bytes) -> list[str]:
    return LineFormat(FlowTable(Ring())).text(ring_batch(rows)).splitlines()


def told_by_tcpdump(frames: list[bytes], folder: Path, *options: str) -> str:
    if shutil.which("tcpdump") is None:
        pytest.skip("no tcpdump here: lines are not compared with its own")
    write_pcap(
        folder / "frames.pcap", [CapturedFrame(each, len(each), EPOCH_NS + at) for at, each in enumerate(frames)]
    )
    command = ["tcpdump", "-n", "--nano", *options, "-r", "-"]
    with (folder / "frames.pcap").open("rb") as file:
        done = subprocess.run(
            command, stdin=file, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "TZ": "UTC"}
        )
    return done.stdout


def test_the_lines_are_tcpdumps_with_the_channel_behind(tmp_path: Path) -> None:
    frames = list(LIKE_TCPDUMP.values())
    ours = lines_of(*(Row(frame, EPOCH_NS + at, flow_id=1) for at, frame in enumerate(frames)))
    assert [line.split(" [itch-1/A")[0] for line in ours] == told_by_tcpdump(frames, tmp_path).splitlines()
    assert all(line.endswith("]") for line in ours)


@pytest.mark.parametrize(("option", "dump"), [("-x", "hex"), ("-X", "ascii")])
def test_the_dumps_are_tcpdumps(option: str, dump: str, tmp_path: Path) -> None:
    frames = list(LIKE_TCPDUMP.values())
    rows = ring_batch(Row(frame, EPOCH_NS + at) for at, frame in enumerate(frames))
    ours = LineFormat(FlowTable(Ring()), "hex" if dump == "hex" else "ascii").text(rows)
    theirs = told_by_tcpdump(frames, tmp_path, option)
    assert [line for line in ours.splitlines() if line.startswith("\t")] == [
        line for line in theirs.splitlines() if line.startswith("\t")
    ]
    assert ours.count("\t") > len(frames)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(market_data(b"x"), flow_id=2), "UDP, length 1 [itch-1/B]"),
        (Row(market_data(b"x"), flow_id=99), "UDP, length 1 [other]"),
        (Row(ethernet(ipv4(udp(b"x")), (0x8100, 7))), "UDP, length 1 [other, vlan 7]"),
        (Row(market_data(b"x" * 99)[:60], wire_length=141, flags=1), "UDP, length 99 [other, truncated]"),
        (Row(market_data(b"x"), flags=FLAG_BITS["backwards"]), "[other, backwards]"),
        (Row(market_data(b"x"), flags=FLAG_BITS["bad_stamp"]), "[other, bad stamp]"),
        (Row(ethernet(ipv4(udp(b"x"), checksum_error=1))), "[other, bad checksum]"),
        (Row(ethernet(ipv4(b"b" * 41, fragment=5))), "IP 10.0.0.1 > 239.1.2.3: ip-proto-17 [other, fragment]"),
        (Row(ethernet(ipv4(bytes(20), protocol=6))), "IP 10.0.0.1 > 239.1.2.3: TCP, length 40 [other, unparsed]"),
        (
            Row(ethernet(ipv4(bytes(8), protocol=200))),
            "IP 10.0.0.1 > 239.1.2.3: ip-proto-200, length 28 [other, unparsed]",
        ),
        (
            Row(ethernet(ipv6(b"\x3a\0\x01\x04" + bytes(12), following=0))),
            "> ff15::99: ICMP6, length 56 [other, unparsed]",
        ),
        (Row(ethernet(ipv4(udp(b"abc"))[:18])), "IP [|ip], length 18 [other, unparsed]"),
        (Row(ethernet(bytes(28), kind=0x0806)), "ethertype ARP (0x0806), length 42 [other, unparsed]"),
        (
            Row(ethernet(bytes(33), kind=0x1234)),
            "02:00:00:00:00:01 > 01:00:5e:01:02:03, ethertype Unknown (0x1234), length 47 [other, unparsed]",
        ),
        (
            Row(ethernet(ipv4(udp(b"x")), *[(0x8100, 7)] * 3)),
            "ethertype 802.1Q (0x8100), length 55 [other, vlan 7.7, unparsed]",
        ),
        (Row(ethernet(ipv4(udp(b"q")), (0x88A8, 7), (0x8100, 9))), "UDP, length 1 [other, vlan 7.9]"),
        (Row(ethernet(ipv4(udp(b"q")), (0x8100, 0xE000), (0x8100, 9))), "UDP, length 1 [other, vlan 9]"),
        (Row(ethernet(ipv4(udp(b"q")), (0x8100, 0xE007))), "UDP, length 1 [other, vlan 7]"),
        (Row(ethernet(ipv4(udp(b"q")), (0x8100, 0))), "UDP, length 1 [other, vlan 0]"),
        (
            Row(bytes(14) + b"\x88\xa8\x00\x07\x81\x00\x00\x09\x08\0" + ipv4(udp(b"v1")), flags=FLAG_BITS["linux_sll"]),
            "UDP, length 2 [other, vlan 7.9]",
        ),
        (Row(bytes(9)), "[|link], length 9 [other, unparsed]"),
        (Row(b""), "[|link], length 0 [other, unparsed]"),
        (
            Row(ipv4(udp(b"raw")), flags=FLAG_BITS["raw_ip"]),
            "IP 10.0.0.1.12345 > 239.1.2.3.15000: UDP, length 3 [other]",
        ),
        (
            Row(ipv4(bytes(8), protocol=2), flags=FLAG_BITS["raw_ip"]),
            "IP 10.0.0.1 > 239.1.2.3: IGMP, length 28 [other, unparsed]",
        ),
        (Row(b"\0abc", flags=FLAG_BITS["raw_ip"]), "[|link], length 4 [other, unparsed]"),
        (Row(bytes(14) + b"\x08\0" + ipv4(udp(b"v1")), flags=FLAG_BITS["linux_sll"]), "UDP, length 2 [other]"),
        (
            Row(bytes(14) + b"\x88\xcc" + bytes(9), flags=FLAG_BITS["linux_sll"]),
            "ethertype LLDP (0x88cc), length 25 [other, unparsed]",
        ),
        (
            Row(b"\x86\xdd" + bytes(18) + ipv6(udp(b"v2v2")), flags=FLAG_BITS["linux_sll2"]),
            "IP6 fe80::1.12345 > ff15::99.15000: UDP, length 4 [other]",
        ),
        (
            Row(b"\x08\x06" + bytes(30), flags=FLAG_BITS["linux_sll2"]),
            "ethertype ARP (0x0806), length 32 [other, unparsed]",
        ),
    ],
)
def test_what_tcpdump_says_otherwise_or_not_at_all(row: Row, expected: str) -> None:
    [line] = lines_of(row)
    assert line.startswith("22:13:20.123456789 ")
    assert line.removeprefix("22:13:20.123456789 ").endswith(expected)


def test_link_headers_that_are_not_ethernet_are_left_out_of_the_dump() -> None:
    inner = ipv4(udp(b"same"))
    for header, flag in ((bytes(14) + b"\x08\0", "linux_sll"), (b"\x08\0" + bytes(18), "linux_sll2"), (b"", "raw_ip")):
        text = LineFormat(FlowTable(Ring()), "hex").text(ring_batch([Row(header + inner, flags=FLAG_BITS[flag])]))
        assert text.split("\n", 1)[1] == hex_dump(inner, ascii_too=False)


def test_every_odd_frame_cut_anywhere_makes_one_line() -> None:
    rows = [
        Row(frame[:end], wire_length=len(frame))
        for frame in odd_frames.traffic()
        for end in range(0, len(frame) + 1, 7)
    ]
    lines = lines_of(*rows)
    assert len(lines) == len(rows)
    assert all(line.startswith("22:13:20.123456789 ") for line in lines)


@pytest.mark.parametrize(
    ("ts_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
    ],
)
def test_stamps_outside_all_reason_have_a_text(ts_ns: int, expected: str) -> None:
    assert stamp_text(ts_ns) == expected
    [line] = lines_of(Row(market_data(b"x"), ts_ns))
    assert line.startswith(expected[11:-1] + " IP ")


def test_a_flow_that_is_new_in_the_table_is_looked_up() -> None:
    ring = Ring(())
    lines = LineFormat(FlowTable(ring))
    assert lines.text(ring_batch([market_data(b"x")])).endswith(" [other]\n")
    ring._flows = FLOWS
    assert lines.text(ring_batch([Row(market_data(b"x"), flow_id=2)])).endswith(" [itch-1/B]\n")


def test_json_has_the_archives_names_and_gives_the_frame_back() -> None:
    frame = ethernet(ipv4(udp(b"abc")), (0x8100, 7)) + b"end"
    rows = ring_batch([Row(frame, flow_id=1, flags=FLAG_BITS["backwards"], lost_before=3), Row(bytes(9))], first_seq=41)
    first, second = map(json.loads, JsonFormat(Ring(), FlowTable(Ring())).text(rows).splitlines())
    frame_parts = {name: first.pop(name) for name in ("header", "payload", "trailer")}
    assert bytes.fromhex("".join(frame_parts.values())) == frame
    assert frame_parts["payload"] == b"abc".hex()
    assert first == {
        "ts": "2023-11-14T22:13:20.123456789Z", "ts_ns": EPOCH_NS, "ts_kind": "xdp", "ts_raw": None, "rx_delay_ns": 100,
        "host": "host-1", "ring": "main", "ring_id": "0" * 32, "epoch": 1, "ring_seq": 41, "lost_before": 3,
        "interface": "eth1", "feed": "itch", "channel": "itch-1", "line": "A",
        "src_ip": "10.0.0.1", "dst_ip": "239.1.2.3", "src_port": 12345, "dst_port": 15000, "vlan": 7,
        "wire_len": len(frame), "payload_len": 3, "flags": FLAG_BITS["backwards"], "flag_names": ["backwards"],
    }  # fmt: skip
    assert (second["channel"], second["line"], second["src_ip"], second["interface"]) == ("other", None, None, None)


def test_bytes_are_dumped_in_pairs_with_an_odd_one_last() -> None:
    assert hex_dump(b"", ascii_too=True) == ""
    assert hex_dump(bytes(range(0x40, 0x53)), ascii_too=False) == (
        "\t0x0000:  4041 4243 4445 4647 4849 4a4b 4c4d 4e4f\n\t0x0010:  5051 52\n"
    )
    assert hex_dump(b" ~\x7f\n", ascii_too=True) == f"\t0x0000:  207e 7f0a{' ' * 30}  .~..\n"
