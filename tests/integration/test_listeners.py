"""No blinding: the holder finds the UDP sockets of this host that would get the packets it is about to take.

Each test opens real sockets in a namespace. AF_XDP takes; a reader that is overlooked goes blind without a word.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import deadline
import holder_rig
import namespaces
import pytest
from holder_rig import CHANNELS, MULTICAST, UDP, Flow, Plan
from udp_reader import Reader, Socket, send, udp_reader

pytestmark = pytest.mark.root

GROUP, PORT = "239.1.1.1", 15000
GROUP6 = "ff15::99"
OTHER = "0"
FIELDS = ("interface", "pid", "process", "uid", "address", "port", "flow_id")


@pytest.fixture
def rig(holder_rig_on_right: holder_rig.Rig) -> holder_rig.Rig:
    """A holder's rig, with a second interface beside the captured one, and IPv6 on both."""
    side = holder_rig_on_right.side
    side.run("ip", "link", "add", "veth-x", "type", "veth", "peer", "name", "veth-y")
    for interface in ("veth-x", "veth-y", side.interface):
        side.run("sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=0")
        side.run("ip", "link", "set", interface, "up")
    return holder_rig_on_right


def listeners(rig: holder_rig.Rig, plan: Plan) -> list[dict[str, str]]:
    """What `--listeners` prints, a line each."""
    file = rig.folder / "look"
    file.write_bytes(plan.pack(rig.socket))
    said = rig.side.run(rig.holder_path, "--plan", file, "--listeners")
    assert said.stderr == ""
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in said.stdout.splitlines()]


def on_veth(**differs: object) -> Socket:
    """A reader of the flow, but for what differs."""
    return dataclasses.replace(Socket(), **differs)


FOUND = {
    "bound to the group": on_veth(),
    "bound to any address": on_veth(bind="0.0.0.0"),
    "bound to the group and the device": on_veth(device="veth-r"),
    "bound to any address and the device": on_veth(bind="0.0.0.0", device="veth-r"),
    "bound to the group, not yet joined": on_veth(join=None),
    "connected to a sender": on_veth(connect="10.211.0.1"),
    "of both families, bound to any address": on_veth(family=6, bind="::"),
    "of both families, bound to the group": on_veth(family=6, bind=f"::ffff:{GROUP}"),
}
NOT_FOUND = {
    "of another port": on_veth(port=15001),
    "of another group": on_veth(bind="239.1.1.2", join="239.1.1.2"),
    "bound to any address, nothing joined": on_veth(bind="0.0.0.0", join=None),
    "bound to any address, another group joined": on_veth(bind="0.0.0.0", join="239.1.1.2"),
    "bound to the group, joined elsewhere": on_veth(interface="veth-x"),
    "bound to any address, joined elsewhere": on_veth(bind="0.0.0.0", interface="veth-x"),
    "bound to another device": on_veth(device="veth-x", interface="veth-x"),
    "bound to an address of the host": on_veth(bind="10.211.0.2"),
    "of IPv6 alone": on_veth(family=6, bind="::", v6_only=True),
}


@pytest.mark.parametrize("wanted", FOUND.values(), ids=FOUND)
def test_a_socket_that_would_go_blind_is_found(wanted: Socket, rig: holder_rig.Rig) -> None:
    with udp_reader(rig.side, wanted, user=1000, name="quoter") as reader:
        [found] = listeners(rig, Plan())
        address = GROUP if GROUP in wanted.bind else wanted.bind
        assert found == {
            "interface": "veth-r",
            "pid": str(reader.process.pid),
            "process": "quoter",
            "uid": "1000",
            "address": address,
            "port": str(PORT),
            "flow_id": "1",
        }
    assert listeners(rig, Plan()) == []


@pytest.mark.parametrize("wanted", FOUND.values(), ids=FOUND)
def test_what_is_found_did_receive(
    wanted: Socket, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """The kernel agrees; who has not joined yet does so by another socket here."""
    with udp_reader(rig.side, wanted) as reader, udp_reader(rig.side, on_veth(port=9)):
        send(namespace_pair.left, GROUP, PORT, 3)
        reader.wait_for(3)


@pytest.mark.parametrize("wanted", NOT_FOUND.values(), ids=NOT_FOUND)
def test_a_socket_that_loses_nothing_is_not_found(
    wanted: Socket, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    with udp_reader(rig.side, wanted) as reader:
        assert listeners(rig, Plan()) == []
        send(namespace_pair.left, GROUP, PORT, 3)
        assert reader.finish() == 0


FLOW6 = Flow(1, GROUP6)


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        (on_veth(family=6, bind="::", join=GROUP6), "::"),
        (on_veth(family=6, bind="::", join=GROUP6, v6_only=True), "::"),
        (on_veth(family=6, bind=GROUP6, join=GROUP6), GROUP6),
        (on_veth(family=6, bind="::", join="ff15::98"), None),
        (on_veth(family=6, bind="::", join=GROUP6, interface="veth-x"), None),
        (on_veth(bind="0.0.0.0"), None),
    ],
)
def test_readers_of_an_ipv6_flow_are_found(wanted: Socket, address: str | None, rig: holder_rig.Rig) -> None:
    with udp_reader(rig.side, wanted):
        found = [listener["address"] for listener in listeners(rig, Plan(flows=(FLOW6,)))]
        assert found == ([address] if address else [])


def test_a_socket_connected_to_another_sender_than_the_flows_loses_nothing(rig: holder_rig.Rig) -> None:
    with udp_reader(rig.side, on_veth(connect="10.211.0.1")):
        assert len(listeners(rig, Plan(flows=(Flow(1, source="10.211.0.1"),)))) == 1
        assert listeners(rig, Plan(flows=(Flow(1, source="10.211.0.9"),))) == []


def test_a_macvlan_gets_its_packets_from_the_captured_interface(rig: holder_rig.Rig) -> None:
    rig.side.run("ip", "link", "add", "mv0", "link", "veth-r", "type", "macvlan", "mode", "bridge")
    rig.side.run("ip", "link", "set", "mv0", "up")
    with udp_reader(rig.side, on_veth(bind="0.0.0.0", interface="mv0")):
        assert len(listeners(rig, Plan())) == 1
        assert listeners(rig, Plan(interface="veth-x")) == []


def test_a_bridge_gets_its_packets_from_the_captured_port(rig: holder_rig.Rig) -> None:
    rig.side.run("ip", "link", "add", "br0", "type", "bridge")
    rig.side.run("ip", "link", "set", "br0", "up")
    with udp_reader(rig.side, on_veth(bind="0.0.0.0", interface="br0")):
        assert listeners(rig, Plan()) == []
        rig.side.run("ip", "link", "set", "veth-r", "master", "br0")
        assert len(listeners(rig, Plan())) == 1


def selected(select: int) -> Plan:
    """A plan that takes more than its flow."""
    return Plan(flows=(Flow(1, "239.9.9.9", port=1),), select=select)


@pytest.mark.parametrize(
    ("wanted", "takers"),
    [
        (on_veth(), {MULTICAST, UDP}),
        (on_veth(bind="0.0.0.0"), {MULTICAST, UDP}),
        (on_veth(bind="0.0.0.0", join=None), {UDP}),
        (on_veth(bind="10.211.0.2", join=None), {UDP}),
        (on_veth(bind="127.0.0.1", join=None), set()),
        (on_veth(bind="10.211.0.2", join=None, port=319), set()),
        (on_veth(bind="224.0.1.129", join="224.0.1.129", port=320), set()),
        (on_veth(device="veth-x", interface="veth-x"), set()),
    ],
)
def test_readers_of_what_is_selected_besides_the_flows_are_found(
    wanted: Socket, takers: set[int], rig: holder_rig.Rig
) -> None:
    with udp_reader(rig.side, wanted):
        for select in (CHANNELS, MULTICAST, UDP):
            flows = [listener["flow_id"] for listener in listeners(rig, selected(select))]
            assert flows == ([OTHER] if select in takers else [])


def assert_nothing_is_left(rig: holder_rig.Rig) -> None:
    """No program, no socket, no membership of ours."""
    assert holder_rig.attached_program(rig.side) is None
    assert not rig.socket.exists()
    assert "xsk" not in rig.side.run("bpftool", "net", "show", "dev", rig.side.interface).stdout


def test_the_start_is_refused_with_the_readers_name_and_leaves_nothing(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    with udp_reader(rig.side, on_veth(), user=1000, name="quoter") as reader:
        refusal = rig.refused(Plan())
        who = f"veth-r: {GROUP}:{PORT} is read by quoter (pid {reader.process.pid}, user 1000) through a socket"
        assert who in refusal
        assert 'stop it, or set delivery = "sniff" (a copy, stamped by the kernel) or delivery = "steal"' in refusal
        assert_nothing_is_left(rig)
        send(namespace_pair.left, GROUP, PORT, 3)
        reader.wait_for(3)
    rig.ready_holder(Plan())


@contextlib.contextmanager
def readers(side: namespaces.Side, *wanted: tuple[str, Socket]) -> Iterator[list[Reader]]:
    """Several applications, by name."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(udp_reader(side, socket, name=name)) for name, socket in wanted]


def test_a_refusal_names_three_processes_and_counts_the_others(rig: holder_rig.Rig) -> None:
    flows = tuple(Flow(number, f"239.1.1.{number}") for number in range(1, 6))
    wanted = [(f"quoter{flow.id}", on_veth(bind=flow.group, join=flow.group)) for flow in flows]
    with readers(rig.side, *wanted) as started:
        refusal = rig.refused(Plan(flows=flows))
        named = [f"{wanted[at][0]} (pid {started[at].process.pid}, user 0)" for at in range(3)]
        assert f"239.1.1.1:15000 is read by {named[0]}, 239.1.1.2:15000 by {named[1]}" in refusal
        assert f", 239.1.1.3:15000 by {named[2]}, and 2 more through a socket" in refusal
        assert refusal.endswith('delivery = "steal"')


def test_a_process_that_reads_much_is_named_once(rig: holder_rig.Rig) -> None:
    flows = (Flow(1, "239.1.1.1"), Flow(2, "239.1.1.2"))
    with udp_reader(rig.side, on_veth(bind="0.0.0.0", join="239.1.1.2"), name="quoter") as reader:
        refusal = rig.refused(Plan(flows=flows))
        assert f"239.1.1.2:15000 is read by quoter (pid {reader.process.pid}, user 0) through a socket" in refusal


def test_a_reader_of_long_addresses_fits_into_the_line(rig: holder_rig.Rig) -> None:
    groups = [f"ff15:1234:5678:9abc:def0:1234:5678:9ab{digit}" for digit in range(4)]
    flows = tuple(Flow(at, group, port=65535) for at, group in enumerate(groups, 1))
    wanted = [
        (f"fifteen-letters{at}"[-15:], on_veth(family=6, bind=group, join=group, port=65535))
        for at, group in enumerate(groups)
    ]
    with readers(rig.side, *wanted):
        refusal = rig.refused(Plan(flows=flows))
        assert f"[{groups[2]}]:65535 by" in refusal
        assert ', and 1 more through a socket; AF_XDP would take it away: stop it, or set delivery = "sniff"' in refusal
        assert refusal.endswith('delivery = "steal"')


def test_stolen_packets_reach_nobody_else(rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair) -> None:
    with udp_reader(rig.side, on_veth()) as reader:
        rig.ready_holder(Plan(steal=1))
        log = holder_rig.Log(rig.folder / "log")
        borrower = rig.borrow(log)
        send(namespace_pair.left, GROUP, PORT, 50)
        deadline.wait_for(lambda: len(log) == 50, "the stolen packets")
        borrower.finish()
        assert reader.finish() == 0


def test_a_running_holders_own_joins_make_nobody_a_listener(rig: holder_rig.Rig) -> None:
    """Who read nothing before we joined is deprived of nothing; who joins while we run is."""
    with readers(rig.side, ("idle", on_veth(bind="0.0.0.0", join=None)), ("far", on_veth(interface="veth-x"))):
        rig.ready_holder(Plan())
        assert listeners(rig, Plan()) == []
        with udp_reader(rig.side, on_veth(bind="0.0.0.0"), name="late"):
            assert {found["process"] for found in listeners(rig, Plan())} == {"idle", "far", "late"}


def test_a_look_disturbs_no_running_holder(rig: holder_rig.Rig) -> None:
    holder = rig.ready_holder(Plan())
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    assert listeners(rig, Plan()) == []
    borrower.finish()
    rig.borrow(log).finish()
    assert holder.poll() is None


def test_a_look_works_without_privilege_but_names_no_strangers(rig: holder_rig.Rig) -> None:
    file = rig.folder / "look"
    file.write_bytes(Plan().pack(rig.socket))
    with udp_reader(rig.side, on_veth(), user=1000):
        drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        said = rig.side.run(*drop, rig.holder_path, "--plan", file, "--listeners")
        assert said.stdout == f"veth-r\t0\t\t1000\t{GROUP}\t{PORT}\t1\n"


def test_a_start_that_may_not_look_into_processes_is_refused_all_the_same(rig: holder_rig.Rig) -> None:
    bounding = "--bounding-set=-all,+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock"
    plan = dataclasses.replace(Plan(), capture_uid=0)
    with udp_reader(rig.side, on_veth(), user=1000):
        refusal = rig.refused(plan, prefix=("setpriv", bounding))
        assert "is read by a process that is hidden from here (user 1000) through a socket" in refusal


def test_a_look_at_an_interface_that_is_not_there_says_so(rig: holder_rig.Rig) -> None:
    file: pathlib.Path = rig.folder / "look"
    file.write_bytes(Plan(interface="eth9").pack(rig.socket))
    done = rig.side.run(rig.holder_path, "--plan", file, "--listeners", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "eth9: no such interface" in done.stderr
