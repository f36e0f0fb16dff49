"""Moments as people and programs write them, in nanoseconds since 1970, UTC: never rounded, never guessed."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nanotape.storage.errors import QueryError

Instant = int | str | datetime | date
"""Nanoseconds; text such as `2026-11-20`, `2026-11-20 09:30:00.123456789`, `2026-11-20T14:30:00Z`; Python's own."""

_TEXT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"([T ](?P<hour>\d{2}):(?P<minute>\d{2})(:(?P<second>\d{2})(\.(?P<fraction>\d{1,9}))?)?)?"
    r" ?(?P<zone>Z|[+-]\d{2}(:?\d{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone(name: str | None) -> ZoneInfo | timezone:
    """A time zone by its IANA name; None: UTC.

    Raises:
        QueryError: There is none of this name.
    """
    if name is None or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise QueryError(
            f"time zone {name!r}: a name such as America/New_York expected, found none of this name"
        ) from None


def instant_ns(value: Instant, tz: str | None = None) -> int:
    """Nanoseconds since 1970, UTC.

    Args:
        value: See Instant. Python's datetime ends at microseconds.
        tz: Zone that a time without one is meant in; None: UTC.

    Raises:
        QueryError: It is no moment, or one that did not exist or existed twice in that zone.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | date):
        raise QueryError(f"{value!r}: nanoseconds, a text or a datetime expected")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return _of_text(value, tz)
    if not isinstance(value, datetime):
        return _of_local(datetime(value.year, value.month, value.day), tz, str(value))
    if value.tzinfo is None:
        return _of_local(value, tz, str(value))
    return _since_epoch(value)


def day_ns(text: str, tz: str | None = None) -> tuple[int, int]:
    """Begin and end, excluded, of a day YYYY-MM-DD in a zone; it may have 23 or 25 hours.

    Raises:
        QueryError: It is no day.
    """
    begin = instant_ns(text, tz)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise QueryError(f"day {text!r}: a day such as 2026-11-20 expected") from None
    return begin, instant_ns(day + timedelta(days=1), tz)


def _of_text(text: str, tz: str | None) -> int:
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise QueryError(
            f"{text!r}: a moment such as 2026-11-20, 2026-11-20 09:30 or 2026-11-20T14:30:00.000000001Z expected"
        )
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    try:
        day = date.fromisoformat(match["day"])
        moment = datetime(day.year, day.month, day.day, hour, minute, second)
    except ValueError as error:
        raise QueryError(f"{text!r}: a moment expected, found one that no calendar or clock has ({error})") from None
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    if match["zone"] is None:
        return _of_local(moment, tz, text) + fraction
    return _since_epoch(moment.replace(tzinfo=_offset(match["zone"]))) + fraction


def _offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-shift if text[0] == "-" else shift)


def _of_local(moment: datetime, tz: str | None, text: str) -> int:
    """A time of a wall clock, if that showed it once."""
    where = zone(tz)
    first, second = (_since_epoch(moment.replace(tzinfo=where, fold=fold)) for fold in (0, 1))
    if first != second:
        exists = datetime.fromtimestamp(first // 10**9, where).replace(tzinfo=None) == moment.replace(microsecond=0)
        found = "twice" if exists else "never"
        raise QueryError(
            f"{text}: a time that {tz} had once expected, found one that it had {found}; write it in UTC, with Z"
        )
    return first


def _since_epoch(moment: datetime) -> int:
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 10**9 + passed.microseconds * 1000
