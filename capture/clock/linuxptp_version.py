"""Which linuxptp is installed: what it is called, and which options it knows, depends on it."""

import re
from dataclasses import dataclass

from nanotape.capture.clock.tool import Run, run_command
from nanotape.capture.errors import LinuxptpError

_VERSION = re.compile(r"v?(?P<major>\d{1,3})\.(?P<minor>\d{1,3})(?:[.+~-]\S*)?", re.ASCII)
_TIMEOUT_S = 5.0
_OLDEST = (3, 1)
_NEWEST_MAJOR = 4


@dataclass(frozen=True, slots=True, order=True)
class LinuxptpVersion:
    """A release."""

    major: int
    minor: int

    @property
    def is_4(self) -> bool:
        """Has a read-only socket, PORT_HWCLOCK_NP, and `client` for what was `slave`."""
        return self.major >= _NEWEST_MAJOR

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse_version(printed: str) -> LinuxptpVersion | None:
    """Reads what `ptp4l -v` prints, such as `3.1.1` or `4.4-00012-gdeadbee`; None: it is no version."""
    found = _VERSION.fullmatch(printed.strip())
    return LinuxptpVersion(int(found["major"]), int(found["minor"])) if found else None


def installed_version(program: str = "ptp4l", run: Run = run_command) -> LinuxptpVersion:
    """That of a program, which says it.

    Raises:
        LinuxptpError: It is not installed, or of a version that nanotape cannot write a configuration for.
    """
    expected = f"linuxptp {_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST_MAJOR}.x"
    advice = f'install {expected}, or set clock.mode = "watch"'
    try:
        printed = run([program, "-v"], _TIMEOUT_S)
    except FileNotFoundError:
        raise LinuxptpError(f"{program}: expected {expected}, found none; {advice}") from None
    except OSError as error:
        raise LinuxptpError(f"{program}: cannot be asked for its version: {error}; {advice}") from None
    version = parse_version(printed)
    if version is None or not _OLDEST <= (version.major, version.minor) or version.major > _NEWEST_MAJOR:
        first = next(iter(printed.strip().splitlines()), "")[:80]
        raise LinuxptpError(f"{program}: expected {expected}, found {first!r}; {advice}")
    return version
