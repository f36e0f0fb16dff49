"""What the channels' rows say of a line follows from what its recorder told, and from when."""

from dataclasses import replace
from typing import Any

import pytest
from crafted_looks import NOW_NS, SECOND_NS
from pictures import picture, ring_picture

from nanotape.capture.counters import Flow
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine, RecordedTraffic
from nanotape.config import Settings, loads
from nanotape.tui.channel_columns import CHANNEL_COLUMNS, gaps_text, lead_text
from nanotape.tui.channel_rows import ChannelRows, channel_rows, fitting, notes, ordered
from nanotape.tui.picture import Picture, RingPicture

AT_NS = NOW_NS + SECOND_NS
CONFIG = """
[ring]
name = "main"
[source]
kind = "packet"
interface = "eth1"
[feeds]
stale_after = "60s"
[session.night]
open = "22:00"
close = "22:01"
[[channel]]
name = "itch"
feed = "nasdaq"
framing = "moldudp64"
[[channel.line]]
name = "A"
group = "239.1.1.1"
port = 1
[[channel.line]]
name = "B"
group = "239.1.1.2"
port = 1
[[channel]]
name = "closed"
feed = "nasdaq"
framing = "moldudp64"
session = "night"
[[channel.line]]
name = "A"
group = "239.1.1.3"
port = 1
"""


def flow(number: int, channel: str, line: str) -> Flow:
    return Flow(number, "nasdaq", channel, line, "moldudp64", "incremental", "eth1", f"239.1.1.{number}", None, 1, None)


def line(age_s: float = 0.5, **told: Any) -> RecordedLine:
    counts = {"last_seq": 7, "gaps": 4, "missing": 9, "duplicates": 1, "reordered": 2, "bad": 0}
    rates = {"packets_per_s": 100, "gaps_ours": 1, "gaps_theirs": 2, "first_share": 0.7, "lead_p50_ns": 1250}
    known = {"last_ts_ns": AT_NS - round(age_s * SECOND_NS), "session": "s", "key": None, **counts, **rates, **told}
    return RecordedLine(**known)


def ring(told: dict[tuple[str, str], RecordedLine] | None, *flows: Flow, ago_s: float = 0.0) -> RingPicture:
    made = ring_picture()
    facts = replace(made.look.facts, flows=flows)
    feeds = None
    if told is not None:
        feeds = RecordedFeeds(AT_NS - round(ago_s * SECOND_NS), told, (), RecordedTraffic(AT_NS - SECOND_NS))
    return replace(made, look=replace(made.look, facts=facts), feeds=feeds)


def moment(made: RingPicture, config: str = CONFIG, **changes: Any) -> Picture:
    return picture(made, settings=loads(config), **changes)


A, B = flow(1, "itch", "A"), flow(2, "itch", "B")


def test_a_row_says_what_the_recorder_told() -> None:
    [row, *_] = channel_rows(moment(ring({("itch", "A"): line()}, A)))
    assert (row.ring, row.channel, row.line, row.state) == ("main", "itch", "A", "arriving")
    assert (row.told.packets_per_s, row.told.last_seq, row.told.gaps, row.told.duplicates) == (100, 7, 4, 1)
    assert row.age_s == 0.5
    assert row.unexplained == 1
    assert gaps_text(row) == "1/2+1"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (line(), "arriving"),
        (line(age_s=30, packets_per_s=0), "arriving"),
        (line(age_s=61, packets_per_s=0), "stale"),
        (line(last_ts_ns=None, packets_per_s=0), "silent"),
    ],
)
def test_states_are_those_of_nanotape_channels(told: RecordedLine, state: str) -> None:
    rows = channel_rows(moment(ring({("itch", "A"): told}, A)))
    assert rows[0].state == state


def test_what_is_configured_and_not_in_the_ring_is_not_captured_and_what_need_not_come_is_closed() -> None:
    told = {("closed", "A"): line(age_s=4000, packets_per_s=0)}
    rows = {row.key: row for row in channel_rows(moment(ring(told, flow(3, "closed", "A"))))}
    assert rows["main", "closed", "A"].state == "closed"
    assert rows["main", "itch", "B"].state == "not captured"
    assert rows["main", "itch", "B"].told.gaps is None


def test_without_a_recorder_nothing_is_known_and_it_says_so() -> None:
    made = moment(ring(None, A, B))
    rows = channel_rows(made)
    assert {row.state for row in rows if row.channel == "itch"} == {None}
    assert {gaps_text(row) for row in rows} == {"-"}
    assert notes(made) == ["main: no recorder tells of its lines: neither rates nor gaps are known"]


def test_a_recorder_that_tells_no_more_has_no_rates_and_ages_grow() -> None:
    made = moment(ring({("itch", "A"): line(age_s=40)}, A, ago_s=30))
    row = channel_rows(made)[0]
    assert (row.state, row.told.packets_per_s, row.told.first_share, row.told.gaps) == (None, None, None, 4)
    assert row.age_s == 40
    assert notes(made) == ["main: its recorder told of its lines last 30 s ago"]


def test_an_age_is_as_of_the_telling_so_that_it_does_not_saw() -> None:
    made = ring({("itch", "A"): line(age_s=1.2)}, A, ago_s=1.0)
    assert channel_rows(moment(made))[0].age_s == pytest.approx(0.2)


def test_a_ring_that_cannot_be_read_has_its_configured_lines_and_the_reason() -> None:
    refused = UnreadableRing("main", "/dev/shm/main.ring", "main: permission denied")
    made = picture(rings=(), unreadable=(refused,), settings=loads(CONFIG))
    assert {row.state for row in channel_rows(made)} == {"not captured"}
    assert notes(made) == ["main: main: permission denied"]


def test_where_nothing_is_new_the_rows_are_the_same_object() -> None:
    source, made = ChannelRows(), moment(ring({("itch", "A"): line()}, A))
    rows = source.of(made)
    assert source.of(replace(made, at_ns=made.at_ns + 10**8)) is rows
    later = replace(made, rings=(replace(made.rings[0], feeds=replace(made.rings[0].feeds, at_ns=AT_NS + 1)),))  # type: ignore[type-var]
    assert source.of(later) is not rows
    assert source.of(replace(later, settings=Settings())) is not rows


def test_rows_are_found_by_words_and_sorted_with_the_unknown_last() -> None:
    told = {("itch", "A"): line(packets_per_s=5), ("itch", "B"): line(packets_per_s=50)}
    rows = channel_rows(moment(ring(told, A, B)))
    assert [row.line for row in fitting(rows, "ITCH/b arriving")] == ["B"]
    assert [row.channel for row in fitting(rows, "239.1.1.3:1")] == ["closed"]
    assert [row.key for row in fitting(rows, "not captured")] == [("main", "closed", "A")]
    assert fitting(rows, "") == list(rows)
    by_rate = next(each for each in CHANNEL_COLUMNS if each.title == "PKT/S")
    for is_reverse, expected in ((True, [50, 5, None]), (False, [5, 50, None])):
        assert [row.told.packets_per_s for row in ordered(rows, by_rate.key, is_reverse=is_reverse)] == expected


def test_each_column_sorts_and_writes_rows_of_which_nothing_is_known() -> None:
    rows = channel_rows(moment(ring({("itch", "A"): line()}, A, B)))
    for column in CHANNEL_COLUMNS:
        assert len(ordered(rows, column.key, is_reverse=True)) == len(rows), column.title
        for row in rows:
            assert column.write(row), column.title


@pytest.mark.parametrize(
    ("length_ns", "text"),
    [
        (None, "-"),
        (0, "0ns"),
        (850, "850ns"),
        (1250, "1.25us"),
        (12_340, "12.3us"),
        (999_400, "999us"),
        (15e8, "1.50s"),
    ],
)
def test_a_lead_takes_six_characters_at_most(length_ns: float | None, text: str) -> None:
    assert lead_text(length_ns) == text
    assert len(text) <= 6
