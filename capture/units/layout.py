"""The files that make systemd run a configuration: units as shipped, drop-ins, users, folders, by their places."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import nanotape.config
from nanotape.capture.units.drop_ins import Start, capture_drop_in, clock_drop_in, record_drop_in, upkeep_drop_in, word
from nanotape.config import Settings
from nanotape.config.settings import Paths

UNIT_FOLDER = Path("etc/systemd/system")
SHIPPED = {
    UNIT_FOLDER: Path("usr/lib/systemd/system"),
    Path("etc/sysusers.d"): Path("usr/lib/sysusers.d"),
    Path("etc/tmpfiles.d"): Path("usr/lib/tmpfiles.d"),
    Path("etc/udev/rules.d"): Path("usr/lib/udev/rules.d"),
}
"""By folder of the host's own: where a package puts the same; who finds a file there needs no other."""
SYSUSERS, TMPFILES = Path("etc/sysusers.d/nanotape.conf"), Path("etc/tmpfiles.d/nanotape.conf")
UDEV = Path("etc/udev/rules.d/60-nanotape.rules")
DROP_IN = "50-nanotape.conf"
_UNIT_SUFFIXES = (".service", ".target", ".timer")


def shipped() -> dict[str, str]:
    """Text of each unit of this package, by name."""
    folder = Path(next(iter(nanotape.config.__path__))) / "systemd"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if _is_unit(path)}


def _is_unit(path: Path) -> bool:
    return path.suffix in _UNIT_SUFFIXES


def files(settings: Settings, start: Start) -> dict[Path, str]:
    """Text of each file, by its path below the root; the units themselves come first."""
    found = {UNIT_FOLDER / name: text for name, text in shipped().items()}
    found |= {UNIT_FOLDER / f"{unit}.d" / DROP_IN: text for unit, text in _drop_ins(settings, start)}
    return {**found, SYSUSERS: sysusers(settings), TMPFILES: tmpfiles(settings), UDEV: udev(settings)}


def _drop_ins(settings: Settings, start: Start) -> Iterator[tuple[str, str]]:
    for ring in settings.rings:
        yield f"nanotape-capture@{ring}.service", capture_drop_in(settings, start)
        yield f"nanotape-record@{ring}.service", record_drop_in(settings, start)
    yield "nanotape-clock.service", clock_drop_in(settings, start)
    yield "nanotape-compact.service", upkeep_drop_in(settings, start, "compact")
    yield "nanotape-retain.service", upkeep_drop_in(settings, start, "retain")


def enabled_units(settings: Settings) -> list[str]:
    """What is to be enabled and started; without `clock.mode` no clock service, which would end at once."""
    rings = [f"nanotape-{part}@{ring}.service" for ring in settings.rings for part in ("capture", "record")]
    clock = [] if settings.clock.mode == "none" else ["nanotape-clock.service"]
    return ["nanotape.target", *clock, *rings, "nanotape-compact.timer", "nanotape-retain.timer"]


def sysusers(settings: Settings) -> str:
    """Users and group for systemd-sysusers(8); of those that are numbers none."""
    user = settings.user
    rows = [("g", user.group, "-", "")]
    rows += [("u", user.capture, "-", '"nanotape capture"'), ("u", user.record, "-", '"nanotape recorder"')]
    rows += [("m", user.record, user.group, "")]
    lines = [
        "# Two users: a capture that strangers' packets have taken over reaches no archive. The group reads rings.",
        *(" ".join(row).rstrip() for row in rows if not (row[1].isdigit() or row[2].isdigit())),
    ]
    return "".join(f"{line}\n" for line in lines)


def tmpfiles(settings: Settings) -> str:
    """Folders for systemd-tmpfiles(8), each for who works in it."""
    lines = ["# State, rings and archive, each for who works in it."]
    lines += [f"d {word(path)} 0755 {owner} {settings.user.group} -" for path, owner in _folders(settings).items()]
    return "".join(f"{line}\n" for line in lines)


def udev(settings: Settings) -> str:
    """Lets the clock service read NICs' clocks; by a descriptor that is opened to read the kernel sets none."""
    lines = ["# NICs' clocks are read by the clock service, which sets none."]
    lines += [f'SUBSYSTEM=="ptp", GROUP="{settings.user.group}", MODE="0640"']
    return "".join(f"{line}\n" for line in lines)


def _folders(settings: Settings) -> Mapping[str, str]:
    paths, user = settings.paths, settings.user
    hugepages = paths.hugepage_dir or "/dev/hugepages/nanotape"
    archives = [paths.archive]
    if paths.archive == Paths().archive:
        archives = [str(Path(paths.archive).parent), *archives]
    captures = dict.fromkeys([paths.run_dir, paths.shm_dir, hugepages], user.capture)
    return {**captures, **dict.fromkeys(archives, user.record)}
