"""Sessions are compared with the clocks of their zones, minute by minute where these jump."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.config import ConfigError, loads
from nanotape.config.session import DAYS, Session

NEW_YORK = {"zone": "America/New_York", "open": "09:30", "close": "16:00"}


def at(text: str, zone: str = "America/New_York") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-27T09:29:59", False),
        ("2026-11-27T09:30:00", True),
        ("2026-11-27T15:59:59", True),
        ("2026-11-27T16:00:00", False),
        ("2026-11-28T12:00:00", False),  # a Saturday
        ("2026-11-26T12:00:00", False),  # a holiday
        ("2026-03-09T09:30:00", True),  # the Monday after the clocks went forward
    ],
)
def test_a_day_session_is_open_from_its_opening_to_its_close(moment: str, is_open: bool) -> None:
    session = Session.model_validate({**NEW_YORK, "holidays": ["2026-11-26"]})
    assert session.is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-22T17:59:59", False),  # Sunday
        ("2026-11-22T18:00:00", True),
        ("2026-11-23T16:59:59", True),
        ("2026-11-23T17:00:00", False),
        ("2026-11-23T18:00:00", True),
        ("2026-11-25T17:30:00", False),
        ("2026-11-26T01:00:00", True),  # opened on the day before the holiday
        ("2026-11-26T18:30:00", False),  # it does not open on the holiday
        ("2026-11-27T16:00:00", False),
    ],
)
def test_a_session_over_midnight_belongs_to_the_day_that_it_opens_on(moment: str, is_open: bool) -> None:
    session = Session.model_validate(
        {
            "zone": "America/Chicago",
            "open": "18:00",
            "close": "17:00",
            "days": ["sun", "mon", "tue", "wed", "thu"],
            "holidays": [date(2026, 11, 26)],
        }
    )
    assert session.is_open(at(moment, "America/Chicago")) is is_open


@given(
    st.sampled_from(["UTC", "America/New_York", "Europe/London", "Australia/Sydney", "Asia/Tokyo"]),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),
)
def test_it_is_open_where_the_wall_clock_of_its_zone_says_so(
    zone: str, opens: int, closes: int, days: set[str], moment: datetime
) -> None:
    """Away from the hours in which clocks jump the wall clock tells all."""
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    local = moment.astimezone(ZoneInfo(zone))
    if any((local + timedelta(hours=hours)).utcoffset() != local.utcoffset() for hours in (-30, 30)):
        return
    text = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in (opens, closes)]
    session = Session.model_validate({"zone": zone, "open": text[0], "close": text[1], "days": sorted(days)})
    now = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()] in days, DAYS[local.weekday() - 1] in days
    if closes > opens:
        expected = today and opens <= now < closes
    else:
        expected = (today and now >= opens) or (yesterday and now < closes)
    assert session.is_open(int(moment.timestamp()) * 10**9) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('open = "25:00"', 'x.toml:2: session.us.open: expected a time, "HH:MM" or "HH:MM:SS", found "25:00"; '),
        ('days = ["mo"]', "x.toml:2: session.us.days: expected an array of days, each once, of mon, tue, "),
        ("days = []", "x.toml:2: session.us.days: expected an array of days"),
        ('holidays = ["2026-02-30"]', 'x.toml:2: session.us.holidays: expected an array of dates, "YYYY-MM-DD", '),
        ('zone = "America/NewYork"', "x.toml:2: session.us.zone: expected the IANA name of a time zone"),
        ('opens = "09:30"', "x.toml:2: session.us.opens: expected a key of [session.us], found an unknown key; did "),
    ],
)
def test_what_is_wrong_in_a_session_is_one_line(line: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(f"[session.us]\n{line}\n", "x.toml")
    (told,) = caught.value.lines
    assert told.startswith(expected)


def test_a_channel_names_a_session_that_is_there() -> None:
    text = '[source]\ninterface="e"\n[session.us]\n[[channel]]\nname="c"\nfeed="f"\nsession="uss"\n'
    text += 'line=[{group="239.0.0.1",port=1}]'
    with pytest.raises(ConfigError) as caught:
        loads(text, "x.toml")
    assert caught.value.lines == (
        'x.toml:7: channel[0].session: expected a session that is known, found "uss"; did you mean "us"?',
    )
