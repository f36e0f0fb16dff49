"""nanotape-holder: what it makes, what it refuses and how it says so, and what is left when it ends."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable

import deadline
import holder_rig
import namespaces
import pytest
from holder_rig import PREFER, REQUIRE, SOCKET, Flow, Plan
from joined_groups import joined_groups

pytestmark = [pytest.mark.root, pytest.mark.shared]


@pytest.fixture
def rig(holder_rig_on_right: holder_rig.Rig) -> holder_rig.Rig:
    """A holder's rig, without a service around it."""
    return holder_rig_on_right


def joined(side: namespaces.Side) -> set[str]:
    """IPv4 groups that the interface is a member of."""
    return joined_groups(side.command(), side.interface)


def as_root_with(*capabilities: str) -> tuple[str, ...]:
    """A command prefix that leaves root only these capabilities."""
    bounding = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ("setpriv", f"--bounding-set={bounding}")


def test_fifty_groups_are_joined_and_left(rig: holder_rig.Rig) -> None:
    groups = [f"239.1.2.{number}" for number in range(1, 51)]
    flows = tuple(Flow(number, group) for number, group in enumerate(groups, 1))
    holder = rig.ready_holder(Plan(flows=flows))
    assert joined(rig.side) == {*groups, "224.0.0.1"}
    holder.terminate()
    assert holder.wait(timeout=30) == 0
    assert joined(rig.side) == {"224.0.0.1"}


def test_a_group_is_joined_for_its_source_and_in_both_families(rig: holder_rig.Rig) -> None:
    rig.side.run("sysctl", "-qw", f"net.ipv6.conf.{rig.side.interface}.disable_ipv6=0")
    flows = (
        Flow(1, "239.1.1.1", source="10.0.0.7"),
        Flow(2, "239.1.1.1", source="10.0.0.8"),
        Flow(3, "239.1.1.1"),
        Flow(4, "239.1.1.1", port=15001),
        Flow(5, "ff15::99"),
        Flow(6, "ff35::99", source="fe80::7"),
    )
    rig.ready_holder(Plan(flows=flows))
    assert "239.1.1.1" in joined(rig.side)
    filters = rig.side.run("cat", "/proc/net/mcfilter").stdout.lower()
    assert "0x0a000007" in filters
    assert "0x0a000008" in filters
    assert "ff150000000000000000000000000099" in rig.side.run("cat", "/proc/net/igmp6").stdout
    assert "fe800000000000000000000000000007" in rig.side.run("cat", "/proc/net/mcfilter6").stdout


def test_no_group_is_joined_when_the_plan_says_so(rig: holder_rig.Rig) -> None:
    rig.ready_holder(Plan(join=0))
    assert joined(rig.side) == {"224.0.0.1"}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_holder_leaves_nothing(end: signal.Signals, rig: holder_rig.Rig) -> None:
    holder = rig.ready_holder(Plan())
    assert holder_rig.attached_program(rig.side) == "nt_select"
    holder.send_signal(end)
    assert holder.wait(timeout=30) == 0
    holder_rig.wait_detached(rig.side)
    assert not rig.socket.exists()


def test_a_killed_holder_leaves_nothing_attached_and_the_next_one_starts_at_once(rig: holder_rig.Rig) -> None:
    for _ in range(5):
        holder = rig.ready_holder(Plan())
        assert rig.socket.is_socket()
        holder.kill()  # and no wait: the next one has to
    holder.wait(timeout=30)
    holder_rig.wait_detached(rig.side)
    shown = rig.side.run("bpftool", "net", "show", "dev", rig.side.interface).stdout
    assert rig.side.interface not in shown


def test_a_borrower_learns_of_the_holders_death_and_keeps_what_it_has(rig: holder_rig.Rig) -> None:
    holder = rig.ready_holder(Plan())
    borrower = rig.borrow(holder_rig.Log(rig.folder / "log"))
    holder.kill()
    holder_rig.wait_detached(rig.side)
    refusal = rig.refused(Plan())
    assert "veth-r: queue 0 is taken by another AF_XDP socket" in refusal
    [counters] = borrower.finish()
    assert counters["occupancy"] == 0
    rig.ready_holder(Plan())


def test_a_foreign_program_is_refused_and_left_alone(rig: holder_rig.Rig) -> None:
    clang = shutil.which("clang")
    assert clang, "clang is needed"
    built = rig.folder / "foreign.o"
    flags = ["-O2", "-g", "-target", "bpf", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
    subprocess.run([clang, *flags, "-c", holder_rig.C_SOURCES / "foreign.bpf.c", "-o", built], check=True)
    rig.side.run("ip", "link", "set", "dev", rig.side.interface, "xdp", "obj", built, "sec", "xdp")
    before = holder_rig.attached_program(rig.side)
    refusal = rig.refused(Plan())
    assert "veth-r: carries an XDP program already (somebody_else, id" in refusal
    assert "ip link set dev veth-r xdp off" in refusal
    assert holder_rig.attached_program(rig.side) == before == "somebody_else"
    assert not rig.socket.exists()


def test_a_second_holder_is_refused(rig: holder_rig.Rig) -> None:
    rig.ready_holder(Plan())
    borrower = rig.borrow(holder_rig.Log(rig.folder / "log"))
    assert "a holder is running already (pgrep -a nanotape-holder shows it): stop it first" in rig.refused(Plan())
    assert rig.socket.is_socket()
    borrower.finish()


def test_a_second_holder_with_another_socket_is_refused(rig: holder_rig.Rig) -> None:
    rig.ready_holder(Plan())
    rig.socket.rename(rig.folder / "elsewhere")
    refusal = rig.refused(Plan())
    assert "veth-r: another nanotape holder is attached (XDP program nt_select" in refusal
    assert not rig.socket.exists()


def test_who_may_open_the_sockets_directory_cannot_keep_the_holder_from_starting(rig: holder_rig.Rig) -> None:
    directory = os.open(rig.folder, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        rig.ready_holder(Plan())
    finally:
        os.close(directory)
    assert sorted(path.name for path in rig.folder.iterdir()) == ["holder.sock", "plan"]


def test_a_holder_waits_only_so_long_for_another_that_is_starting(rig: holder_rig.Rig) -> None:
    lock = rig.folder / "holder.sock.lock"
    lock.touch(mode=0o600)
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "holder.sock.lock: locked by another holder that is starting" in rig.refused(Plan())
        assert holder_rig.attached_program(rig.side) is None
    rig.ready_holder(Plan())  # what a dead one left is no obstacle
    assert not lock.exists()


def test_many_flows_of_few_groups_are_joined_once_each(rig: holder_rig.Rig) -> None:
    sources = (None, "10.0.0.7", "10.0.0.8")
    groups = [f"239.1.3.{number}" for number in range(1, 31)]
    keys = [(port, source, group) for port in range(15000, 15008) for source in sources for group in groups]
    flows = tuple(Flow(at, group, port=port, source=source) for at, (port, source, group) in enumerate(keys, 1))
    holder = rig.ready_holder(Plan(flows=flows))
    assert joined(rig.side) == {*groups, "224.0.0.1"}
    filters = rig.side.run("cat", "/proc/net/mcfilter").stdout.lower()
    assert filters.count("0x0a000007") == filters.count("0x0a000008") == len(groups)
    files = [os.readlink(path) for path in pathlib.Path(f"/proc/{holder.pid}/fd").iterdir()]
    assert sum(file.startswith("socket:") for file in files) < 20  # a membership a flow would take 36


def test_a_second_borrower_is_refused_until_the_first_is_gone(rig: holder_rig.Rig) -> None:
    rig.ready_holder(Plan())
    log = holder_rig.Log(rig.folder / "log")
    first = rig.borrow(log)
    with pytest.raises(holder_rig.BorrowRefused, match=f"pid {first.process.pid} is capturing already"):
        rig.borrow(log)
    first.kill()
    rig.borrow(log).finish()


def test_only_the_capture_user_and_root_may_borrow(rig: holder_rig.Rig) -> None:
    stranger = holder_rig.NOBODY - 1
    rig.ready_holder(Plan())
    log = holder_rig.Log(rig.folder / "log")
    status = rig.socket.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o660, holder_rig.NOBODY, 0)
    with pytest.raises(holder_rig.BorrowRefused, match=f"user {stranger} may not connect"):
        rig.borrow(log, user=stranger)
    rig.socket.chmod(0o666)  # the socket's mode is not the only guard
    with pytest.raises(holder_rig.BorrowRefused, match=f"not to user {stranger}"):
        rig.borrow(log, user=stranger)
    rig.borrow(log, user=0).finish()
    rig.borrow(log).finish()


def test_a_borrower_without_a_holder_is_told_so(rig: holder_rig.Rig) -> None:
    with pytest.raises(holder_rig.BorrowRefused, match="no holder answers"):
        rig.borrow(holder_rig.Log(rig.folder / "log"))


def test_the_holder_keeps_no_capability(rig: holder_rig.Rig) -> None:
    holder = rig.ready_holder(Plan())
    status = pathlib.Path(f"/proc/{holder.pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert fields["NoNewPrivs"].strip() == "1"


CAPABILITIES = ("net_admin", "net_raw", "bpf", "perfmon", "ipc_lock")


def test_five_capabilities_suffice(rig: holder_rig.Rig) -> None:
    plan = dataclasses.replace(Plan(), capture_uid=0)
    holder = rig.holder(plan, prefix=as_root_with(*CAPABILITIES))
    assert holder.stdout
    assert holder.stderr
    assert holder.stdout.readline() == "ready\n", holder.stderr.read()


@pytest.mark.parametrize("missing", CAPABILITIES)
def test_a_missing_capability_is_named(missing: str, rig: holder_rig.Rig) -> None:
    left = [name for name in CAPABILITIES if name != missing]
    prefix = ("prlimit", "--memlock=65536:65536", *as_root_with(*left))
    assert f"the holder lacks CAP_{missing.upper()}: run it as root" in rig.refused(Plan(), prefix=prefix)


def test_a_missing_interface_is_named(rig: holder_rig.Rig) -> None:
    assert "eth9: no such interface" in rig.refused(Plan(interface="eth9"))
    assert not rig.socket.exists()


def test_an_interface_that_is_down_is_named(rig: holder_rig.Rig) -> None:
    rig.side.run("ip", "link", "set", rig.side.interface, "down")
    assert "veth-r: is down, expected up: ip link set veth-r up" in rig.refused(Plan())


def test_zero_copy_that_the_driver_has_not_is_refused_with_its_name(rig: holder_rig.Rig) -> None:
    refusal = rig.refused(Plan(zero_copy=REQUIRE))
    assert "veth-r: driver veth gave no zero-copy on queue 0" in refusal
    assert 'zero_copy = "prefer"' in refusal
    assert holder_rig.attached_program(rig.side) is None


def test_generic_mode_is_taken_only_when_allowed(rig: holder_rig.Rig) -> None:
    plan = Plan(interface="lo")
    refusal = rig.refused(plan)
    assert "lo: driver unknown gave no native XDP" in refusal
    assert 'native_xdp = "prefer"' in refusal
    rig.ready_holder(dataclasses.replace(plan, native_xdp=PREFER))
    [counters] = rig.borrow(holder_rig.Log(rig.folder / "log")).finish()
    assert (counters["skb_mode"], counters["zero_copy"]) == (1, 0)


def test_too_few_huge_pages_are_counted_with_the_command_to_get_them(rig: holder_rig.Rig) -> None:
    pages = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    # 64 GiB: more than there is.
    plan = Plan(descriptors=1 << 24, frame_bytes=4096, umem_hugepages=REQUIRE)
    refusal = rig.refused(plan)
    total = int(pages.read_text(encoding="ascii"))
    assert "veth-r: its UMEM needs 32768 huge pages of 2 MiB (16777216 frames of 4096 bytes" in refusal
    assert f"sysctl -w vm.nr_hugepages={total + 32768}" in refusal
    assert holder_rig.attached_program(rig.side) is None


def test_the_umem_lies_on_huge_pages_where_there_are_any(
    rig: holder_rig.Rig, hugepages: Callable[[int], pathlib.Path]
) -> None:
    hugepages(16)
    holder = rig.ready_holder(Plan(umem_hugepages=REQUIRE))
    maps = pathlib.Path(f"/proc/{holder.pid}/smaps").read_text(encoding="ascii")
    umem = maps.split("nanotape-umem-veth-r-0", 1)[1]
    assert next(line for line in umem.splitlines() if "KernelPageSize" in line).split()[1] == "2048"
    rig.borrow(holder_rig.Log(rig.folder / "log")).finish()


def test_falling_back_to_ordinary_pages_is_announced(rig: holder_rig.Rig) -> None:
    # 512 MiB: more than anybody is likely to have reserved.
    holder = rig.ready_holder(Plan(descriptors=1 << 18, umem_hugepages=PREFER))
    holder.terminate()
    assert "using ordinary pages" in holder.communicate(timeout=20)[1]


def test_the_same_flow_twice_is_refused(rig: holder_rig.Rig) -> None:
    assert "flow 2 (channel channel-2, line A) is in the plan twice" in rig.refused(Plan(flows=(Flow(1), Flow(2))))


def test_the_holder_ends_with_its_parent(rig: holder_rig.Rig) -> None:
    file = rig.folder / "plan"
    file.write_bytes(Plan().pack(rig.socket))
    script = '"$0" --plan "$1" --die-with-parent & echo $!; wait'
    shell = rig.side.start("sh", "-c", script, rig.holder_path, file, stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    pid = int(shell.stdout.readline())
    assert shell.stdout.readline() == "ready\n"
    shell.kill()
    shell.communicate(timeout=30)
    deadline.wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the holder to end")
    holder_rig.wait_detached(rig.side)
    assert not rig.socket.exists()


def test_a_file_in_the_sockets_place_is_left_alone(rig: holder_rig.Rig) -> None:
    rig.socket.write_text("mine", encoding="ascii")
    assert "exists and is no socket" in rig.refused(Plan())
    assert rig.socket.read_text(encoding="ascii") == "mine"


def test_a_plan_without_anything_to_hold_is_refused(rig: holder_rig.Rig) -> None:
    assert "neither an afxdp nor a packet source: nothing to hold" in rig.refused(Plan(kind=SOCKET))


def test_listeners_are_printed_without_any_privilege_and_nothing_is_held(rig: holder_rig.Rig) -> None:
    file = rig.folder / "plan"
    file.write_bytes(Plan().pack(rig.socket))
    done = rig.side.run(*as_root_with(), rig.holder_path, "--plan", file, "--listeners")
    assert (done.stdout, done.stderr) == ("", "")
    assert holder_rig.attached_program(rig.side) is None
    assert not rig.socket.exists()


def test_wrong_arguments_are_a_usage_error(rig: holder_rig.Rig) -> None:
    done = rig.side.run(rig.holder_path, "--plan", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    options = "--plan FILE [--die-with-parent] [--succession FD] [--succeed FD] [--listeners]"
    assert f"usage: nanotape-holder {options}" in done.stderr
