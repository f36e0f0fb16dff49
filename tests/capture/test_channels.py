"""What a line is called, and what is to be looked at: on facts made up, without a wire."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nanotape.capture.channel_causes import Surroundings, look_at
from nanotape.capture.channel_watch import Watched
from nanotape.capture.channels import Hours, State, channels, judge, quiet
from nanotape.capture.counters import SourceStats
from nanotape.capture.joins import Joins, read_joins
from nanotape.capture.looks import Clocks
from nanotape.capture.recorded_feeds import read_feeds
from nanotape.config import Flow, Settings, flows, loads

NOW_NS = 1_790_000_000_000_000_000
S = 10**9

LINE = """
[[channel]]
name = "itch"
feed = "simulated"
framing = "moldudp64"
[[channel.line]]
name = "A"
interface = "lo"
group = "233.252.0.1"
port = 31001
"""


@dataclass(frozen=True)
class Open:
    """Hours from one moment to another."""

    start_ns: int
    end_ns: int

    def is_open(self, utc_ns: int) -> bool:
        return self.start_ns <= utc_ns < self.end_ns


ALWAYS = Open(0, 2**63)
LONG_AGO = Open(0, NOW_NS - 3600 * S)
JUST_NOW = Open(NOW_NS - 5 * S, 2**63)


@pytest.mark.parametrize(
    ("packets", "last_ns", "stale_after_ns", "hours", "state"),
    [
        (None, None, 30 * S, None, "not captured"),
        (None, NOW_NS, 30 * S, LONG_AGO, "not captured"),
        (1, NOW_NS, 30 * S, None, "arriving"),
        (1, NOW_NS, 30 * S, LONG_AGO, "arriving"),
        (0, NOW_NS - 29 * S, 30 * S, None, "arriving"),
        (0, NOW_NS - 31 * S, 30 * S, None, "stale"),
        (0, NOW_NS - 31 * S, None, None, "quiet"),
        (0, None, None, ALWAYS, "quiet"),
        (0, None, None, LONG_AGO, "closed"),
        (0, None, 30 * S, None, "silent"),
        (0, None, 30 * S, ALWAYS, "silent"),
        (0, None, 30 * S, LONG_AGO, "closed"),
        (0, NOW_NS - 31 * S, 30 * S, LONG_AGO, "closed"),
        (0, NOW_NS - 3600 * S, 30 * S, JUST_NOW, "closed"),
        (0, None, 30 * S, JUST_NOW, "closed"),
        (0, NOW_NS - 31 * S, 30 * S, ALWAYS, "stale"),
    ],
)
def test_a_line_is_judged_by_what_came_when_and_by_its_hours(
    packets: int | None, last_ns: int | None, stale_after_ns: int | None, hours: Open | None, state: State
) -> None:
    assert judge(packets, last_ns, NOW_NS, stale_after_ns, hours) == state


def joined(*groups: str) -> Joins:
    return Joins(frozenset(("lo", ipaddress.ip_address(group)) for group in groups), {})


def surroundings(text: str = LINE, **changes: object) -> tuple[Flow, Surroundings]:
    settings = loads('[source]\nkind = "packet"\n' + text)
    ordinary = Surroundings(settings, Watched(), joined("233.252.0.1"))
    return flows(settings)[0], replace(ordinary, **changes)  # type: ignore[arg-type]


def test_where_all_is_well_on_this_host_the_network_is_to_be_looked_at() -> None:
    said = look_at(*surroundings())
    assert len(said) == 1
    assert "233.252.0.1 is joined and nothing to 233.252.0.1:31001 arrives: look at the switch" in said[0]
    assert "nanotape discover lo --group 233.252.0.1" in said[0]


def test_a_group_that_is_not_joined_is_told_and_an_unreadable_list_too() -> None:
    assert look_at(*surroundings(joins=joined("233.252.0.2"))) == [
        "233.252.0.1 is not joined on lo: start the capture anew, and see what it says"
    ]
    assert "cannot be read" in look_at(*surroundings(joins=None))[0]


def test_an_interface_that_is_gone_is_told_and_its_joins_are_not_asked_for() -> None:
    said = look_at(*surroundings(LINE.replace('"lo"', '"absent0"')))
    assert said == ["absent0: no such interface in this network namespace; ask where the capture runs"]


def test_packets_of_another_sender_or_vlan_are_told() -> None:
    others = {("233.252.0.1", 31001): {(None, "10.0.0.9")}}
    text = LINE + 'source = "10.0.0.1"\n'
    assert "233.252.0.1:31001 comes from 10.0.0.9, configured is source 10.0.0.1" in look_at(
        *surroundings(text, watched=Watched(others=others))
    )
    tagged = {("233.252.0.1", 31001): {(100, "10.0.0.1")}}
    assert look_at(*surroundings(watched=Watched(others=tagged))) == [
        "233.252.0.1:31001 comes on VLAN 100, configured is untagged"
    ]


@dataclass(frozen=True)
class Source:
    """What is looked at of a source's counters."""

    stats: SourceStats
    slot: int = 0
    interface: str = "lo"


def test_what_the_counters_say_of_steering_is_told() -> None:
    nothing = SourceStats(*[None] * len(SourceStats.__slots__))
    before = Source(replace(nothing, xdp_passed_no_socket=5, rx_dropped=1))
    after = Source(replace(nothing, xdp_passed_no_socket=12, rx_dropped=1))
    said = look_at(*surroundings(watched=Watched(before=(before,), after=(after,))))  # type: ignore[arg-type]
    assert len(said) == 1
    assert said[0].startswith("7 packets of configured flows came to queues of lo without a socket: steering")


def test_without_joins_a_nic_that_is_not_promiscuous_is_told() -> None:
    settings = loads('[source]\nkind = "packet"\njoin = "none"\n' + LINE)
    around = Surroundings(settings, Watched(), None)
    assert "without promiscuous" in look_at(flows(settings)[0], around)[0]


IGMP = """Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
7\tverylongname123:     2      V3
\t\t\t\t0200FCE9     1 0:00000000\t\t0
\t\t\t\t0100FCE9     1 0:00000000\t\t0
"""
MCFILTER = """Idx Device        MCA        SRC    INC    EXC
  7 verylongname123 0xe9fc0002 0xc6336407      1      0
"""
IGMP6 = "7    eth1            ff3e0000000000000000000080000077     1 0000000C 0\n"


def test_the_kernels_lists_are_read(tmp_path: Path) -> None:
    (tmp_path / "igmp").write_text(IGMP)
    (tmp_path / "mcfilter").write_text(MCFILTER)
    assert read_joins(tmp_path) is not None
    (tmp_path / "igmp6").write_text(IGMP6)
    joins = read_joins(tmp_path)
    assert joins is not None
    assert joins.has("verylongname123", "233.252.0.1", None)
    assert joins.has("verylongname123", "233.252.0.1", "10.0.0.1")
    assert joins.has("verylongname123", "233.252.0.2", "198.51.100.7")
    assert not joins.has("verylongname123", "233.252.0.2", "198.51.100.8")
    assert not joins.has("lo", "233.252.0.1", None)
    assert joins.has("eth1", "ff3e::8000:77", None)
    assert read_joins(tmp_path / "absent") is None


def told(folder: Path, text: str) -> None:
    path = folder / "ring1" / "readers" / "recorder.feeds.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_a_recorder_tells_is_read_and_what_cannot_be_is_none(tmp_path: Path) -> None:
    assert read_feeds(tmp_path, "ring1", "recorder") is None
    line = {"feed": "f", "channel": "itch", "line": "A", "last_ts_ns": 5, "last_seq": 7, "gaps": 1, "missing": 9}
    told(tmp_path, json.dumps({"at_ns": NOW_NS, "lines": [line]}))
    feeds = read_feeds(tmp_path, "ring1", "recorder")
    assert feeds is not None
    mine = feeds.lines["itch", "A"]
    assert (mine.last_ts_ns, mine.last_seq, mine.gaps, mine.missing, mine.session) == (5, 7, 1, 9, None)
    assert feeds.is_fresh(NOW_NS + 5 * S)
    assert not feeds.is_fresh(NOW_NS + 11 * S)
    for text in ("", "{", "[]", "{}", '{"at_ns": 1}', '{"at_ns": 1, "lines": [{}]}', '{"at_ns": 1, "lines": [5]}'):
        told(tmp_path, text)
        assert read_feeds(tmp_path, "ring1", "recorder") is None, text


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_ns, lambda: self.now_ns, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


def settings_at(folder: Path, text: str = LINE) -> Settings:
    paths = f'[paths]\nshm_dir = "{folder}"\nrun_dir = "{folder}/run"\narchive = "{folder}/archive"\n'
    return loads(paths + '[source]\nkind = "packet"\n' + text)


def test_without_a_ring_every_line_is_not_captured_and_the_reason_is_said(tmp_path: Path) -> None:
    found = channels(settings_at(tmp_path), None, 1.0, Time().clocks())
    (line,) = found.lines
    assert (line.state, line.packets, line.rate_pps, line.last_seq) == ("not captured", None, None, None)
    assert line.look_at == found.notes
    assert "nanotape" in line.look_at[0]
    assert not found.is_fine


SESSIONS = """
[feeds]
stale_after = "60s"
[session.night]
open = "22:00"
close = "02:00"
""" + LINE.replace('framing = "moldudp64"', 'session = "night"\nstale_after = "5s"')


def test_stale_after_and_session_of_a_channel_count(tmp_path: Path) -> None:
    def expected(text: str) -> tuple[int | None, Hours | None]:
        settings = settings_at(tmp_path, text)
        return quiet(settings, settings.channel[0])

    after_ns, hours = expected(SESSIONS)
    assert after_ns == 5 * S
    assert hours is not None
    assert [hours.is_open(NOW_NS // (86400 * S) * 86400 * S + hour * 3600 * S) for hour in (25, 12, 23)] == [
        True,
        False,
        True,
    ]
    assert expected(SESSIONS.replace('stale_after = "5s"', ""))[0] == 60 * S
    assert expected(SESSIONS.replace('"5s"', '"0s"'))[0] is None
    assert expected(LINE) == (30 * S, None)


def test_nothing_configured_is_not_fine(tmp_path: Path) -> None:
    found = channels(settings_at(tmp_path, ""), None, 1.0, Time().clocks())
    assert found.lines == ()
    assert not found.is_fine
