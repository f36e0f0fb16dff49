"""Moments at which clocks on the wall show given times of day, in a time zone: where segments are to end.

Each time comes once a day: one that the clock jumps over is taken when it jumps, of one that it shows twice the first.
"""

import zoneinfo
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from nanotape.storage.errors import StorageError

_SECOND_NS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_AROUND = 2
"""A zone is up to a day from UTC, and has jumped by a whole day."""


class RotationTimes:
    """Times of day in a zone."""

    def __init__(self, times: Sequence[str], zone: str = "UTC") -> None:
        """Looks the zone up.

        Args:
            times: HH:MM or HH:MM:SS each.
            zone: An IANA name.

        Raises:
            StorageError: A time is none, or this host does not know the zone.
        """
        try:
            self._times = sorted(time.fromisoformat(each) for each in times)
        except ValueError:
            raise StorageError(f"rotate_at: times HH:MM or HH:MM:SS expected, found {', '.join(times)}") from None
        self._zone: tzinfo = UTC if zone == "UTC" else _zone(zone)

    def next_after(self, utc_ns: int) -> int | None:
        """The first of the moments after another.

        Args:
            utc_ns: Nanoseconds since 1970, UTC.

        Returns:
            Likewise; None without any times.
        """
        today = (_EPOCH + timedelta(seconds=utc_ns // _SECOND_NS)).astimezone(self._zone).date()
        days = (today + timedelta(days=distance) for distance in range(-_DAYS_AROUND, _DAYS_AROUND + 1))
        moments = (_SECOND_NS * self._moment(day, each) for day in days for each in self._times)
        return min((moment for moment in moments if moment > utc_ns), default=None)

    def _moment(self, day: date, shown: time) -> int:
        """UTC seconds at which a day's clock shows a time, or jumps over it."""
        wall = datetime.combine(day, shown, self._zone)  # fold 0: of two the first
        moment = _seconds(wall)
        if self._shown_at(moment) == wall.replace(tzinfo=None):
            return moment
        before, after = sorted((moment, _seconds(wall.replace(fold=1))))
        offset = self._offset_at(before)
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset_at(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _at(self, seconds: int) -> datetime:
        return (_EPOCH + timedelta(seconds=seconds)).astimezone(self._zone)

    def _shown_at(self, seconds: int) -> datetime:
        return self._at(seconds).replace(tzinfo=None)

    def _offset_at(self, seconds: int) -> timedelta | None:
        return self._at(seconds).utcoffset()


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _zone(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise StorageError(
            f"rotate_zone: the name of a time zone that this host knows expected, found {name!r}; correct it, or "
            "install tzdata"
        ) from None
