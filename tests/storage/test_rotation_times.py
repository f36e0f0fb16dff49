"""When the next segment begins by the clock on the wall, on all days of the year."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanotape.storage.errors import StorageError
from nanotape.storage.rotation_times import RotationTimes

NEW_YORK = "America/New_York"
SECOND_NS = 10**9


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * SECOND_NS


def shown(utc_ns: int | None, zone: str = "UTC") -> str:
    assert utc_ns is not None
    assert utc_ns % SECOND_NS == 0
    return datetime.fromtimestamp(utc_ns // SECOND_NS, ZoneInfo(zone)).isoformat()


def following(times: RotationTimes, begin_ns: int, count: int) -> list[str]:
    """The next moments, in UTC."""
    found = []
    for _ in range(count):
        moment = times.next_after(begin_ns)
        found.append(shown(moment).removesuffix(":00+00:00"))
        assert moment is not None
        begin_ns = moment
    return found


def test_a_session_ends_its_segments_at_its_own_clock_summer_and_winter() -> None:
    times = RotationTimes(["16:00", "09:30"], NEW_YORK)
    assert following(times, ns("2026-07-01T00:00Z"), 3) == ["2026-07-01T13:30", "2026-07-01T20:00", "2026-07-02T13:30"]
    assert following(times, ns("2026-12-01T00:00Z"), 3) == ["2026-12-01T14:30", "2026-12-01T21:00", "2026-12-02T14:30"]


def test_a_moment_is_not_after_itself() -> None:
    times = RotationTimes(["09:30"])
    moment = ns("2026-07-01T09:30Z")
    assert times.next_after(moment - 1) == moment
    assert times.next_after(moment) == moment + 86400 * SECOND_NS


def test_seconds_may_be_given() -> None:
    assert shown(RotationTimes(["09:30:15"]).next_after(ns("2026-07-01T09:30Z"))) == "2026-07-01T09:30:15+00:00"


def test_a_time_that_the_clock_jumps_over_is_taken_when_it_jumps() -> None:
    """On 8 March 2026 New York's clocks go from 02:00 to 03:00, at 07:00 UTC."""
    times = RotationTimes(["02:30"], NEW_YORK)
    assert following(times, ns("2026-03-07T00:00Z"), 3) == ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"]
    edges = RotationTimes(["02:00", "03:00"], NEW_YORK)
    assert following(edges, ns("2026-03-08T00:00Z"), 2) == ["2026-03-08T07:00", "2026-03-09T06:00"]


def test_a_time_that_the_clock_shows_twice_is_taken_once() -> None:
    """On 1 November 2026 New York's clocks go from 02:00 back to 01:00, at 06:00 UTC."""
    times = RotationTimes(["01:30"], NEW_YORK)
    assert following(times, ns("2026-10-31T00:00Z"), 3) == ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"]


def test_a_day_that_a_country_left_out_ends_a_segment_when_it_does() -> None:
    """Samoa had no 30 December 2011; from UTC-10 it went to UTC+14 at 10:00 UTC."""
    times = RotationTimes(["12:00"], "Pacific/Apia")
    assert following(times, ns("2011-12-29T00:00Z"), 3) == ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"]


def test_without_times_there_is_no_moment() -> None:
    assert RotationTimes([]).next_after(0) is None


@pytest.mark.parametrize("times", [["9"], ["25:00"], ["09:30", "x"]])
def test_a_time_that_is_none_is_refused(times: list[str]) -> None:
    with pytest.raises(StorageError, match="rotate_at: times HH:MM or HH:MM:SS expected"):
        RotationTimes(times)


@pytest.mark.parametrize("zone", ["", "America", "/etc", "Mars/Olympus"])
def test_a_zone_that_this_host_does_not_know_is_refused(zone: str) -> None:
    with pytest.raises(StorageError, match="rotate_zone: the name of a time zone"):
        RotationTimes(["09:30"], zone)


ZONES = [NEW_YORK, "UTC", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2_500_000_000).map(lambda seconds: seconds * SECOND_NS),
    st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}"),
    st.sampled_from(ZONES),
)
@example(0, "00:00", "Pacific/Apia")
def test_a_moment_shows_the_time_or_is_a_jump_over_it(begin_ns: int, time: str, zone: str) -> None:
    moment = RotationTimes([time], zone).next_after(begin_ns)
    assert moment is not None
    assert 0 < moment - begin_ns <= 50 * 3600 * SECOND_NS
    at = datetime.fromtimestamp(moment // SECOND_NS, ZoneInfo(zone))
    if f"{at:%H:%M:%S}" != f"{time}:00":
        before = datetime.fromtimestamp(moment // SECOND_NS - 1, ZoneInfo(zone))
        wall, was = at.replace(tzinfo=None), before.replace(tzinfo=None)
        skipped = {was.date() + timedelta(days=day) for day in range((wall.date() - was.date()).days + 1)}
        assert any(was < datetime.combine(day, datetime.strptime(time, "%H:%M").time()) < wall for day in skipped)
