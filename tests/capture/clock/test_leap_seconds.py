"""TAI minus UTC at a moment, of the real file of this host and of crafted ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nanotape.capture.clock.leap_seconds import LEAP_SECONDS, parse_leap_seconds, read_leap_seconds
from nanotape.capture.errors import LeapSecondsUnusable

TEXT = (
    "#$ 3676924800\n#@ 3896899200\n#\n3550089600 35 # 1 Jul 2012\n3644697600 36\n3692217600      37      # 1 Jan 2017\n"
)
needs_file = pytest.mark.skipif(not LEAP_SECONDS.exists(), reason=f"needs {LEAP_SECONDS} (tzdata)")


def ns(text: str) -> int:
    """UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "offset"),
    [("2016-12-31T23:59:59", 36), ("2017-01-01T00:00:00", 37), ("2012-07-01", 35), ("2012-06-30", None)],
)
def test_the_difference_is_that_of_the_moment(moment: str, offset: int | None) -> None:
    assert parse_leap_seconds(TEXT).tai_minus_utc_s(ns(moment)) == offset


def test_a_leap_second_changes_the_difference_in_the_very_nanosecond() -> None:
    found = parse_leap_seconds(TEXT)
    assert found.tai_minus_utc_s(ns("2017-01-01") - 1) == 36


def test_the_day_that_ends_with_a_leap_second_is_known() -> None:
    found = parse_leap_seconds(TEXT)
    assert found.leap(ns("2016-12-31T12:00:00")) == 1
    assert found.leap(ns("2016-12-30T12:00:00")) == found.leap(ns("2017-01-01")) == 0
    assert parse_leap_seconds("3550089600 35\n3644697600 34\n").leap(ns("2015-06-30T01:00:00")) == -1


def test_a_file_says_until_when_it_can_be_trusted_and_one_that_does_not_is_not_trusted() -> None:
    found = parse_leap_seconds(TEXT)
    assert not found.is_expired(ns("2023-06-27T23:59:59"))
    assert found.is_expired(ns("2023-06-28"))
    assert parse_leap_seconds("3550089600 35\n").is_expired(ns("2012-07-01"))


@needs_file
def test_the_file_of_this_host_is_read() -> None:
    found = read_leap_seconds()
    assert (found.tai_minus_utc_s(ns("1972-01-01")), found.tai_minus_utc_s(ns("1999-01-01"))) == (10, 32)
    assert (found.tai_minus_utc_s(ns("2020-01-01")), found.tai_minus_utc_s(0)) == (37, None)
    assert found.expires_ns is not None


@pytest.mark.parametrize("text", ["", "# nothing\n", "hello\n", "3644697600 36\n3550089600 35\n", "#@\n1 2\n", "5 x\n"])
def test_a_file_that_is_none_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "leap"
    path.write_text(text)
    with pytest.raises(LeapSecondsUnusable, match="leap: a list of leap seconds expected, found: "):
        read_leap_seconds(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LeapSecondsUnusable, match="No such file or directory; install tzdata"):
        read_leap_seconds(tmp_path / "leap")
