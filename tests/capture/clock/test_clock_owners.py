"""Who owns which clock, with a /proc of the test's own and with a real process."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterable

import pytest
from deadline import wait_for

from nanotape.capture.clock.clock_owners import ANY_PHC, ClockOwner, clock_owners, conflicts, port_hint
from nanotape.capture.clock.ptp_observation import PortHint


class Proc:
    """A folder that looks like /proc."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root, self.next = root, 100

    def add(self, *command: str, comm: str | None = None, state: str = "S", files: dict[str, str] | None = None) -> int:
        pid, self.next = self.next, self.next + 1
        folder = self.root / str(pid)
        (folder / "root").mkdir(parents=True)
        name = comm or pathlib.Path(command[0]).name[:15]
        (folder / "stat").write_text(f"{pid} ({name}) {state} 1 1 1 0")
        (folder / "cmdline").write_bytes(b"".join(each.encode() + b"\0" for each in command))
        (folder / "cwd").symlink_to("/etc")
        for path, text in (files or {}).items():
            inside = folder / "root" / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_text(text)
        return pid


@pytest.fixture
def proc(tmp_path: pathlib.Path) -> Proc:
    (tmp_path / "self").mkdir()
    (tmp_path / "uptime").touch()
    return Proc(tmp_path)


def owned(proc: Proc) -> set[str]:
    (owner,) = clock_owners(proc.root)
    return set(owner.clocks)


@pytest.mark.parametrize(
    ("command", "clocks"),
    [
        (["/usr/sbin/chronyd", "-F", "1"], {"system"}),
        (["/usr/sbin/chronyd", "-x"], set()),
        (["/usr/sbin/chronyd", "-dx", "-f", "/etc/chrony.conf"], set()),
        (["/usr/sbin/chronyd", "--what"], {"system"}),
        (["/usr/sbin/ntpd", "-p", "/run/ntpd.pid", "-g"], {"system"}),
        (["/lib/systemd/systemd-timesyncd"], {"system"}),
        (["/usr/sbin/sfptpd", "-f", "/etc/sfptpd.conf"], {"system", ANY_PHC}),
        (["ptp4l", "-i", "eth0", "-i", "eth1"], {"eth0", "eth1"}),
        (["ptp4l", "-i", "eth0", "-S"], {"system"}),
        (["ptp4l", "-mSi", "eth0"], {"system"}),
        (["ptp4l", "-i", "eth0", "--time_stamping", "software"], {"system"}),
        (["ptp4l", "-i", "eth0", "--time_stamping=software", "--free_running=1"], set()),
        (["ptp4l", "-i", "eth0", "--free_running", "1"], set()),
        (["ptp4l", "-i", "eth0", "--free_running", "0"], {"eth0"}),
        (["ptp4l", "-i", "eth0", "-p", "/dev/ptp3"], {"eth0", "/dev/ptp3"}),
        (["ptp4l"], {ANY_PHC}),
        (["ptp4l", "-f", "/nowhere.conf", "-S"], {"system", ANY_PHC}),
        (["ptp4l", "-Z"], {"system", ANY_PHC}),
        (["phc2sys", "-a", "-r"], {"system", ANY_PHC}),
        (["phc2sys", "-a"], {ANY_PHC}),
        (["phc2sys", "-s", "eth0", "-w"], {"system"}),
        (["phc2sys", "-s", "eth0", "-c", "eth1", "-O", "0"], {"eth1"}),
        (["phc2sys", "-s", "eth0", "-c", "CLOCK_REALTIME", "-w"], {"system"}),
        (["phc2sys", "-a", "-r", "-E", "ntpshm"], set()),
        (["phc2sys", "-a", "-r", "--clock_servo=refclock_sock"], set()),
        (["phc2sys", "-a", "-r", "--free_running=1"], set()),
        (["ts2phc", "-s", "generic", "-c", "eth0"], {"eth0"}),
        (["ts2phc", "-s", "nmea", "-c", "eth0", "--free_running", "1"], set()),
        (["ts2phc", "-a", "-s", "eth0"], {ANY_PHC}),
    ],
)
def test_the_command_line_says_what_is_owned(proc: Proc, command: list[str], clocks: set[str]) -> None:
    proc.add(*command)
    assert owned(proc) == clocks


CONFIG = "[global]\n# free_running 1\ntime_stamping\tsoftware\n{0}\n[eth0]\n[unicast_master_table]\ntable_id 1\n"


def test_the_file_says_it_and_the_command_line_outweighs_it(proc: Proc) -> None:
    text = CONFIG.replace("\t", " ")
    proc.add("ptp4l", "-f", "/etc/ptp4l.conf", files={"/etc/ptp4l.conf": text.format("")})
    assert owned(proc) == {"system"}
    proc.add("ptp4l", "-f", "ptp4l.conf", files={"/etc/ptp4l.conf": text.format("free_running 1")})
    assert [set(each.clocks) for each in clock_owners(proc.root)] == [{"system"}, set()]
    proc.add("ptp4l", "-f", "ptp4l.conf", "-H", files={"/etc/ptp4l.conf": text.format("")})
    assert set(clock_owners(proc.root)[-1].clocks) == {"eth0"}


def test_tabs_stand_between_name_and_value_as_well(proc: Proc) -> None:
    proc.add("ptp4l", "-f", "/ptp4l.conf", files={"/ptp4l.conf": CONFIG.format("free_running\t\t1")})
    assert owned(proc) == set()


def test_a_process_is_found_by_the_kernels_name_and_told_once(proc: Proc) -> None:
    proc.add("ntpd: dns engine", comm="ntpd")
    proc.add("ntpd: ntp engine", comm="ntpd")
    proc.add("anything", comm="systemd-timesyn")
    proc.add("/usr/sbin/chronyd", state="Z")
    proc.add("vi", "chronyd")
    assert [(each.name, each.pid) for each in clock_owners(proc.root)] == [("ntpd", 100), ("systemd-timesyncd", 102)]


def lines(wanted: Iterable[str], *owners: ClockOwner) -> list[str]:
    return conflicts(wanted, owners, {"eth0": "ptp0", "eth1": "ptp0", "eth2": "ptp1"}.get)


def test_a_conflict_says_who_owns_what_and_what_to_do() -> None:
    chronyd = ClockOwner("chronyd", 123, frozenset({"system"}))
    assert lines(["CLOCK_REALTIME"], chronyd) == [
        "expected nobody else to steer the system clock, found chronyd (process 123), which owns it: stop it, or set "
        'clock.mode = "watch"'
    ]
    assert lines(["eth0"], chronyd) == []


def test_interfaces_that_share_a_clock_conflict() -> None:
    other = ClockOwner("ptp4l", 5, frozenset({"eth1"}))
    assert len(lines(["eth0"], other)) == 1
    assert lines(["eth2"], other) == []
    assert len(lines(["eth2"], ClockOwner("ptp4l", 5, frozenset({"/dev/ptp1"})))) == 1
    anything = ClockOwner("sfptpd", 6, frozenset({"system", ANY_PHC}))
    (line,) = lines(["eth0", "CLOCK_REALTIME"], anything)
    assert "the clock of eth0 and the system clock" in line
    assert lines(["CLOCK_REALTIME"], ClockOwner("ts2phc", 6, frozenset({ANY_PHC}))) == []
    assert lines(["eth0"], ClockOwner("ptp4l", 7, frozenset())) == []


def test_the_one_ptp4l_of_a_domain_says_what_its_socket_does_not(proc: Proc) -> None:
    assert port_hint(0, clock_owners(proc.root)) is None
    proc.add("ptp4l", "-f", "/p.conf", files={"/p.conf": CONFIG.format("domainNumber 24\nfree_running 1")})
    proc.add("ptp4l", "-i", "eth0", "-i", "eth1")
    owners = clock_owners(proc.root)
    assert port_hint(24, owners) == PortHint("eth0", is_hardware=False)
    assert port_hint(0, owners) == PortHint(None, is_hardware=True)
    proc.add("ptp4l", "-i", "eth2", "-S")
    assert port_hint(0, clock_owners(proc.root)) is None
    proc.add("ptp4l", "-f", "/nowhere", "--domainNumber", "7")
    assert port_hint(7, clock_owners(proc.root)) is None


def test_a_real_process_is_found() -> None:
    script = "import time; print('up', flush=True); time.sleep(60)"
    command = ["ts2phc", "-c", script, "-s", "generic"]  # to Python it is a script, to us a sink
    with subprocess.Popen(command[:3], executable=sys.executable, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            found = wait_for(
                lambda: [each for each in clock_owners() if each.pid == process.pid], "the process in /proc"
            )
            assert found == [ClockOwner("ts2phc", process.pid, frozenset({script}))]
        finally:
            process.kill()
