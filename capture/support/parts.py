"""What a support bundle holds of one host: nanotape's own answers, its state files, logs, and what the host is like."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from nanotape.capture.support.bundle import PART_BYTES, Part
from nanotape.capture.support.raw_configuration import guessed_paths, raw_parts, without_commands
from nanotape.config import ConfigError, Settings, interfaces
from nanotape.config.show import effective

_TIMEOUT_S = 30.0
_VERBS = (
    ("status.json", ("status", "--json")),
    ("rings.json", ("rings", "--json")),
    ("channels.json", ("channels", "--json")),
    ("clock.json", ("clock", "--json")),
    ("doctor.json", ("doctor", "--json")),
)
_HOST_FILES = (
    "/etc/os-release", "/proc/version", "/proc/cmdline", "/proc/cpuinfo", "/proc/meminfo", "/proc/interrupts",
    "/proc/softirqs", "/proc/net/dev", "/proc/net/softnet_stat", "/proc/net/snmp", "/proc/net/igmp", "/proc/mounts",
    "/proc/stat", "/proc/loadavg", "/proc/pressure/cpu", "/proc/pressure/io", "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full", "/sys/devices/system/clocksource/clocksource0/current_clocksource",
)  # fmt: skip
_HOST_COMMANDS = (
    ("ip-link.txt", ("ip", "-s", "-d", "link")),
    ("df.txt", ("df", "-h")),
    ("ps.txt", ("ps", "-eLo", "pid,tid,user,cls,rtprio,psr,pcpu,rss,comm")),
    ("dmesg.txt", ("dmesg", "--ctime")),
    ("journal.txt", ("journalctl", "--no-pager", "-n", "5000", "-u", "nanotape*")),
)
_UNTRUSTED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ETHTOOL = ("-i", "-S", "-g", "-c", "-a", "-k", "-l", "-x", "-T", "-n")
_COMMAND_KEYS = re.compile(r"^(?P<key>post_\w+|on_event) = \[(?P<words>.*)\](?P<rest>  #.*)?$", re.MULTILINE)


def support_parts(settings: Settings, config: Path | None) -> Iterator[Part]:
    """All of them.

    Args:
        settings: In force.
        config: The file that verbs are to be called with; None: the default.
    """
    yield Part("configuration.toml", lambda: without_arguments(effective(settings)).encode())
    yield _verb("version.txt", "--version")
    yield from _answers("", config)
    yield _events(settings.paths.archive)
    yield from _state_files(Path(settings.paths.run_dir))
    yield from _host(interfaces(settings))


def parts_without_settings(config: Path, error: ConfigError) -> Iterator[Part]:
    """What can be had where the configuration does not load: that itself, and all that does not ask for it.

    Services that run say how they were started, and verbs are asked by that.

    Args:
        config: The file.
        error: Why it does not load.
    """
    paths = guessed_paths(config)
    yield Part("configuration-error.txt", lambda: f"{error}\n".encode())
    yield from raw_parts(config)
    yield _verb("version.txt", "--version")
    started = _running(Path(paths.run_dir))
    if not started:  # of the host itself something is known all the same
        yield _verb("doctor-of-defaults.json", "doctor", "--json", "--config", os.devnull)
    for running in started:
        yield from _answers(f"run/{running.parent.name}/", running)
        yield Part(f"run/{running.parent.name}/{running.name}", partial(_started_with, running))
    yield _events(paths.archive)
    yield from _state_files(Path(paths.run_dir))
    yield from _host(sorted(each for each in os.listdir("/sys/class/net") if each != "lo"))


def _host(names: Sequence[str]) -> Iterator[Part]:
    """What the host is like, and these interfaces."""
    for path in _HOST_FILES:
        yield Part(f"host{path}", partial(_tail, Path(path)))
    for name, host_command in _HOST_COMMANDS:
        yield Part(f"host/{name}", partial(_output, host_command))
    for interface in names:
        for option in _ETHTOOL:
            yield Part(f"host/ethtool/{interface}{option}.txt", partial(_output, ("ethtool", option, interface)))


def _answers(folder: str, config: Path | None) -> Iterator[Part]:
    """What verbs answer by a configuration; None: the default one."""
    for name, words in _VERBS:
        yield _verb(f"{folder}{name}", *words, *(() if config is None else ("--config", str(config))))


def _running(run_directory: Path) -> list[Path]:
    """The configurations with which rings were started."""
    try:
        return sorted(run_directory.glob("*/nanotape.toml"))
    except OSError:  # not for this user to see
        return []


def _started_with(config: Path) -> bytes:
    content = _state_tail(config.parent.parent, config.relative_to(config.parent.parent))
    return without_commands(content.decode("utf-8", "backslashreplace")).encode()


def _verb(name: str, *words: str, allowed: Sequence[int] = (0, 1)) -> Part:
    # -P: a module of the folder that we happen to be in is not ours.
    command = (sys.executable, "-P", "-m", "nanotape.cli.main", *words)
    return Part(name, partial(_output, command, allowed=allowed))


def without_arguments(text: str) -> str:
    """A configuration whose commands are named and their arguments left out: there may be a password among them."""

    def shortened(found: re.Match[str]) -> str:
        words = re.findall(r'"(?:[^"\\]|\\.)*"', found["words"])
        kept = words[:1] + ([f'"({len(words) - 1} arguments left out)"'] if len(words) > 1 else [])
        return f"{found['key']} = [{', '.join(kept)}]{found['rest'] or ''}"

    return _COMMAND_KEYS.sub(shortened, text)


def _state_files(run_directory: Path) -> Iterator[Part]:
    """What services and readers tell of themselves, and the logs of what they run."""
    for pattern in (
        "*/service.json",
        "*/readers/*.json",
        "clock/*.json",
        "clock/*.jsonl",
        "clock/*.conf",
        "clock/*.log*",
    ):
        try:
            paths = sorted(run_directory.glob(pattern))
        except OSError:  # not for this user to see
            return
        for path in paths:
            place = path.relative_to(run_directory)
            yield Part(f"run/{place}", partial(_state_tail, run_directory, place))


def _events(archive: str) -> Part:
    return _verb("events.jsonl", "events", archive, "--since", "2d", "--json", allowed=(0,))


def _output(command: Sequence[str], allowed: Sequence[int] = (0,)) -> bytes:
    """What a command prints."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise OSError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"no answer within {_TIMEOUT_S:g} s") from None
    if done.returncode not in allowed:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise OSError(said[-1])
    return done.stdout


def _state_tail(run_directory: Path, place: Path) -> bytes:
    """The end of a file below a folder in which less trusted users write: through no link, and of no pipe.

    The bundle is made by root and sent away: what they cannot read themselves they must not be able to put into it.
    """
    folder = os.open(run_directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in place.parent.parts:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        with open(os.open(place.name, os.O_RDONLY | _UNTRUSTED, dir_fd=folder), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(f"{place}: expected a file, found something else")
            file.seek(max(found.st_size - PART_BYTES, 0))
            return file.read(PART_BYTES + 1)
    finally:
        os.close(folder)


def _tail(path: Path) -> bytes:
    """The end of a file, as much as a part may have. Files of /proc say nothing of their size."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > PART_BYTES:
            file.seek(size - PART_BYTES)
        return file.read(PART_BYTES + 1)
