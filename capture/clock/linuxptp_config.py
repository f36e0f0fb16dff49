"""The configuration of linuxptp as `[clock]` wants it: one file and one command line for each program.

One file each, because the programs read each other's options and take some of them for their own. Names that differ
between 3.1 and 4.x are those of the version that is installed. Writes nothing itself.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.clock.linuxptp_version import LinuxptpVersion
from nanotape.capture.clock.pmc import SOCKET_PATH_BYTES
from nanotape.capture.errors import LinuxptpError
from nanotape.config.clock import ClockSettings

PTP4L, PHC2SYS, TS2PHC = "ptp4l", "phc2sys", "ts2phc"
SYSTEM_SINK = "CLOCK_REALTIME"
_EXTERNAL_PPS = ("generic", "nmea")
_FIRST_STEP_S = "0.00002"
_STABLE_WITHIN_NS = {"hardware": 100, "software": 100_000}
_INFORMATION, _DEBUG = 6, 7


@dataclass(frozen=True, slots=True)
class Program:
    """One program of linuxptp that is to run."""

    name: str
    config: Path
    text: str
    """What is to stand in `config`."""
    command: tuple[str, ...]
    steers: tuple[str, ...]
    """Clocks: `CLOCK_REALTIME`, or the interfaces whose PHC it is; none where it only measures."""


def socket_path(folder: Path) -> Path:
    """Of our ptp4l; it may be told what to do."""
    return folder / "ptp4l.sock"


def read_only_socket_path(folder: Path) -> Path:
    """Of our ptp4l from 4.0 on: it may be asked by anybody."""
    return folder / "ptp4lro.sock"


def programs(settings: ClockSettings, version: LinuxptpVersion, folder: Path) -> tuple[Program, ...]:
    """What is to run, in the order in which it is to be started.

    Args:
        settings: `[clock]`, in mode `manage`.
        version: Of linuxptp.
        folder: Where files and sockets lie; an absolute path.

    Raises:
        LinuxptpError: The folder's path is too long, or the settings contradict each other.
    """
    for each in (socket_path(folder), read_only_socket_path(folder)):
        if len(os.fsencode(each)) > SOCKET_PATH_BYTES:
            raise LinuxptpError(
                f"{each}: expected a path of at most {SOCKET_PATH_BYTES} bytes for a Unix socket, found "
                f"{len(os.fsencode(each))}; set paths.run_dir to a shorter one"
            )
    is_hardware = settings.time_stamping == "hardware"
    if settings.pps is not None and not is_hardware:
        raise LinuxptpError(
            'clock.pps: a pulse per second steers the clock of a NIC, found clock.time_stamping = "software"; '
            'set it to "hardware", or leave out clock.pps'
        )
    found = [_ptp4l(settings, version, folder)]
    # Neither has a way to only measure in every version, and both set the frequency as they begin.
    if is_hardware and not settings.free_running:
        if settings.pps not in _EXTERNAL_PPS:
            found.append(_phc2sys(settings, folder))
        if settings.pps is not None:
            found.append(_ts2phc(settings, version, folder))
    return tuple(found)


def _listening(settings: ClockSettings) -> tuple[str, ...]:
    """Where ptp4l listens: an interface that gives the pulse is the only one then, the others have it from there."""
    if settings.pps is None or settings.pps in _EXTERNAL_PPS:
        return settings.interfaces
    return (settings.pps,)


def _ptp4l(settings: ClockSettings, version: LinuxptpVersion, folder: Path) -> Program:
    is_hardware = settings.time_stamping == "hardware"
    # What a pulse steers, ptp4l only compares with its master.
    only_measures = settings.free_running or settings.pps in _EXTERNAL_PPS
    interfaces = _listening(settings)
    options: dict[str, object] = {
        "clientOnly" if version.is_4 else "slaveOnly": 1,
        "domainNumber": settings.domain,
        "network_transport": settings.transport,
        "delay_mechanism": settings.delay_mechanism,
        "time_stamping": settings.time_stamping,
        # The default narrows the NIC's filter to PTP packets, and takes the stamps from all others.
        **({"hwts_filter": "full"} if is_hardware else {}),
        **({"boundary_clock_jbod": 1} if is_hardware and len(interfaces) > 1 else {}),
        "free_running": int(only_measures),
        "freq_est_interval": 0,
        "first_step_threshold": _FIRST_STEP_S,
        "step_threshold": "0.0",
        "servo_offset_threshold": _stable_within_ns(settings),
        "servo_num_offset_values": 10,
        # 10 ms, and 1 ms in 3.1, are too short for some NICs: a late stamp counts as a fault of the port.
        "tx_timestamp_timeout": 50,
        "summary_interval": 0,
        "uds_address": socket_path(folder),
        **({"uds_ro_address": read_only_socket_path(folder)} if version.is_4 else {}),
        **_logging(_INFORMATION),
    }
    steers = () if only_measures else interfaces if is_hardware else (SYSTEM_SINK,)
    return _program(PTP4L, folder, _text(options, {each: {} for each in interfaces}), (), steers)


def _phc2sys(settings: ClockSettings, folder: Path) -> Program:
    options = {
        "domainNumber": settings.domain,
        "uds_address": socket_path(folder),
        "first_step_threshold": _FIRST_STEP_S,
        "step_threshold": "0.0",
        **_logging(_INFORMATION),
    }
    # -a -r: it takes the port and the UTC offset from ptp4l, and waits while that has no master.
    steers = (SYSTEM_SINK, *(_listening(settings) if len(_listening(settings)) > 1 else ()))
    return _program(PHC2SYS, folder, _text(options, {}), ("-a", "-r"), steers)


def _ts2phc(settings: ClockSettings, version: LinuxptpVersion, folder: Path) -> Program:
    assert settings.pps is not None  # noqa: S101 - its caller has looked
    sinks = [each for each in settings.interfaces if each != settings.pps]
    if not sinks:
        raise LinuxptpError(
            f"clock.pps: expected other interfaces in clock.interfaces, to follow the pulse of {settings.pps}; "
            "found none: add them, or leave out clock.pps"
        )
    options: dict[str, object] = {
        "first_step_threshold": _FIRST_STEP_S,
        "step_threshold": "0.0",
        **({"ts2phc.nmea_serialport": settings.nmea_port} if settings.nmea_port else {}),
        # 3.1 tells its measurements to debuggers only.
        **_logging(_INFORMATION if version.is_4 else _DEBUG),
    }
    sections = {each: {"ts2phc.extts_polarity": "rising"} for each in sinks}
    return _program(TS2PHC, folder, _text(options, sections), ("-s", settings.pps), tuple(sinks))


def _stable_within_ns(settings: ClockSettings) -> int:
    if settings.locked_within is not None:
        return min(settings.locked_within, 2**31 - 1)
    return _STABLE_WITHIN_NS[settings.time_stamping]


def _logging(level: int) -> dict[str, object]:
    """To standard output, which is our log of it."""
    return {"use_syslog": 0, "verbose": 1, "logging_level": level}


def _program(name: str, folder: Path, text: str, arguments: tuple[str, ...], steers: tuple[str, ...]) -> Program:
    config = folder / f"{name}.conf"
    return Program(name, config, text, (name, "-f", str(config), *arguments), steers)


def _text(options: Mapping[str, object], sections: Mapping[str, Mapping[str, object]]) -> str:
    lines = ["# Written by nanotape (clock.mode = manage), anew at each start.", "[global]"]
    lines += [f"{name} {value}" for name, value in options.items()]
    for interface, own in sections.items():
        lines += [f"[{interface}]", *(f"{name} {value}" for name, value in own.items())]
    return "\n".join(lines) + "\n"
