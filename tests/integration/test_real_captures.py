"""Real packets, put onto the wire by tcpreplay, stand in the Arrow files byte for byte; the rest reaches the kernel."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import namespaces
import pytest
from archive_truth import assert_sequences_once
from deadline import wait_for
from kernel_listener import kernel_listener
from pcap_file import ethernet_captures, read_pcap, write_pcap
from selection_model import Target, is_selected, multicast_targets
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.conservation import SourceBooks, ring_books
from nanotape.capture.service import Service
from nanotape.storage.archive import Archive

pytestmark = [pytest.mark.root, pytest.mark.shared]

MTU = 1700  # some captures hold tagged frames, and their FCS; a frame of 2048 bytes of UMEM takes all of them


@dataclasses.dataclass(frozen=True, slots=True)
class Wire:
    """Two sides with room for every captured frame, and tcpreplay at the left one."""

    pair: namespaces.NamespacePair

    def replay(self, path: pathlib.Path) -> None:
        """Puts a file onto the wire."""
        left = self.pair.left
        done = left.run("tcpreplay", "--quiet", "--topspeed", "-i", left.interface, path, check=False)
        assert done.returncode == 0, done.stderr
        assert "Failed packets:            0" in done.stdout, done.stdout


@pytest.fixture
def wire() -> Iterator[Wire]:
    """The wire, where there can be one."""
    reason = namespaces.missing_for_namespaces()
    if not reason and shutil.which("tcpreplay") is None:
        reason = "tcpreplay is not installed (apt-get install tcpreplay)"
    if reason:
        pytest.skip(reason)
    with namespaces.namespace_pair(mtu=MTU) as pair:
        yield Wire(pair)


@contextlib.contextmanager
def service_for(flows: Sequence[Target], wire: Wire) -> Iterator[tuple[Rig, Service]]:
    """A running service that takes these flows as a tap would bring them: unasked, in whatever VLAN."""
    channels = ""
    for flow in flows:
        channels += f'[[channel]]\nname = "{named(flow)}"\nfeed = "real"\n[[channel.line]]\n'
        channels += f'group = "{flow.group}"\nport = {flow.port}\n'
        channels += "" if flow.vlan is None else f"vlan = {flow.vlan}\n"
    wanted = Wanted(source='join = "none"', channels=channels, capacity="64 MiB", descriptors=16384)
    with make_rig(wanted, wire.pair) as rig, rig.service() as service:
        yield rig, service


def named(flow: Target) -> str:
    return f"{flow.group}:{flow.port}/{flow.vlan}"


def wait_judged(rig: Rig, service: Service, frames: int) -> SourceBooks:
    """Until the XDP program has seen so many frames, and the loop has taken what was redirected."""

    def judged() -> SourceBooks | None:
        service.wait(0)
        with rig.ring() as ring:
            (source,) = ring_books(ring).sources
        return source if (source.offered or 0) >= frames and not source.waiting and not source.unexplained else None

    return wait_for(judged, f"{frames} frames at the XDP program", 20)


def recorded_frames(archive: Archive) -> list[bytes]:
    """Every recorded frame, put together from its columns, in order."""
    table = archive.table(["header", "payload", "trailer"])
    columns = (table.column(name).to_pylist() for name in table.column_names)
    return [b"".join(parts) for parts in zip(*columns, strict=True)]


def test_every_ethernet_capture_arrives_byte_for_byte_and_what_is_not_selected_reaches_the_kernel(
    captures: pathlib.Path, wire: Wire
) -> None:
    files = {path: [packet.frame for packet in read_pcap(path).frames] for path in ethernet_captures(captures)}
    everything = [frame for frames in files.values() for frame in frames]
    flows = multicast_targets(everything)
    assert len(flows) > 15
    assert {flow.vlan for flow in flows} > {None}
    selected = [frame for frame in everything if is_selected(frame, flows)]
    passed = [frame for frame in everything if not is_selected(frame, flows)]
    with kernel_listener(wire.pair.right) as kernel, service_for(flows, wire) as (rig, service):
        judged = redirected = 0
        for path, frames in files.items():
            wire.replay(path)
            judged += len(frames)
            redirected += sum(is_selected(frame, flows) for frame in frames)
            books = wait_judged(rig, service, judged)
            assert (books.offered, books.redirected, books.in_ring) == (judged, redirected, redirected), path
            assert (books.passed_unmatched, books.passed_no_socket) == (judged - redirected, 0), path
        service.stop()
        assert (len(selected), len(passed)) == (redirected, judged - redirected)
        assert kernel.finish() == passed
        assert assert_sequences_once(rig.archive()) == len(selected)
        assert recorded_frames(rig.archive()) == selected
        assert_columns_agree(rig.archive(), selected, flows)


def assert_columns_agree(archive: Archive, selected: list[bytes], flows: Sequence[Target]) -> None:
    """Each row bears its flow's channel, and the addresses that its frame says."""
    columns = ["channel", "dst_ip", "dst_port", "vlan", "wire_len", "ts_kind", "lost_before"]
    rows = archive.table(columns).to_pylist()
    for row, frame in zip(rows, selected, strict=True):
        target = Target(row["dst_ip"], row["dst_port"], row["vlan"])
        assert target in flows
        assert row["channel"] == named(target)
        assert (row["wire_len"], row["ts_kind"], row["lost_before"]) == (len(frame), "xdp", 0)


def test_the_same_packets_without_their_flows_are_all_left_to_the_kernel(
    captures: pathlib.Path, wire: Wire, tmp_path: pathlib.Path
) -> None:
    """The same groups and ports, but in the wrong VLAN or at the next port: nothing of it is taken."""
    packets = [packet for path in ethernet_captures(captures) for packet in read_pcap(path).frames]
    flows = multicast_targets(packet.frame for packet in packets)
    others = [dataclasses.replace(flow, vlan=None if flow.vlan else 7) for flow in flows]
    others += [dataclasses.replace(flow, port=flow.port + 1) for flow in flows]
    others = [flow for flow in dict.fromkeys(others) if flow not in flows]
    write_pcap(tmp_path / "all.pcap", packets)
    with kernel_listener(wire.pair.right) as kernel, service_for(others, wire) as (rig, service):
        wire.replay(tmp_path / "all.pcap")
        books = wait_judged(rig, service, len(packets))
        assert (books.passed_unmatched, books.redirected, books.in_ring) == (len(packets), 0, 0)
        # Before a packet socket sees it, the kernel takes the tag out of a frame.
        assert kernel.finish() == [_untagged(packet.frame) for packet in packets]


def _untagged(frame: bytes) -> bytes:
    return frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame
