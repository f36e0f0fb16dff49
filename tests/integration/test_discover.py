"""`nanotape discover` on a wire: what it finds, what it joins, what it leaves behind."""

from __future__ import annotations

import ipaddress
import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from frames import ethernet, ipv4, udp
from holder_rig import C_SOURCES
from namespaces import NamespacePair, Side
from venue import Group, sending, venue

from nanotape.capture.exchange import ExchangeParameters, ExchangeStream
from nanotape.config import loads

pytestmark = pytest.mark.root

MEMBERSHIPS = ("/proc/net/igmp", "/proc/net/igmp6", "/proc/net/mcfilter", "/proc/net/dev_mcast")
ONE = Group("198.51.100.1", "233.252.0.1", 15000)


def promiscuity(side: Side) -> int:
    return int(json.loads(side.run("ip", "-d", "-j", "link", "show", side.interface).stdout)[0]["promiscuity"])


def memberships(side: Side) -> str:
    """Without the timers, which run."""
    said = side.run("cat", *MEMBERSHIPS).stdout
    return "\n".join(" ".join(line.split()[:4]) for line in said.splitlines())


@contextmanager
def discovering(side: Side, *options: str, **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, listening."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | pipes
    before = promiscuity(side)
    process = side.start(*NANOTAPE, "discover", side.interface, *options, **pipes)
    try:
        if "--no-promiscuous" not in options:
            wait_for(lambda: promiscuity(side) > before or process.poll() is not None, "the packet socket", 30)
        yield process
    finally:
        process.kill()
        process.communicate()


def discovered(side: Side, *options: str) -> dict[str, Any]:
    status, output, errors = call("discover", side.interface, *options, "--json", wrap=side.command())
    assert status in (0, 1), errors
    found: dict[str, Any] = json.loads(output)
    assert status == (0 if found["flows"] else 1)
    return found


def refusal(side: Side, *arguments: str, wrap: tuple[str, ...] = ()) -> str:
    status, output, errors = call("discover", *arguments, wrap=side.command(*wrap))
    assert status == 2, errors
    assert output == ""
    assert errors.count("\n") == 1, errors
    return errors


def test_it_finds_a_venues_200_groups_in_5_seconds_and_joins_nothing(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    groups = venue(200)
    stream = ExchangeStream(ExchangeParameters(packets=200))
    frames = [group.frame(packet.payload) for group, packet in zip(groups, stream, strict=False)]
    before = memberships(right)
    with sending(left, frames) as sender:
        with discovering(right, "--seconds", "5", "--json") as process:
            assert promiscuity(right) == 1
            assert memberships(right) == before
            output, errors = process.communicate(timeout=60)
        rounds = sender.finish()
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert (found["interface"], found["dropped"], found["not_kept"]) == (right.interface, 0, 0)
    assert 5 <= found["seconds"] < 60
    expected = {}
    for group, frame in zip(groups, frames, strict=True):
        tags = [number for _, number in group.tags] + [None, None]
        key = (group.source, group.group, group.port, tags[0], tags[1])
        expected[key] = (len(frame), frame[-found_payload(frame) :][:32].hex())
    seen = {
        tuple(flow[key] for key in ("source", "group", "port", "vlan", "inner_vlan")): (
            flow["smallest"],
            flow["first_bytes"],
        )
        for flow in found["flows"]
    }
    assert seen == expected
    for flow in found["flows"]:
        assert 0 < flow["packets"] <= rounds
        assert flow["bytes"] == flow["packets"] * flow["largest"]
        assert flow["first_ns"] <= flow["last_ns"]
        assert flow["mean_pps"] == pytest.approx(flow["packets"] / found["seconds"])
    assert promiscuity(right) == 0
    assert memberships(right) == before


def test_it_guesses_the_framing_of_a_feed_and_writes_it_down(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    lines = ("--line", f"A=233.252.7.1:15001@{left.interface}", "--line", f"B=233.252.7.2:15002@{left.interface}")
    sender = left.start(*NANOTAPE, "simulate", *lines, "--rate", "500", "--seconds", "0", stdout=subprocess.DEVNULL)
    try:
        wanted = ("--group", "233.252.7.0/24", "--seconds", "1.5")
        wait_for(lambda: discovered(right, "--seconds", "0.2")["flows"], "the exchange to send", 30)
        found = discovered(right, *wanted)
        _, output, _ = call("discover", right.interface, *wanted, wrap=right.command())
    finally:
        sender.kill()
        sender.wait()
    assert [(flow["framing"]["framings"], flow["framing"]["sure"]) for flow in found["flows"]] == [
        (["moldudp64"], "certain")
    ] * 2
    assert output.count('framing = "moldudp64" # guessed from 8 packets: certain\n') == 2
    assert {channel.framing for channel in loads(output).channel} == {"moldudp64"}


def found_payload(frame: bytes) -> int:
    """Length of the payload of a frame of the venue, by its Ethernet type and tags."""
    at = 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return len(frame) - at - 2 - (20 if frame[at : at + 2] == b"\x08\x00" else 40) - 8


def test_with_join_it_joins_for_as_long_as_it_runs(namespace_pair: NamespacePair) -> None:
    right = namespace_pair.right
    right.run("sysctl", "-qw", f"net.ipv6.conf.{right.interface}.disable_ipv6=0")
    wait_for(lambda: "tentative" not in right.run("ip", "-6", "address").stdout, "the address of IPv6")
    before = memberships(right)
    joins = ("--join", "233.252.9.1", "--join", "198.51.100.7@233.252.9.2", "--join", "ff3e::8000:77")
    with discovering(right, *joins, "--seconds", "0") as process:
        wait_for(lambda: "ff3e0000000000000000000080000077" in memberships(right), "the last of the joins")
        during = memberships(right)
        for group in ("233.252.9.1", "233.252.9.2"):
            assert ipaddress.ip_address(group).packed[::-1].hex().upper() in during
        assert "0xe9fc0902 0xc6336407" in during  # only from the one sender
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 1  # nothing was sent
    wait_for(lambda: memberships(right) == before, "the groups to be left")


def test_killed_it_leaves_nothing_behind(namespace_pair: NamespacePair) -> None:
    right = namespace_pair.right
    before = memberships(right)
    with discovering(right, "--join", "233.252.9.1", "--seconds", "0") as process:
        wait_for(lambda: memberships(right) != before, "the join")
        assert promiscuity(right) == 1
        process.kill()
        process.wait(timeout=30)
    wait_for(lambda: promiscuity(right) == 0 and memberships(right) == before, "the kernel to clean up")


def test_ctrl_c_ends_the_live_table_and_prints_configuration_that_loads(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    groups = [ONE, Group("198.51.100.2", "233.252.0.2", 15001, ((0x88A8, 50), (0x8100, 60)))]
    screen, terminal = pty.openpty()
    shown = b""
    with (
        sending(left, [group.frame(b"MOLD") for group in groups]),
        discovering(right, "--source-specific", "--feed", "venue", stderr=terminal) as process,
    ):
        os.close(terminal)
        while b"233.252.0.1:15000" not in shown or b"50.60" not in shown:
            shown += os.read(screen, 65536)
        process.send_signal(signal.SIGINT)
        while read_screen(screen):
            pass
        output, _ = process.communicate(timeout=30)
    os.close(screen)
    assert process.returncode == 0
    assert b"Ctrl-C ends" in shown
    lines = {channel.line[0].group: (channel.feed, channel.line[0]) for channel in loads(output).channel}
    assert set(lines) == {"233.252.0.1", "233.252.0.2"}
    for group, (feed, line) in zip(groups, lines.values(), strict=True):
        vlan = group.tags[0][1] if group.tags else None
        assert (line.interface, line.port, line.vlan, line.source) == (right.interface, group.port, vlan, group.source)
        assert feed == "venue"
    assert "inner VLAN 60" in output
    assert "4d4f4c44 MOLD" in output


def read_screen(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # the other end is closed
        return b""


def test_held_up_for_too_long_it_says_what_the_kernel_dropped(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    frames = [ONE.frame(bytes(1400))] * 1000
    with discovering(right, "--seconds", "0", "--json") as process:
        process.send_signal(signal.SIGSTOP)
        with sending(left, frames, rate=1000) as sender:
            counter = f"/sys/class/net/{right.interface}/statistics/rx_packets"
            wait_for(lambda: int(right.run("cat", counter).stdout) > 150_000, "more than the ring holds", 60)
            sent = sender.finish() * len(frames)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    found = json.loads(output)
    assert process.returncode == 0
    assert found["dropped"] > 10_000
    assert found["packets"] + found["dropped"] <= sent
    assert f"{found['dropped']:,} packets were dropped" in errors


def test_an_xdp_program_that_may_take_packets_is_told(namespace_pair: NamespacePair, tmp_path: Path) -> None:
    right = namespace_pair.right
    built, clang = tmp_path / "foreign.o", shutil.which("clang")
    assert clang, "clang is needed"
    flags = ["-O2", "-g", "-target", "bpf", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
    subprocess.run([clang, *flags, "-c", C_SOURCES / "foreign.bpf.c", "-o", built], check=True)
    assert discovered(right, "--seconds", "0.1")["xdp_program"] is False
    right.run("ip", "link", "set", "dev", right.interface, "xdp", "obj", built, "sec", "xdp")
    _, output, errors = call("discover", right.interface, "--seconds", "0.1", "--json", wrap=right.command())
    assert json.loads(output)["xdp_program"] is True
    assert "an XDP program is on the interface" in errors


@pytest.mark.parametrize("change", ["set {} down", "set {} name other0", "del {}"])
def test_an_interface_that_goes_meanwhile_is_told(change: str, namespace_pair: NamespacePair) -> None:
    right = namespace_pair.right
    for gone in (False, True):
        with discovering(right, "--seconds", "0", "--json") as process:
            assert "listening" in process.stderr.readline()
            if gone:
                right.run("ip", "link", "set", right.interface, "down")
                right.run("ip", "link", *change.format(right.interface).split())
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
        assert (process.returncode, json.loads(output)["flows"]) == (1, [])
        assert ("went down or away meanwhile" in errors) is gone


def test_where_nothing_arrives_it_says_so_with_status_1(namespace_pair: NamespacePair) -> None:
    right = namespace_pair.right
    status, output, errors = call("discover", right.interface, "--seconds", "0.3", wrap=right.command())
    assert status == 1
    assert "no multicast arrived" in errors
    assert loads(output).channel == ()


def test_unicast_is_found_only_when_asked_for_and_is_no_line(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    unicast = ethernet(ipv4(udp(b"hello", dst_port=7000), "198.51.100.9", "192.0.2.1"))
    with sending(left, [ONE.frame(b"x"), unicast], rate=20):
        assert [flow["group"] for flow in discovered(right, "--seconds", "1")["flows"]] == ["233.252.0.1"]
        both = discovered(right, "--seconds", "1", "--udp")
        _, output, _ = call("discover", right.interface, "--seconds", "1", "--udp", wrap=right.command())
    assert {flow["group"] for flow in both["flows"]} == {"233.252.0.1", "192.0.2.1"}
    assert [line.group for channel in loads(output).channel for line in channel.line] == ["233.252.0.1"]
    assert "# left out: 192.0.2.1:7000 from 198.51.100.9" in output


def test_a_filter_keeps_only_its_groups_and_ports(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    groups = [Group("198.51.100.1", f"233.252.{high}.1", port) for high in (1, 2, 128) for port in (1000, 2000)]
    with sending(left, [group.frame(b"x") for group in groups], rate=20):
        found = discovered(right, "--seconds", "1", "--group", "233.252.0.0/17", "--port", "2000")
    assert {(flow["group"], flow["port"]) for flow in found["flows"]} == {("233.252.1.1", 2000), ("233.252.2.1", 2000)}
    assert found["filtered"] > 0
    assert found["packets"] == found["filtered"] + sum(flow["packets"] for flow in found["flows"])


def test_without_promiscuity_the_interface_stays_as_it_was(namespace_pair: NamespacePair) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    with (
        sending(left, [ONE.frame(b"x")], rate=20),
        discovering(right, "--no-promiscuous", "--seconds", "0", "--json") as process,
    ):
        assert "listening" in process.stderr.readline()
        assert promiscuity(right) == 0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_what_cannot_be_is_one_line_and_status_2(namespace_pair: NamespacePair) -> None:
    right = namespace_pair.right
    assert "no such interface" in refusal(right, "absent0")
    assert "no such interface" in refusal(right, "a-name-that-is-too-long")
    assert "--group: expected a multicast address" in refusal(right, right.interface, "--group", "10.0.0.1")
    assert "--join: expected GROUP or SOURCE@GROUP" in refusal(right, right.interface, "--join", "10.0.0.1")
    assert "--port: expected" in refusal(right, right.interface, "--port", "65536")
    assert "--feed: expected" in refusal(right, right.interface, "--feed", "a/b")
    assert "--seconds: expected" in refusal(right, right.interface, "--seconds", "-1")
    powerless = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    assert "discover needs CAP_NET_RAW: run it as root" in refusal(right, right.interface, wrap=powerless)
    right.run("ip", "link", "set", right.interface, "mtu", "1200")  # too small for IPv6
    assert "no multicast of this family" in refusal(right, right.interface, "--join", "ff3e::1")
    right.run("ip", "link", "set", right.interface, "down")
    assert f"ip link set {right.interface} up" in refusal(right, right.interface)
