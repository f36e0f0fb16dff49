"""What times of day and time zones may be. Which zones there are, this host's time zone database says."""

import re
import zoneinfo
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from nanotape.config.rules import JsonSchema, Rule, refused

TIME_OF_DAY_PATTERN = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
TIMES_MAXIMUM = 288


@dataclass(frozen=True, slots=True)
class TimesOfDay(Rule):
    """An array of times, HH:MM or HH:MM:SS."""

    def parse(self, value: object) -> tuple[str, ...]:
        """Returns the times as they were written."""
        expected = f'an array of times, "HH:MM" or "HH:MM:SS", {TIMES_MAXIMUM} at most'
        if not isinstance(value, list | tuple) or len(value) > TIMES_MAXIMUM:
            raise refused(expected, 'write for example ["09:30", "16:00"]')
        for each in value:
            if not isinstance(each, str) or not re.fullmatch(TIME_OF_DAY_PATTERN, each):
                shown = f'"{each[:20]}"' if isinstance(each, str) and each.isprintable() else "something else"
                raise refused(f"{expected}; one is {shown}", 'write for example ["09:30", "16:00"]')
        seconds = [f"{each}:00"[:8] for each in value]
        if len(set(seconds)) < len(seconds):
            twice = next(each for each in seconds if seconds.count(each) > 1)
            raise refused(f"{expected}, each once; {twice} is there again", "remove one of the two")
        return tuple(value)

    def plain(self, value: tuple[str, ...]) -> list[str]:
        """An array."""
        return list(value)

    def schema(self) -> JsonSchema:
        """An array of text of one pattern."""
        times = {"type": "string", "pattern": f"^{TIME_OF_DAY_PATTERN}$"}
        return {"type": "array", "items": times, "maxItems": TIMES_MAXIMUM, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class TimeZone(Rule):
    """The IANA name of a time zone; UTC needs no database."""

    def parse(self, value: object) -> str:
        """Returns the name as it is."""
        expected = 'the IANA name of a time zone, such as "America/New_York"'
        if value == "UTC":
            return "UTC"
        if isinstance(value, str) and _is_known(value):
            return value
        if isinstance(value, str) and not (known := zoneinfo.available_timezones()):
            raise refused(f"{expected}, of this host's time zone database, which is missing", "install tzdata")
        context = {"expected": expected, "advice": "", "choices": sorted(known) if isinstance(value, str) else ()}
        raise PydanticCustomError("refused", "expected {expected}", context)

    def schema(self) -> JsonSchema:
        """Text; which names there are is no matter of the schema."""
        return {"type": "string", "minLength": 1}


def _is_known(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # none of that name; a path; a folder of zones
        return False
    return True
