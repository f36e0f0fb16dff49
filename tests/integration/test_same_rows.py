"""One traffic, three ways in: through AF_XDP, through a packet socket and out of a file it makes the same rows.

tshark, which knows nothing of us, reads the same fields in the same frames.
"""

from __future__ import annotations

import ipaddress
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import holder_rig
import namespaces
import odd_frames
import pcap_file
import pytest
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.columns import FLAG_BITS

pytestmark = [pytest.mark.root, pytest.mark.shared]

# What differs by the way in: stamps and what follows from them, and which ring of which run it was.
OF_THE_WAY = {"ts", "ts_kind", "ts_raw", "rx_delay_ns", "ring_id", "interface", "ring_seq", "epoch"}
STAMP_FLAGS = FLAG_BITS["unstamped"] | FLAG_BITS["backwards"] | FLAG_BITS["bad_stamp"]
CHANNELS = f"""
[[channel]]
name = "plain"
feed = "odd"
[[channel.line]]
group = "{odd_frames.GROUP}"
port = {odd_frames.PORT}

[[channel]]
name = "tagged"
feed = "odd"
[[channel.line]]
group = "{odd_frames.GROUP}"
port = {odd_frames.PORT}
vlan = 7

[[channel]]
name = "six"
feed = "odd"
[[channel.line]]
group = "{odd_frames.GROUP6}"
port = {odd_frames.PORT}
vlan = "any"
"""
BEGIN_NS = 1_700_000_000_000_000_001


def wanted(kind: str, select: str, more: str = "") -> Wanted:
    source = f'join = "none"\nselect = "{select}"\n{more}'
    return Wanted(
        kind=kind, source=source, channels=CHANNELS, recorder="other = true", capacity="64 MiB", descriptors=16384
    )


def rows(rig: Rig) -> list[dict[str, Any]]:
    """What stands in the archive, in the order of arrival, without what is of the way in."""
    table = rig.archive().table()
    kept = [name for name in table.column_names if name not in OF_THE_WAY]
    found: list[dict[str, Any]] = table.select(kept).to_pylist()
    for row in found:
        row["flags"] &= ~STAMP_FLAGS
    return found


def through_wire(rig: Rig, pair: namespaces.NamespacePair, sent: list[bytes]) -> list[dict[str, Any]]:
    """The rows of a live source."""
    last = odd_frames.traffic()[0]  # selected by every selection: when it is in, all is
    with rig.service() as service:
        holder_rig.send_frames(pair.left, sent)
        books = rig.wait_taken(service)
        assert books.lost == books.unexplained == 0
        assert books.in_ring
    assert last in sent
    return rows(rig)


def out_of_a_file(path: pathlib.Path, select: str) -> list[dict[str, Any]]:
    """The rows of a capture file."""
    more = f'file = "{path}"\nspeed = "max"'
    with make_rig(wanted("pcap", select, more), None) as rig:
        with rig.service() as service:
            wait_for(lambda: service.wait(0.1) is not None and service.finished, "the file's end", 30)
        return rows(rig)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """The traffic as a capture file that anybody may read."""
    path = tmp_path / "odd.pcap"
    frames = enumerate(odd_frames.traffic())
    pcap_file.write_pcap(
        path, [pcap_file.CapturedFrame(frame, len(frame), BEGIN_NS + 1000 * number) for number, frame in frames]
    )
    return path


@pytest.mark.parametrize("select", ["channels", "multicast", pytest.param("udp", marks=pytest.mark.slow)])
def test_the_same_traffic_makes_the_same_rows_through_afxdp_packet_and_pcap(
    select: str,
    file: pathlib.Path,
    make_service_rig: Callable[..., Rig],
    namespace_pair: namespaces.NamespacePair,
) -> None:
    sent = odd_frames.traffic()
    from_file = out_of_a_file(file, select)
    assert 60 < len(from_file) < len(sent)
    others = set() if select == "channels" else {"other"}
    assert {row["channel"] for row in from_file} == {"plain", "tagged", "six"} | others
    with make_rig(wanted("packet", select), namespace_pair) as rig:
        assert through_wire(rig, namespace_pair, sent) == from_file
    with make_rig(wanted("afxdp", select), namespace_pair) as rig:
        assert through_wire(rig, namespace_pair, sent) == from_file


FIELDS = ("frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.length")
UNREAD = FLAG_BITS["unparsed"]


def tshark(path: pathlib.Path) -> list[list[str]]:
    """The fields of each frame; fragments by themselves, as we keep them; the innermost of several."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (apt-get install tshark)")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "occurrence=l"]
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    command += [part for field in (*FIELDS, "vlan.id") for part in ("-e", field)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_reads_the_same_fields_in_the_same_frames(file: pathlib.Path) -> None:
    """Every frame is a row under `all`, so that rows and frames go hand in hand."""
    found = out_of_a_file(file, "all")
    theirs = tshark(file)
    assert [row["header"] + row["payload"] + row["trailer"] for row in found] == odd_frames.traffic()
    assert len(found) == len(theirs)
    compared = 0
    for row, fields in zip(found, theirs, strict=True):
        length, src4, dst4, src6, dst6, src_port, dst_port, udp_length, vlan = fields
        assert row["wire_len"] == int(length)
        if row["flags"] & UNREAD:
            continue
        compared += 1
        addresses = (src4 or src6, dst4 or dst6)
        assert (row["src_ip"], row["dst_ip"]) == tuple(str(ipaddress.ip_address(text)) for text in addresses)
        assert row["vlan"] == (int(vlan) if vlan else None)
        if row["src_port"] is None:
            continue  # a later fragment
        assert (row["src_port"], row["dst_port"]) == (int(src_port), int(dst_port))
        if not row["flags"] & FLAG_BITS["fragment"]:
            assert row["payload_len"] == int(udp_length) - 8
    assert compared > 100
