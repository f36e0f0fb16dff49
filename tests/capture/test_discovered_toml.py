"""What was found, as configuration: it loads, it names what can be named, and it says the rest."""

from __future__ import annotations

import json
import re
from typing import Literal

import pytest
from found import flow, found
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.discovered import DiscoveredFlow
from nanotape.capture.discovered_toml import Naming, as_toml, caveats, check_feed
from nanotape.capture.errors import DiscoverError
from nanotape.capture.framing_guess import FramingGuess
from nanotape.config import Flow, flows, loads
from nanotape.config.checks import FLOWS_MAXIMUM


def configured(*seen: DiscoveredFlow, naming: Naming | None = None) -> list[Flow]:
    return flows(loads(as_toml(found(*seen), naming or Naming())))


def test_each_vlan_group_and_port_becomes_a_line_of_a_channel_of_its_own() -> None:
    seen = [
        flow(),
        flow(port=15001),
        flow(group="233.252.0.2"),
        flow(vlan=100),
        flow(group="ff3e::8000:1", source="2001:db8::1"),
    ]
    made = configured(*seen, naming=Naming(feed="venue-x"))
    assert {(line.vlan, line.group, line.port) for line in made} == {(f.vlan, f.group, f.port) for f in seen}
    assert {line.interface for line in made} == {"eth1"}
    assert {line.feed for line in made} == {"venue-x"}
    assert {line.source for line in made} == {None}
    assert sorted(line.channel for line in made) == [
        "233.252.0.1-15000",
        "233.252.0.1-15001",
        "233.252.0.2-15000",
        "ff3e--8000-1-15000",
        "vlan100-233.252.0.1-15000",
    ]


def test_it_loads_over_a_source_section_too() -> None:
    text = '[source]\ninterface = "eth1"\njoin = "none"\n' + as_toml(found(flow(), flow(port=1)), Naming())
    assert [line.port for line in flows(loads(text))] == [1, 15000]


def test_several_senders_are_one_line_that_names_them_in_a_comment() -> None:
    seen = [flow(source=f"198.51.100.{number}") for number in range(1, 12)]
    text = as_toml(found(*seen), Naming(source_specific=True))
    assert [line.source for line in flows(loads(text))] == [None]
    assert "# from 11 senders: 198.51.100.1, 198.51.100.2, " in text
    assert " and 3 more" in text


def test_the_source_is_configured_only_where_asked_for_and_alone() -> None:
    asked = Naming(source_specific=True)
    assert [line.source for line in configured(flow(), naming=asked)] == ["198.51.100.1"]
    assert [line.source for line in configured(flow())] == [None]
    assert "# from 198.51.100.1" in as_toml(found(flow()), Naming())
    for nobody in ("0.0.0.0", "233.252.0.9", "255.255.255.255"):
        assert [line.source for line in configured(flow(source=nobody), naming=asked)] == [None]


def test_two_groups_that_look_like_a_and_b_stay_two_channels() -> None:
    made = configured(flow(group="233.252.0.1"), flow(group="233.252.1.1"))
    assert len({line.channel for line in made}) == 2
    assert {line.line for line in made} == {"A"}


def test_an_inner_vlan_is_said_and_makes_no_second_line() -> None:
    text = as_toml(found(flow(vlan=5, inner_vlan=7), flow(vlan=5, inner_vlan=6)), Naming())
    assert [line.vlan for line in flows(loads(text))] == [5]
    assert "# inner VLAN 6, 7" in text


@pytest.mark.parametrize(
    ("odd", "reason"),
    [({"group": "192.0.2.1"}, "unicast"), ({"port": 0}, "port 0"), ({"vlan": 4095}, "VLAN is 1 to 4094")],
)
def test_what_no_line_can_name_is_left_out_and_told(odd: dict[str, object], reason: str) -> None:
    text = as_toml(found(flow(**odd), flow(port=9)), Naming())
    assert [line.port for line in flows(loads(text))] == [9]
    left_out = [line for line in text.splitlines() if line.startswith("# left out: ")]
    assert len(left_out) == 1
    assert reason in left_out[0]


def test_more_lines_than_a_configuration_takes_are_cut_to_the_busiest() -> None:
    seen = [flow(port=1 + number, packets=1 + number % 3) for number in range(FLOWS_MAXIMUM + 20)]
    text = as_toml(found(*seen), Naming())
    assert len(flows(loads(text))) == FLOWS_MAXIMUM
    left_out = [line for line in text.splitlines() if line.startswith("# left out: ")]
    assert len(left_out) == 20
    assert all(" 1 packets " in line for line in left_out)
    assert "a configuration takes 8,191: the busiest" in text


def test_the_comments_give_rate_size_and_first_bytes() -> None:
    text = as_toml(found(flow(mean_pps=1234.5, smallest=60)), Naming())
    assert "# 1,234 packets a second, frames of 60 to 242 bytes" in text
    assert "# begins 4e54303030303030303100 NT00000001." in text


def guessed(*framings: str, sure: Literal["certain", "likely"] = "certain", packets: int = 8) -> FramingGuess:
    return FramingGuess(framings, sure, 50, packets)


def test_a_guessed_framing_is_configured_and_said_to_be_guessed() -> None:
    text = as_toml(found(flow(framing=guessed("moldudp64"))), Naming())
    assert 'framing = "moldudp64" # guessed from 8 packets: certain\n' in text
    assert [line.framing for line in flows(loads(text))] == ["moldudp64"]


def test_framings_that_are_not_told_apart_are_both_named_and_none_is_configured() -> None:
    text = as_toml(found(flow(framing=guessed("cboe-pitch", "mitch", sure="likely"))), Naming())
    assert '# framing = "cboe-pitch" or "mitch": guessed from 8 packets, which do not tell them apart' in text
    assert [line.framing for line in flows(loads(text))] == ["none"]


def test_senders_that_differ_leave_a_line_without_a_framing() -> None:
    agreed = [flow(source=f"198.51.100.{n}", framing=guessed("opra", packets=n)) for n in (1, 3)]
    assert 'framing = "opra" # guessed from 4 packets' in as_toml(found(*agreed), Naming())
    for other in (guessed("cta"), None):
        text = as_toml(found(agreed[0], flow(source="198.51.100.9", framing=other)), Naming())
        assert "framing" not in text


def test_without_a_join_it_says_what_a_tap_needs() -> None:
    assert '# join = "none"' in as_toml(found(flow()), Naming())
    joined = as_toml(found(flow()), Naming(joined=("233.252.0.1", "198.51.100.1@233.252.0.2")))
    assert "# Joined meanwhile: 233.252.0.1, 198.51.100.1@233.252.0.2." in joined
    assert '# join = "none"' not in joined


def test_what_may_be_missing_is_said() -> None:
    assert caveats(found(flow())) == []
    doubtful = found(flow(), dropped=1234, not_kept=5, unparsed=6, fragments=7, xdp_program=True)
    said = caveats(doubtful)
    assert len(said) == 5
    assert said[0].startswith("1,234 packets were dropped")
    assert "does not say" in caveats(found(flow(), dropped=None))[0]
    for line in said:
        assert f"# {line}" in as_toml(doubtful, Naming())


@pytest.mark.parametrize("feed", ["", "a b", "a/b", ".hidden", "x" * 48, "caf\udce9"])
def test_a_feed_that_no_configuration_takes_is_refused(feed: str) -> None:
    with pytest.raises(DiscoverError, match="--feed: "):
        check_feed(feed)


def test_a_feed_that_a_configuration_takes_is_fine() -> None:
    check_feed("nasdaq-itch")


V4 = st.one_of(st.ip_addresses(v=4), st.ip_addresses(network="224.0.0.0/4")).map(str)
V6 = st.one_of(st.ip_addresses(v=6), st.ip_addresses(network="ff00::/8")).map(str)


def flows_of(addresses: st.SearchStrategy[str]) -> st.SearchStrategy[DiscoveredFlow]:
    return st.builds(
        flow,
        source=addresses,
        group=addresses,
        port=st.integers(0, 65535),
        vlan=st.none() | st.integers(1, 4095),
        inner_vlan=st.none() | st.integers(1, 4095),
        first_bytes=st.binary(max_size=32).map(bytes.hex),
    )


@given(st.lists(flows_of(V4) | flows_of(V6), max_size=30), st.booleans())
def test_whatever_was_found_loads_and_is_named_once_and_safely(seen: list[DiscoveredFlow], specific: bool) -> None:
    text = as_toml(found(*seen), Naming(source_specific=specific))
    made = flows(loads(text))
    left_out = sum(line.startswith("# left out: ") for line in text.splitlines())
    assert len(made) + left_out == len({(f.vlan, f.group, f.port) for f in seen})
    names = [line.channel for line in made]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in names)


def test_json_holds_everything() -> None:
    document = json.loads(json.dumps(found(flow(vlan=3), dropped=None).as_json()))
    assert document["interface"] == "eth1"
    assert document["dropped"] is None
    assert document["flows"][0]["vlan"] == 3
