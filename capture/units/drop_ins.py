"""What a configuration changes in the units as they are shipped: drop-ins, `UNIT.d/50-nanotape.conf`.

The shipped units hold for the defaults, so that a drop-in says only what differs, and an upgrade replaces the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.config import DEFAULT_FILE, Settings
from nanotape.config.settings import Paths, User

EXECUTABLE = Path("/usr/bin/nanotape")
"""What the shipped units start."""
_MANAGED_CLOCK = (
    '# clock.mode = "manage": linuxptp sets clocks, and has sockets and NICs\' clocks for it',
    "User=root",
    "CapabilityBoundingSet=CAP_SYS_TIME CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_DAC_OVERRIDE",
    "SystemCallFilter=@clock",
    "RestrictAddressFamilies=AF_PACKET",
    "DeviceAllow=char-ptp rw",
    "DeviceAllow=char-pps rw",
)


@dataclass(frozen=True, slots=True)
class Start:
    """How units start nanotape on this host."""

    executable: Path = EXECUTABLE
    config: Path = DEFAULT_FILE
    cpus: int = 1
    """Number of CPUs that this host has."""


def capture_drop_in(settings: Settings, start: Start) -> str:
    """For `nanotape-capture@RING`; the loop takes its own core itself, everything beside it keeps off all loops' cores.

    Args:
        settings: Of all rings.
        start: Of this host.
    """
    paths = _differing(settings, "run_dir", "shm_dir", "hugepage_dir")
    lines = [*_command(start, "capture --ring %i"), *_account(settings.user.capture, "capture", settings)]
    return _text(start, [*lines, *_affinity(settings, start), *_writable(paths)])


def record_drop_in(settings: Settings, start: Start) -> str:
    """For `nanotape-record@RING`."""
    paths = _differing(settings, "archive", "run_dir")
    lines = [*_command(start, "record --wait --ring %i"), *_account(settings.user.record, "record", settings)]
    return _text(start, [*lines, *_affinity(settings, start), *_writable(paths)], _mounts(settings))


def clock_drop_in(settings: Settings, start: Start) -> str:
    """For `nanotape-clock`."""
    account = (
        _MANAGED_CLOCK if settings.clock.mode == "manage" else _account(settings.user.capture, "capture", settings)
    )
    paths = _differing(settings, "run_dir")
    return _text(start, [*_command(start, "clock run"), *account, *_affinity(settings, start), *_writable(paths)])


def upkeep_drop_in(settings: Settings, start: Start, verb: str) -> str:
    """For `nanotape-compact` and `nanotape-retain`."""
    lines = [*_command(start, verb), *_account(settings.user.record, "record", settings)]
    paths = _differing(settings, "archive")
    return _text(start, [*lines, *_affinity(settings, start), *_writable(paths)], _mounts(settings))


def word(text: str) -> str:
    """A word of a unit or of tmpfiles, as systemd reads it: with spaces and quotes in it, and without specifiers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = escaped == text.replace("%", "%%") and not any(each.isspace() or each in "';#" for each in text)
    return escaped if plain else f'"{escaped}"'


def _command_word(text: str) -> str:
    return word(text.replace("$", "$$"))  # in commands it is a variable else


def first_line(start: Start) -> str:
    """How each drop-in of a configuration begins."""
    return f"# By `nanotape service install`, from {start.config}; written anew by the next."


def _text(start: Start, service: Sequence[str], unit: Sequence[str] = ()) -> str:
    lines = [first_line(start)]
    lines += ["[Unit]", *unit] if unit else []
    lines += ["[Service]", *service] if service else []
    return "".join(f"{line}\n" for line in lines)


def _command(start: Start, words: str) -> list[str]:
    if (start.executable, start.config) == (EXECUTABLE, DEFAULT_FILE):
        return []
    config = [] if start.config == DEFAULT_FILE else ["--config", _command_word(str(start.config))]
    return ["ExecStart=", " ".join([f"ExecStart={_command_word(str(start.executable))}", words, *config])]


def _account(user: str, key: str, settings: Settings) -> list[str]:
    default = User()
    lines = [f"User={user}"] if user != getattr(default, key) else []
    return lines + ([f"Group={settings.user.group}"] if settings.user.group != default.group else [])


def _differing(settings: Settings, *keys: str) -> list[str]:
    default = Paths()
    values = [(getattr(settings.paths, key), getattr(default, key)) for key in keys]
    return [value for value, usual in values if value and value != usual]


def _writable(paths: Iterable[str]) -> list[str]:
    words = [word(f"-{path}") for path in paths]
    return [f"ReadWritePaths={' '.join(words)}"] if words else []


def _mounts(settings: Settings) -> list[str]:
    archive = _differing(settings, "archive")
    return [f"RequiresMountsFor={word(archive[0])}"] if archive else []


def _affinity(settings: Settings, start: Start) -> list[str]:
    """All CPUs but those of loops; nothing where no loop has one, or there are no others."""
    loops = {settings.of_ring(name).loop.core for name in settings.rings} - {None}
    others = [cpu for cpu in range(start.cpus) if cpu not in loops]
    return [f"CPUAffinity={' '.join(map(str, others))}"] if loops and others else []
