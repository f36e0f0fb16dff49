"""A relay beside a real service: payloads arrive elsewhere byte for byte and in order, and each loss is counted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import namespaces
import pytest
from command_line import NANOTAPE, call
from datagram_log import datagram_log
from deadline import wait_for
from service_rig import Rig

from nanotape.capture.readers import list_readers
from nanotape.capture.sent_log import SentLine
from nanotape.storage.sidecar import checksum

pytestmark = pytest.mark.root

TWO_CHANNELS = """
[[channel]]
name = "first"
feed = "simulated"
framing = "moldudp64"
[[channel.line]]
name = "A"
group = "239.192.7.1"
port = 31001
[[channel]]
name = "second"
feed = "simulated"
framing = "moldudp64"
[[channel.line]]
name = "B"
group = "239.192.7.2"
port = 31001
"""
GROUP, SIX = "239.50.0.1", "ff05::50"


@dataclasses.dataclass
class RunningRelay:
    """A `nanotape relay --json`."""

    process: subprocess.Popen[str]

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Ends it; returns exit status and last report."""
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=30)
        assert output, errors
        report = json.loads(output.splitlines()[-1])
        assert report["is_last"]
        return self.process.returncode, report


def know_neighbour(side: namespaces.Side, other: namespaces.Side) -> None:
    """Else the kernel keeps the first packets to a host until it has answered, and may send later ones before them."""
    address = other.run("cat", f"/sys/class/net/{other.interface}/address").stdout.strip()
    side.run("ip", "neigh", "replace", other.address, "lladdr", address, "dev", side.interface, "nud", "permanent")


@contextlib.contextmanager
def relaying(rig: Rig, *options: str, wrap: tuple[str, ...] = ()) -> Iterator[RunningRelay]:
    """In the capturing namespace, from the latest on."""
    command = [*rig.capture_side, *wrap, *NANOTAPE, "relay", "--config", str(rig.config), "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    status = rig.folder / "run" / "test" / "readers" / "relay.status"
    try:
        wait_for(lambda: status.exists() or process.poll() is not None, "the relay", 30)
        yield RunningRelay(process)
    finally:
        process.kill()
        process.communicate()


def send(rig: Rig, service: Any, *options: str) -> dict[str, SentLine]:
    """Both lines, until all is in the ring."""
    exchange = rig.exchange(*options)
    try:
        while exchange.running():
            service.wait(0.05)
        log = exchange.result()
    finally:
        exchange.stop()
    books = rig.wait_taken(service)
    assert (books.lost, books.unexplained) == (0, 0)
    return {line.name: line for line in log.lines}


def wait_relayed(rig: Rig) -> None:
    """Until the relay has read all that is in the ring."""

    def caught_up() -> bool:
        with rig.ring() as ring:
            return [
                reader.lag_bytes for reader in list_readers(ring, rig.folder / "run") if reader.name == "relay"
            ] == [0]

    wait_for(caught_up, "the relay to catch up", 60)


def enable_ipv6(pair: namespaces.NamespacePair) -> None:
    for side in (pair.left, pair.right):
        side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.dad_transmits=0")
        side.run("sysctl", "-qw", f"net.ipv6.conf.{side.interface}.disable_ipv6=0")
    wait_for(lambda: "fe80" in pair.right.run("ip", "-6", "address", "show", "dev", "veth-r").stdout, "IPv6")


def test_channels_arrive_at_several_destinations_byte_for_byte_and_in_order(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    """One to a group and to a host, the other to an IPv6 group; what the exchange sent is what all receive."""
    enable_ipv6(namespace_pair)
    rig, left = make_service_rig(channels=TWO_CHANNELS, capacity="128 MiB", descriptors=65_536), namespace_pair.left
    maps = (f"first={GROUP}:6000@veth-r", "first=10.211.0.1:7000", f"second/B=[{SIX}]:6001@veth-r")
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(rig.service(record=False))
        know_neighbour(namespace_pair.right, left)
        where = [(GROUP, 6000), ("10.211.0.1", 7000), (SIX, 6001)]
        logs = [stack.enter_context(datagram_log(left, *each)) for each in where]
        relay = stack.enter_context(relaying(rig, *(word for text in maps for word in ("--map", text))))
        sent = send(rig, service, "--rate", "10000", "--packets", "20000", "--gap", "A:500:3")
        wait_relayed(rig)
        for log in logs:
            log.wait_still()
        shown = json.loads(call("rings", "--config", rig.config, "--json")[1])[0]["readers"]
        assert [(reader["name"], reader["lost"]) for reader in shown] == [("relay", 0)]
        status, report = relay.finish()
        received = [log.finish() for log in logs]
    assert (status, report["packets"], report["failures"]) == (0, sent["A"].sent + sent["B"].sent, 0)
    assert [flow["lost"] for flow in report["flows"]] == [0, 0]
    for line, rows in zip("AAB", received, strict=True):
        assert len(rows) == sent[line].sent
        assert checksum(b"".join(row.payload for row in rows)) == sent[line].crc32c
    assert {row.sender for row in received[0]} == {"10.211.0.2"}


def test_a_relay_that_is_stopped_and_lapped_counts_each_packet_that_it_lost(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig = make_service_rig(channels=TWO_CHANNELS, capacity="16 MiB", descriptors=65_536)
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(rig.service(record=False))
        log = stack.enter_context(datagram_log(namespace_pair.left, GROUP, 6000))
        relay = stack.enter_context(relaying(rig, "--channel", "first", "--to", f"{GROUP}:6000@veth-r"))
        before = send(rig, service, "--rate", "20000", "--packets", "5000")
        wait_relayed(rig)
        relay.process.send_signal(signal.SIGSTOP)
        during = send(rig, service, "--rate", "60000", "--packets", "120000")
        relay.process.send_signal(signal.SIGCONT)
        wait_relayed(rig)
        after = send(rig, service, "--rate", "20000", "--packets", "5000")
        wait_relayed(rig)
        log.wait_still()
        status, report = relay.finish()
        received = log.finish()
        with rig.ring() as ring:
            assert ring.tail > 2 * ring.capacity_bytes
    sent = sum(lines["A"].sent for lines in (before, during, after))
    (flow,) = report["flows"]
    assert status == 1
    assert report["ring_lost"] > flow["lost"] > 0
    assert report["loss_events"] >= 1
    assert flow["packets"] + flow["lost"] == sent
    assert len(received) == report["packets"] == flow["packets"]


def test_the_original_source_is_kept_where_asked(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig, left = make_service_rig(channels=TWO_CHANNELS, capacity="64 MiB", descriptors=16_384), namespace_pair.left
    for name in ("all", "veth-l"):  # the exchange's own address comes in from outside
        left.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
    left.run("sysctl", "-qw", "net.ipv4.conf.veth-l.accept_local=1")
    to = ("--to", f"{GROUP}:6000@veth-r", "--to", "10.211.0.1:7000", "--keep-source")
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(rig.service(record=False))
        logs = [stack.enter_context(datagram_log(left, *each)) for each in ((GROUP, 6000), ("10.211.0.1", 7000))]
        relay = stack.enter_context(relaying(rig, "--channel", "first", *to))
        sent = send(rig, service, "--rate", "10000", "--packets", "5000")
        wait_relayed(rig)
        for log in logs:
            log.wait_still()
        with rig.ring() as ring:
            ports = {packet.src_port for packet in ring.packets(start="oldest", idle=0.1) if packet.flow_id == 1}
        status, report = relay.finish()
        received = [log.finish() for log in logs]
    assert (status, report["failures"]) == (0, 0)
    for rows in received:
        assert {(row.sender, row.port) for row in rows} == {("10.211.0.1", port) for port in ports}
        assert checksum(b"".join(row.payload for row in rows)) == sent["A"].crc32c


def test_a_source_cannot_be_kept_without_the_right(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig = make_service_rig(channels=TWO_CHANNELS, capacity="64 MiB", descriptors=4096)
    wrap = ("setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw")
    options = ("--to", f"{GROUP}:6000@veth-r")
    with rig.service(record=False):
        status, _, errors = call(
            "relay", "--config", rig.config, *options, "--keep-source", wrap=(*rig.capture_side, *wrap)
        )
        assert (status, errors) == (
            2,
            f"nanotape: --keep-source: {GROUP}:6000@veth-r: expected root or CAP_NET_RAW, found neither; "
            "leave it out, or grant the right\n",
        )
        with relaying(rig, *options, wrap=wrap) as relay:
            assert relay.process.poll() is None
            relay.finish()


def test_a_destination_that_is_captured_is_refused_and_one_that_a_capture_of_all_would_take(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig = make_service_rig(channels=TWO_CHANNELS, capacity="64 MiB", descriptors=4096, source='select = "multicast"')
    with rig.service(record=False):
        for target, said in (
            ("239.192.7.2:31001@veth-r", "is captured here, as channel second, line B of "),
            ("239.9.9.9:1@veth-r", 'ring test captures all of veth-r (select = "multicast")'),
        ):
            command = ("relay", "--config", rig.config, "--channel", "first", "--to", target)
            status, _, errors = call(*command, wrap=rig.capture_side)
            assert status == 2
            assert f"nanotape: {target}: {said}" in errors


def test_a_destinations_interface_that_is_made_again_is_used_again(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    """What could not go out meanwhile is counted; the relay itself goes on."""
    rig = make_service_rig(channels=TWO_CHANNELS, capacity="64 MiB", descriptors=16_384)
    out = dataclasses.replace(namespace_pair.left, interface="veth-x")
    with contextlib.ExitStack() as stack:
        add_wire(namespace_pair)
        service = stack.enter_context(rig.service(record=False))
        first = stack.enter_context(datagram_log(out, GROUP, 6000))
        relay = stack.enter_context(relaying(rig, "--channel", "first", "--to", f"{GROUP}:6000@veth-y"))
        before = send(rig, service, "--rate", "1000", "--packets", "100")["A"].sent
        wait_relayed(rig)
        first.wait_still()
        assert len(first.finish()) == before
        namespace_pair.right.run("ip", "link", "delete", "veth-y")
        missed = send(rig, service, "--rate", "1000", "--packets", "100")["A"].sent
        wait_relayed(rig)
        add_wire(namespace_pair)
        second = stack.enter_context(datagram_log(out, GROUP, 6000))
        after = send(rig, service, "--rate", "1000", "--packets", "3000")["A"].sent
        wait_relayed(rig)
        second.wait_still()
        status, report = relay.finish()
        arrived = len(second.finish())
    (target,) = report["targets"]
    assert (status, report["packets"]) == (1, before + missed + after)
    assert missed <= target["failures"] < missed + after
    assert target["sent"] == before + arrived == before + missed + after - target["failures"]


def add_wire(pair: namespaces.NamespacePair) -> None:
    """A second one between the namespaces: veth-x on the left, veth-y on the right."""
    peer = ("peer", "name", "veth-y", "netns", pair.right.namespace)
    pair.left.run("ip", "link", "add", "veth-x", "type", "veth", *peer)
    for side, name in ((pair.left, "veth-x"), (pair.right, "veth-y")):
        side.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        side.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
        side.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
        side.run("ip", "link", "set", name, "up")
