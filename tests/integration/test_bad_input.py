"""What configuration or host cannot give is refused in one clear line, with status 2 or 1, and nothing half-made."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable

import holder_rig
import namespaces
import old_kernel
import pytest
from command_line import as_nobody, refusal, standing
from refusals import SMALL, edit, refused
from service_rig import Rig, Wanted, make_rig

pytestmark = [pytest.mark.root, pytest.mark.shared]


CONFIGURATIONS = {
    "a port out of range": ("port = 31001", "port = 70000", "port: expected a whole number from 1 to 65535, found"),
    "a port that is no number": ("port = 31001", 'port = "x"', "port: expected a whole number"),
    "an address that is no group": ('group = "239.192.7.1"', 'group = "10.0.0.1"', "group: expected"),
    "an unknown key": ('name = "test"', 'nmae = "test"', "ring.nmae: expected a key of [ring], found an unknown key"),
    "no TOML at all": ("[ring]", "[ring", "nanotape.toml:"),
    "an unknown user": ('record = "nobody"', 'record = "nt-who"', "user.record: expected a user of this host, found"),
    "an unknown group": ('group = "64201"', 'group = "nt-who"', "user.group: expected a group of this host, found"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_a_wrong_configuration_is_one_line(case: str) -> None:
    old, new, expected = CONFIGURATIONS[case]
    lines = (("A", "239.192.7.1:31001"),)
    with make_rig(Wanted(kind="socket", interface="lo", lines=lines, **SMALL), None) as rig:
        edit(rig, old, new)
        assert expected in refused(rig)


def test_the_same_flow_twice_names_both_places(plain: Rig) -> None:
    edit(plain, "239.192.7.2", "239.192.7.1")
    line = refused(plain)
    assert "expected each flow configured once, found 239.192.7.1:31001 from any sender on lo again (first at " in line
    assert line.count("nanotape.toml:") == 2


@pytest.mark.parametrize("kind", ["socket", "afxdp"])
def test_a_configuration_without_channels_has_nothing_to_capture(kind: str) -> None:
    with make_rig(Wanted(kind=kind, interface="lo", lines=(), **SMALL), None) as rig:
        for verb in ("run", "capture"):
            line = refused(rig, verb=verb)
            assert line.startswith(f"nanotape: {kind}: expected at least one [[channel]]")


@pytest.mark.parametrize("verb", ["run", "capture", "record"])
def test_no_configuration_file_is_one_line(verb: str, plain: Rig) -> None:
    plain.config.unlink()
    line = refused(plain, verb=verb)
    assert "nanotape.toml: expected a configuration file, found none; write one" in line


@pytest.mark.parametrize("kind", ["socket", "afxdp"])
def test_a_missing_interface_is_named(kind: str) -> None:
    with make_rig(Wanted(kind=kind, interface="nowhere0", **SMALL), None) as rig:
        assert "nowhere0: no such interface" in refused(rig, status=1)


def test_a_missing_interface_for_the_exchange_is_named(plain: Rig) -> None:
    line = refusal("simulate", "--interface", "nowhere0", unchanged=(plain.folder,), status=2)
    assert "nowhere0" in line


def test_an_interface_with_somebody_elses_program_is_left_alone(wired: Rig, tmp_path: pathlib.Path) -> None:
    side = namespaces.Side(wired.capture_side[3], "veth-r", "10.211.0.2")
    built, clang = tmp_path / "foreign.o", shutil.which("clang")
    assert clang, "clang is needed"
    flags = ["-O2", "-g", "-target", "bpf", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
    subprocess.run([clang, *flags, "-c", holder_rig.C_SOURCES / "foreign.bpf.c", "-o", built], check=True)
    side.run("ip", "link", "set", "dev", "veth-r", "xdp", "obj", built, "sec", "xdp")
    line = refused(wired, status=1, wrap=wired.capture_side)
    assert "veth-r: carries an XDP program already (somebody_else, id" in line
    assert "ip link set dev veth-r xdp off" in line
    assert holder_rig.attached_program(side) == "somebody_else"


def test_too_few_huge_pages_for_the_ring_are_counted(plain: Rig, hugepages: Callable[[int], pathlib.Path]) -> None:
    mount = hugepages(2)
    edit(plain, 'capacity = "16 MiB"\nhugepages = "off"', 'capacity = "128 GiB"\nhugepages = "require"')
    edit(plain, 'hugepage_dir = ""', f'hugepage_dir = "{mount}/rings"')
    line = refused(plain, status=1)
    assert "ring test needs 65536 huge pages of 2 MiB, " in line
    assert "reserve them: echo 65" in line
    assert "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" in line
    assert list(mount.iterdir()) == []


def test_too_few_huge_pages_for_the_packets_are_counted(wired: Rig) -> None:
    edit(wired, "descriptors = 4096\n", "descriptors = 1048576\n")
    edit(wired, 'umem_hugepages = "off"', 'umem_hugepages = "require"')
    line = refused(wired, status=1, wrap=wired.capture_side)
    assert "veth-r: its UMEM needs 1024 huge pages of 2 MiB" in line
    assert "sysctl -w vm.nr_hugepages=" in line


def test_without_root_the_missing_capabilities_are_named() -> None:
    with as_nobody() as (nanotape, work), make_rig(Wanted(**SMALL), None) as rig:
        edit(rig, f'run_dir = "{rig.folder}/run"', f'run_dir = "{work}/run"')
        edit(rig, f'archive = "{rig.folder}/archive"', f'archive = "{work}/archive"')
        before = standing(rig.folder, rig.shm, work)
        done = subprocess.run(
            [*nanotape, "run", "--config", rig.config], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith("nanotape-holder: the holder lacks CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON")
        assert "run it as root, or give its service these as AmbientCapabilities" in line
        assert standing(rig.folder, rig.shm, work) == before


def test_a_run_directory_of_another_user_is_refused() -> None:
    with as_nobody() as (nanotape, _), make_rig(Wanted(kind="socket", interface="lo", **SMALL), None) as rig:
        before = standing(rig.folder, rig.shm)
        command = [*nanotape, "run", "--config", str(rig.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert f"{rig.folder}/run: cannot be made: Permission denied; run as" in done.stderr
        assert standing(rig.folder, rig.shm) == before


def test_a_kernel_that_is_too_old_is_told_with_the_feature_that_it_lacks(wired: Rig) -> None:
    wrap = (*wired.capture_side, sys.executable, old_kernel.__file__)
    line = refused(wired, status=1, wrap=wrap)
    assert "veth-r: attaching the XDP program failed (Invalid argument): this kernel is too old, it lacks " in line
    assert "(Linux 5." in line


def test_a_demo_into_somebody_elses_folder_is_refused_before_it_begins(plain: Rig) -> None:
    mine = plain.folder / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    for target, expected in ((mine, "an earlier demo's archive"), (plain.folder / "a" / "b", "parent folder")):
        line = refusal("demo", "--archive", target, unchanged=(plain.folder,), status=2)
        assert expected in line


def test_a_busy_port_is_told_by_the_socket_source(plain: Rig) -> None:
    """Somebody else's socket without SO_REUSEADDR holds the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 31001))
        line = refused(plain, status=1)
        assert "31001" in line
        assert "in use" in line
