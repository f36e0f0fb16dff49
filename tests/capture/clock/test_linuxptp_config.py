"""Configuration files of linuxptp, and that the installed one accepts them."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from typing import Any

import pytest

from nanotape.capture.clock.linuxptp_config import Program, programs
from nanotape.capture.clock.linuxptp_version import LinuxptpVersion, installed_version
from nanotape.capture.errors import LinuxptpError
from nanotape.config.clock import ClockSettings

V3, V4 = LinuxptpVersion(3, 1), LinuxptpVersion(4, 4)
FOLDER = pathlib.Path("/run/nanotape/clock")


def settings(**options: Any) -> ClockSettings:
    return ClockSettings(**({"mode": "manage", "interfaces": ("eth0",)} | options))


def made(version: LinuxptpVersion = V4, folder: pathlib.Path = FOLDER, **options: Any) -> dict[str, Program]:
    return {each.name: each for each in programs(settings(**options), version, folder)}


def options_of(program: Program) -> dict[str, str]:
    """The options of `[global]`."""
    text = program.text.split("[global]\n")[1].split("[")[0]
    return dict(line.split(" ", 1) for line in text.splitlines())


def test_names_that_differ_are_those_of_the_version() -> None:
    old, new = (options_of(made(version)["ptp4l"]) for version in (V3, V4))
    assert (old.get("slaveOnly"), old.get("clientOnly"), old.get("uds_ro_address")) == ("1", None, None)
    assert (new.get("slaveOnly"), new.get("clientOnly")) == (None, "1")
    assert new["uds_ro_address"] == "/run/nanotape/clock/ptp4lro.sock"


def test_the_settings_are_in_the_file() -> None:
    found = made(domain=24, transport="L2", delay_mechanism="P2P", interfaces=("eth0", "eth1"), locked_within="500ns")[
        "ptp4l"
    ]
    options = options_of(found)
    assert options["domainNumber"] == "24"
    assert (options["network_transport"], options["delay_mechanism"]) == ("L2", "P2P")
    assert (options["time_stamping"], options["hwts_filter"], options["free_running"]) == ("hardware", "full", "0")
    assert (options["uds_address"], options["summary_interval"]) == ("/run/nanotape/clock/ptp4l.sock", "0")
    assert (options["servo_offset_threshold"], options["boundary_clock_jbod"]) == ("500", "1")
    assert (options["step_threshold"], options["tx_timestamp_timeout"]) == ("0.0", "50")
    assert found.text.endswith("[eth0]\n[eth1]\n")
    assert found.command == ("ptp4l", "-f", "/run/nanotape/clock/ptp4l.conf")


def test_hardware_stamps_have_the_system_clock_follow_by_phc2sys() -> None:
    found = made(domain=7)
    assert list(found) == ["ptp4l", "phc2sys"]
    assert found["phc2sys"].command == ("phc2sys", "-f", "/run/nanotape/clock/phc2sys.conf", "-a", "-r")
    assert options_of(found["phc2sys"])["domainNumber"] == "7"
    assert (found["ptp4l"].steers, found["phc2sys"].steers) == (("eth0",), ("CLOCK_REALTIME",))


def test_software_stamps_have_the_system_clock_steered_directly() -> None:
    found = made(time_stamping="software")
    assert list(found) == ["ptp4l"]
    assert found["ptp4l"].steers == ("CLOCK_REALTIME",)
    assert "hwts_filter" not in found["ptp4l"].text


@pytest.mark.parametrize("stamping", ["hardware", "software"])
@pytest.mark.parametrize("version", [V3, V4])
def test_free_running_steers_nothing_at_all(stamping: str, version: LinuxptpVersion) -> None:
    found = made(version, time_stamping=stamping, free_running=True)
    assert list(found) == ["ptp4l"]
    assert found["ptp4l"].steers == ()
    assert options_of(found["ptp4l"])["free_running"] == "1"


def test_an_external_pulse_steers_the_nics_and_ptp4l_only_compares() -> None:
    found = made(pps="nmea", nmea_port="/dev/ttyS0")
    assert list(found) == ["ptp4l", "ts2phc"]
    assert options_of(found["ptp4l"])["free_running"] == "1"
    assert found["ts2phc"].command[-2:] == ("-s", "nmea")
    assert options_of(found["ts2phc"])["ts2phc.nmea_serialport"] == "/dev/ttyS0"
    assert (found["ts2phc"].steers, found["ptp4l"].steers) == (("eth0",), ())


def test_a_pulse_of_one_nic_steers_the_others() -> None:
    found = made(pps="eth0", interfaces=("eth0", "eth1"))
    assert list(found) == ["ptp4l", "phc2sys", "ts2phc"]
    assert "[eth1]" not in found["ptp4l"].text
    assert found["ts2phc"].steers == ("eth1",)
    with pytest.raises(LinuxptpError, match="expected other interfaces"):
        made(pps="eth0")
    with pytest.raises(LinuxptpError, match="time_stamping"):
        made(pps="generic", time_stamping="software")


def test_a_folder_too_deep_for_sockets_is_refused() -> None:
    with pytest.raises(LinuxptpError, match="at most 107 bytes"):
        made(folder=pathlib.Path("/run") / ("x" * 100))


ABSENT = "nt-absent0"  # no interface has this name: the programs read their file and end before they open a clock


def said(program: Program, *arguments: str) -> str:
    done = subprocess.run(
        [*program.command[:3], *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    return done.stdout


@pytest.mark.parametrize("options", [{}, {"time_stamping": "software"}, {"pps": "generic"}, {"delay_mechanism": "P2P"}])
def test_the_installed_linuxptp_accepts_them(options: dict[str, Any], tmp_path: pathlib.Path) -> None:
    if shutil.which("ptp4l", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip("needs linuxptp (apt-get install linuxptp)")
    found = made(installed_version(), tmp_path, interfaces=(ABSENT,), domain=24, **options)
    ends = {"ptp4l": [], "phc2sys": [], "ts2phc": ["-s", "generic"]}
    for name, program in found.items():
        program.config.write_text(program.text)
        told = said(program, *ends[name])
        assert "failed to parse" not in told
        assert "unknown option" not in told
        assert "deprecated" not in told
        # Negative control: that the file is read at all.
        program.config.write_text(program.text.replace("[global]", "[global]\nnt_no_option 1"))
        assert "nt_no_option" in said(program, *ends[name])
