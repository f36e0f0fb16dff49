"""Command lines and configuration files of programs that steer clocks, as far as what they steer depends on them.

linuxptp takes each option of its files on the command line too (`--name value`), which outweighs the file.
"""

import getopt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_SHORT = {
    "ptp4l": "AEP246HSLf:i:p:sl:mqvh",
    "phc2sys": "arC:c:d:f:s:E:P:I:S:F:R:N:O:L:M:i:u:wn:xz:l:t:mqvh",
    "ts2phc": "ac:f:hi:l:mqs:v",
    "chronyd": "46df:F:hl:L:mnpP:qQrRst:u:UvxX",
}
_LINUXPTP = ("ptp4l", "phc2sys", "ts2phc")
_SECTION = re.compile(r"\[(?P<name>[^\]]+)\]")
_NO_INTERFACE = re.compile(r"global|unicast_master_table|nmea|.*\s.*")


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """What a program was started with."""

    flags: frozenset[str] = frozenset()
    """Short options without a value, such as `-S`."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Short options with their values, each as often as it was given."""
    names: Mapping[str, str] = field(default_factory=dict)
    """linuxptp's own options: of the command line, else of the file's section `global`."""
    sections: tuple[str, ...] = ()
    """Interfaces that the file names."""
    is_known: bool = True
    """False: something could not be read, so that it may do anything."""

    def value(self, name: str) -> str | None:
        """Of an option of linuxptp's; None: its default."""
        return self.names.get(name)

    def values(self, short: str) -> tuple[str, ...]:
        """Of a short option, all of them."""
        return tuple(value for option, value in self.arguments if option == short)


def read_options(program: str, arguments: Sequence[str], read_file: Callable[[str], str | None]) -> ProgramOptions:
    """Reads a command line, and the file that it names.

    Args:
        program: Its name.
        arguments: Without the program itself.
        read_file: Gives a file as that process sees it; None: it cannot be read.
    """
    short = _SHORT.get(program)
    if short is None:
        return ProgramOptions()
    plain, long = _split(arguments) if program in _LINUXPTP else (list(arguments), {})
    try:
        found, _ = getopt.gnu_getopt(plain, short)
    except getopt.GetoptError:
        return ProgramOptions(is_known=False)
    flags = frozenset(option for option, value in found if not value)
    given = tuple((option, value) for option, value in found if value)
    if program not in _LINUXPTP:
        return ProgramOptions(flags, given)
    names: dict[str, str] = {}
    sections: list[str] = []
    for path in [value for option, value in given if option == "-f"]:
        text = read_file(path)
        if text is None:
            return ProgramOptions(flags, given, is_known=False)
        _read_into(text, names, sections)
    return ProgramOptions(flags, given, names | long, tuple(sections))


def _split(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Takes `--name value` and `--name=value` out."""
    plain: list[str] = []
    long: dict[str, str] = {}
    rest = iter(arguments)
    for each in rest:
        if each.startswith("--") and len(each) > 2:
            name, has_value, value = each[2:].partition("=")
            long[name] = value if has_value else next(rest, "")
        else:
            plain.append(each)
    return plain, long


def _read_into(text: str, names: dict[str, str], sections: list[str]) -> None:
    in_global = False
    for line in map(str.strip, text.splitlines()):
        section = _SECTION.match(line)
        if section:
            in_global = section["name"] == "global"
            if not _NO_INTERFACE.fullmatch(section["name"]):
                sections.append(section["name"])
        elif in_global and line and not line.startswith("#"):
            name, *value = line.split(None, 1)
            names[name] = "".join(value)
