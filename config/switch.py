"""Which stamps of a switch are looked for in frames, and what is made of them: the part of `[source]` that says so."""

from dataclasses import dataclass
from typing import Literal

from nanotape.config import quantity
from nanotape.config.rules import JsonSchema, Rule, refused

SwitchForm = Literal[
    "off",
    "auto",
    "arista-7130",
    "cpacket",
    "exablaze-hpt",
    "exalink",
    "arista-7150",
    "arista-7280",
    "ixia",
]

KEYFRAME_FORMS = ("exalink", "arista-7150")
"""Their stamps are ticks of a counter, which mean nothing without keyframes; and those are not UDP."""

_TAI_MOST_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """How the stamps of one interface are read."""

    form: SwitchForm = "off"
    tai_ns: int = 0
    """Subtracted from what a stamp says, unless it says itself that it is UTC."""
    plausible_ns: int = 10**9
    """Farthest from the capture's own stamp; what is farther is null."""


@dataclass(frozen=True, slots=True)
class TaiOffset(Rule):
    """`off`, or what TAI is ahead of UTC; the value is in nanoseconds, 0 for `off`."""

    def parse(self, value: object) -> int:
        """Returns nanoseconds."""
        expected = '"off", or what TAI is ahead of UTC: "37s" since 2017'
        if value == "off":
            return 0
        try:
            ns = quantity.parse_duration(value) if isinstance(value, str) else 0
        except ValueError:
            ns = 0
        if not 0 < ns <= _TAI_MOST_NS:
            raise refused(expected)
        return ns

    def plain(self, value: int) -> str:
        """Text that reads as the same offset."""
        return quantity.duration_text(value) if value else "off"

    def schema(self) -> JsonSchema:
        """Text of one pattern."""
        return {"type": "string", "pattern": f"^(off|{quantity.DURATION_PATTERN})$"}
