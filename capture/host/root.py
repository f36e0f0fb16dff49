"""The host's files below one folder, which is `/` or a recorded tree: read whole, as text, and never written.

What cannot be read raises Unreadable, so that nobody takes an absent file for a good value.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NO_CPU = "none"
_WORD_BITS = 32


class Unreadable(Exception):
    """Raised when a fact cannot be read; its text is the reason, for the operator."""


@dataclass(frozen=True, slots=True)
class HostRoot:
    """A tree with `proc`, `sys`, `etc` and `boot` in it."""

    path: Path = Path("/")

    def text(self, name: str) -> str:
        """A file's text, without white space at its ends.

        Raises:
            Unreadable: It is not there, or may not be read.
        """
        return self.octets(name).decode("utf-8", "replace").strip()

    def octets(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            Unreadable: It is not there, or may not be read.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise Unreadable(f"/{name}: {error.strerror}") from None

    def octets_at(self, name: str, offset: int, count: int) -> bytes:
        """So many bytes of a file at an offset, as a device is read where each offset is a register.

        Raises:
            Unreadable: It is not there, may not be read, or has no such register.
        """
        try:
            file = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = os.pread(file, count, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise Unreadable(f"/{name}: {error.strerror}") from None
        if len(found) < count:
            raise Unreadable(f"/{name}: expected {count} bytes at {offset:#x}, found {len(found)}")
        return found

    def number(self, name: str) -> int:
        """A file that holds one decimal number.

        Raises:
            Unreadable: It cannot be read, or holds something else.
        """
        text = self.text(name)
        try:
            return int(text)
        except ValueError:
            raise Unreadable(f"/{name}: expected a number, found {text[:40]!r}") from None

    def optional(self, name: str) -> str | None:
        """A file's text; None: it cannot be read."""
        try:
            return self.text(name)
        except Unreadable:
            return None

    def lines(self, name: str) -> list[str]:
        """A file's lines.

        Raises:
            Unreadable: It is not there, or may not be read.
        """
        return self.text(name).splitlines()

    def exists(self, name: str) -> bool:
        """Whether a file or folder is there."""
        return os.path.exists(self.path / name)  # False, too, where we may not look

    def real_name(self, name: str) -> str:
        """What a file or folder is called where it truly lies, behind all links."""
        return (self.path / name).resolve().name

    def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted.

        Raises:
            Unreadable: It is not there, or may not be listed.
        """
        try:
            return sorted(os.listdir(self.path / folder))
        except OSError as error:
            raise Unreadable(f"/{folder}: {error.strerror}") from None

    def cpus(self, name: str) -> frozenset[int]:
        """A file that holds a list of CPUs, as in `0-3,8`.

        Raises:
            Unreadable: It cannot be read, or holds something else.
        """
        return cpu_list(self.text(name), name)

    def mask(self, name: str) -> frozenset[int]:
        """A file that holds CPUs as hexadecimal words of 32 bits, as in `ffffffff,0000000f`.

        Raises:
            Unreadable: It cannot be read, or holds something else.
        """
        text = self.text(name)
        try:
            bits = int("".join(word.rjust(_WORD_BITS // 4, "0") for word in text.split(",")), 16)
        except ValueError:
            raise Unreadable(f"/{name}: expected a mask of CPUs, found {text[:40]!r}") from None
        return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)

    def chosen(self, name: str) -> str:
        """The word in brackets of a file such as `always [madvise] never`; the whole text where there is none.

        Raises:
            Unreadable: It cannot be read.
        """
        text = self.text(name)
        return text.partition("[")[2].partition("]")[0] or text

    def command_line(self) -> dict[str, str]:
        """The kernel's parameters; the last of a name counts, and one without a value has "".

        Raises:
            Unreadable: It cannot be read.
        """
        words = (word.partition("=") for word in self.text("proc/cmdline").split())
        return {name: value for name, _, value in words}


def cpu_list(text: str, name: str = "list of CPUs") -> frozenset[int]:
    """CPUs of a list such as `0-3,8`; "" and `(null)`: none. Words before them, such as `domain`, are passed over.

    Raises:
        Unreadable: It is no such list.
    """
    try:
        return frozenset(cpu for part in text.strip().split(",") for cpu in _span(part.strip()))
    except ValueError:
        raise Unreadable(f"/{name}: expected a list of CPUs, found {text[:40]!r}") from None


def _span(part: str) -> Iterable[int]:
    if part in ("", "(null)") or part.replace("_", "").isalpha():
        return ()
    span, _, groups = part.partition(":")  # 0-31:2/4 are the first two of each four
    first, dash, last = span.partition("-")
    cpus = range(int(first), int(last if dash else first) + 1)
    if not groups:
        return cpus
    used, _, size = groups.partition("/")
    return (cpu for cpu in cpus if (cpu - cpus.start) % int(size) < int(used))


def cpu_text(cpus: Iterable[int]) -> str:
    """CPUs as the kernel lists them; none: `none`."""
    return ",".join(_spans(sorted(cpus))) or NO_CPU


def _spans(cpus: list[int]) -> Iterator[str]:
    while cpus:
        length = next((index for index, cpu in enumerate(cpus) if cpu != cpus[0] + index), len(cpus))
        yield str(cpus[0]) if length == 1 else f"{cpus[0]}-{cpus[length - 1]}"
        cpus = cpus[length:]


def cpu_mask(cpus: Iterable[int]) -> str:
    """CPUs as a hexadecimal mask in words of 32 bits."""
    digits = f"{sum(1 << cpu for cpu in set(cpus)):x}"
    padded = digits.rjust(-(-len(digits) // 8) * 8, "0")
    words = [padded[at : at + 8] for at in range(0, len(padded), 8)]
    return ",".join([words[0].lstrip("0") or "0", *words[1:]])
