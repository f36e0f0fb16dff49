"""Trading sessions: when packets are to be expected of a channel, by the clocks of its exchange."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from nanotape.config.channel import Section
from nanotape.config.moments import TIME_OF_DAY_PATTERN, TimeZone
from nanotape.config.rules import JsonSchema, Rule, refused

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAYS_MAXIMUM = 1000


@dataclass(frozen=True, slots=True)
class TimeOfDay(Rule):
    """HH:MM or HH:MM:SS."""

    def parse(self, value: object) -> str:
        """Returns the text as it is."""
        if not isinstance(value, str) or not re.fullmatch(TIME_OF_DAY_PATTERN, value):
            raise refused('a time, "HH:MM" or "HH:MM:SS"', 'write for example "09:30"')
        return value

    def schema(self) -> JsonSchema:
        """Text of one pattern."""
        return {"type": "string", "pattern": f"^{TIME_OF_DAY_PATTERN}$"}


@dataclass(frozen=True, slots=True)
class Weekdays(Rule):
    """An array of days, `mon` to `sun`."""

    def parse(self, value: object) -> tuple[str, ...]:
        """Returns the days as they were written."""
        days = list(value) if isinstance(value, list | tuple) else []
        if not days or any(each not in DAYS for each in days) or len(set(days)) < len(days):
            raise refused(f"an array of days, each once, of {', '.join(DAYS)}", 'write for example ["mon", "fri"]')
        return tuple(days)

    def plain(self, value: tuple[str, ...]) -> list[str]:
        """An array."""
        return list(value)

    def schema(self) -> JsonSchema:
        """An array of a few words."""
        return {"type": "array", "items": {"type": "string", "enum": list(DAYS)}, "minItems": 1, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class Dates(Rule):
    """An array of dates, YYYY-MM-DD."""

    def parse(self, value: object) -> tuple[str, ...]:
        """Returns the dates as they were written; TOML's own dates will do too."""
        expected = f'an array of dates, "YYYY-MM-DD", {HOLIDAYS_MAXIMUM} at most'
        if not isinstance(value, list | tuple) or len(value) > HOLIDAYS_MAXIMUM:
            raise refused(expected, 'write for example ["2026-12-25"]')
        return tuple(_date(each, expected) for each in value)

    def plain(self, value: tuple[str, ...]) -> list[str]:
        """An array of text."""
        return list(value)

    def schema(self) -> JsonSchema:
        """An array of text."""
        return {"type": "array", "items": {"type": "string", "format": "date"}, "maxItems": HOLIDAYS_MAXIMUM}


def _date(value: object, expected: str) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise refused(f"{expected}; one is {str(value)[:20]!r}", 'write for example ["2026-12-25"]') from None


class Session(Section):
    """When a channel trades; outside of it silence is no alarm."""

    zone: Annotated[str, TimeZone()] = "UTC"
    """IANA name of the time zone of `open` and `close`, such as `America/New_York`."""
    open: Annotated[str, TimeOfDay()] = "00:00"
    """Time of day at which packets are to be expected."""
    close: Annotated[str, TimeOfDay()] = "00:00"
    """Time of day at which they end; not later than `open`: on the next day."""
    days: Annotated[tuple[str, ...], Weekdays()] = ("mon", "tue", "wed", "thu", "fri")
    """Days on which it opens."""
    holidays: Annotated[tuple[str, ...], Dates()] = ()
    """Dates on which it does not open."""

    def is_open(self, utc_ns: int) -> bool:
        """Whether packets are to be expected at a moment, UTC: from `open`, included, to `close`, excluded."""
        zone: tzinfo = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        now = datetime.fromtimestamp(utc_ns // 10**9, UTC)
        today = now.astimezone(zone).date()
        opened = [today - timedelta(days=back) for back in (0, 1)]
        return any(self._opens_on(day) and self._contains(day, zone, now) for day in opened)

    def _opens_on(self, day: date) -> bool:
        return DAYS[day.weekday()] in self.days and day.isoformat() not in self.holidays

    def _contains(self, day: date, zone: tzinfo, now: datetime) -> bool:
        opens, closes = time.fromisoformat(self.open), time.fromisoformat(self.close)
        last = day if closes > opens else day + timedelta(days=1)
        begin, end = (datetime.combine(on, at, zone) for on, at in ((day, opens), (last, closes)))
        return begin.astimezone(UTC) <= now < end.astimezone(UTC)
