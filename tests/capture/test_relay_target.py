"""Destinations and routes of a relay as words: what is read, what is refused, and what goes where."""

from __future__ import annotations

import pytest

from nanotape.capture.counters import Flow
from nanotape.capture.errors import RelayRefused
from nanotape.capture.relay_target import Route, Routes, Target


def flow(channel: str, line: str, number: int = 1) -> Flow:
    return Flow(number, "feed", channel, line, "", "", "eth1", "239.1.1.1", None, 15000, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("239.1.1.1:5000@eth1", Target("239.1.1.1", 5000, "eth1")),
        ("10.0.0.9:5000", Target("10.0.0.9", 5000)),
        ("10.0.0.9:65535@bond0.7", Target("10.0.0.9", 65535, "bond0.7")),
        ("[FF05::0:1]:5000@eth1", Target("ff05::1", 5000, "eth1")),
        ("[2001:db8::1]:5000", Target("2001:db8::1", 5000)),
    ],
)
def test_a_destination_is_read_and_written_alike(text: str, expected: Target) -> None:
    target = Target.parse(text)
    assert target == expected
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("239.1.1.1:5000", "expected the interface that it goes out of: 239.1.1.1:5000@eth1"),
        ("[ff05::1]:5000", "expected the interface"),
        ("[fe80::1]:5000", "expected the interface"),
        ("239.1.1.1@eth1", "expected ADDRESS:PORT@INTERFACE"),
        ("ff05::1:5000@eth1", "expected ADDRESS:PORT@INTERFACE"),
        ("eth1:5000", "expected ADDRESS:PORT@INTERFACE"),
        ("300.1.1.1:5000@eth1", "expected ADDRESS:PORT@INTERFACE"),
        ("10.0.0.9:0", "expected a UDP port from 1 to 65535, found 0"),
        ("10.0.0.9:65536", "expected a UDP port from 1 to 65535, found 65536"),
        ("0.0.0.0:5000", "expected a host's address or a group"),
        ("255.255.255.255:5000", "expected a host's address or a group"),
        ("[::ffff:239.1.1.1]:5000@eth1", "found an IPv4 one in it; write 239.1.1.1"),
        ("", "expected ADDRESS:PORT@INTERFACE"),
    ],
)
def test_what_is_no_destination_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(RelayRefused) as refusal:
        Target.parse(text)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_channels_and_lines_go_to_every_destination_and_maps_to_their_own() -> None:
    to = ["10.0.0.1:1", "10.0.0.2:2"]
    routes = Routes.of(["itch", "opra"], ["A"], to, ["itch/B=10.0.0.3:3", "bats=10.0.0.1:1"])
    assert [str(target) for target in routes.targets] == ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]
    assert routes.targets_of(flow("itch", "A")) == {0, 1}
    assert routes.targets_of(flow("itch", "B")) == {2}
    assert routes.targets_of(flow("opra", "B")) == set()
    assert routes.targets_of(flow("bats", "B")) == {0}


def test_without_channel_all_goes_there() -> None:
    routes = Routes.of([], [], ["10.0.0.1:1"], [])
    assert routes.targets_of(flow("itch", "A")) == {0}


def test_a_slash_in_a_channels_name_is_its_own_where_a_line_follows() -> None:
    assert Route.parse("a/b/A=10.0.0.1:1") == Route(Target("10.0.0.1", 1), "a/b", "A")


@pytest.mark.parametrize(
    ("channels", "to", "maps", "said"),
    [
        ([], [], [], "expected at least one destination"),
        (["itch"], [], ["opra=10.0.0.1:1"], "expected --to TARGET with them"),
        (["other"], ["10.0.0.1:1"], [], "channel other: is of no flow"),
        ([], [], ["10.0.0.1:1"], "expected CHANNEL=TARGET"),
        ([], [], ["=10.0.0.1:1"], "expected CHANNEL=TARGET"),
    ],
)
def test_routes_that_cannot_be_are_refused(channels: list[str], to: list[str], maps: list[str], said: str) -> None:
    with pytest.raises(RelayRefused, match=said):
        Routes.of(channels, [], to, maps)


def test_what_no_flow_has_is_named() -> None:
    routes = Routes.of([], [], [], ["itch/A=10.0.0.1:1", "itch/Z=10.0.0.1:1", "opra=10.0.0.1:1"])
    assert routes.unknown([flow("itch", "A")]) == ("channel itch line Z", "channel opra")
    assert Routes.of([], [], ["10.0.0.1:1"], []).unknown([]) == ("channel",)
