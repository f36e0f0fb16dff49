"""A service's links: told once, joins reported again, and everything opened anew where the interface is another one."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from nanotape.capture.errors import HostError
from nanotape.capture.link_state import LinkState
from nanotape.capture.link_watch import LinkWatch
from nanotape.capture.membership_reports import query, report_again
from nanotape.capture.service_links import INTERVAL_S, ServiceLinks, links_of
from nanotape.config import Settings

UP = LinkState(index=7, is_up=True, carrier_changes=2, operstate="up")
DOWN = LinkState(index=7, is_up=False, carrier_changes=3, operstate="down")
GONE, OTHER = LinkState(0), dataclasses.replace(UP, index=8)


class Host:
    """An interface whose state a test sets, and a clock that goes on with each look."""

    def __init__(self, joins: bool = True) -> None:
        self.state, self.now_s = UP, 0.0
        self.said: list[str] = []
        self.reported: list[str] = []
        watch = LinkWatch(["eth1"], lambda: int(self.now_s * 1e9), lambda _: self.state)
        report = self.reported.append if joins else None
        self.links = ServiceLinks(watch, self.said.append, report, lambda: self.now_s)

    def look(self, state: LinkState, later_s: float = INTERVAL_S) -> None:
        self.state = state
        self.now_s += later_s
        self.links.look()


def test_a_flap_is_told_and_joins_are_reported_when_it_is_over() -> None:
    host = Host()
    host.look(DOWN)
    assert host.links.lines == ("eth1: link down: no carrier (down)",)
    assert host.reported == []
    host.look(dataclasses.replace(UP, carrier_changes=4))
    assert host.said == ["eth1: link down: no carrier (down)", "eth1: link was down: no carrier (down)"]
    assert (host.reported, host.links.lines, host.links.must_renew) == (["eth1"], (), False)


def test_where_nothing_is_joined_nothing_is_reported() -> None:
    host = Host(joins=False)
    host.look(dataclasses.replace(UP, carrier_changes=4))
    assert host.said == ["eth1: link was down: no carrier"]


def test_nothing_is_looked_at_before_it_is_time() -> None:
    host = Host()
    host.look(UP)
    assert host.links.wait_s == INTERVAL_S
    host.look(DOWN, later_s=0.01)
    assert host.said == []
    host.look(DOWN)
    assert len(host.said) == 1


def test_another_interface_of_the_name_has_all_opened_anew_until_that_succeeds() -> None:
    host = Host()
    host.look(GONE)
    assert not host.links.must_renew
    host.look(dataclasses.replace(OTHER, is_up=False))
    assert not host.links.must_renew
    host.look(OTHER)
    assert host.links.must_renew
    assert host.reported == []
    host.links.failed()
    assert not host.links.must_renew
    host.look(OTHER, later_s=1.0)
    assert host.links.must_renew
    host.links.failed()
    host.look(OTHER, later_s=1.0)
    assert not host.links.must_renew
    host.look(OTHER, later_s=1.0)
    assert host.links.must_renew
    host.links.renewed()
    assert not host.links.must_renew


def test_a_program_that_was_detached_has_all_opened_anew_but_not_while_another_one_sits_there() -> None:
    ours, others, none = (dataclasses.replace(UP, xdp_id=each) for each in (5, 6, 0))
    now_s, states = [0.0], {"eth1": ours}
    watch = LinkWatch(states, lambda: int(now_s[0] * 1e9), states.__getitem__, opened=0)
    links = ServiceLinks(watch, lambda _: None, None, lambda: now_s[0], has_programs=True)
    for state, must in ((ours, False), (others, False), (others, False), (none, True), (others, False), (none, True)):
        states["eth1"] = state
        now_s[0] += INTERVAL_S
        links.look()
        assert links.must_renew is must
    links.renewed()
    states["eth1"] = dataclasses.replace(UP, xdp_id=9)
    now_s[0] += INTERVAL_S
    links.look()
    assert (links.must_renew, links.lines) == (False, ())


def test_another_name_is_noted_and_no_reason_to_open_anything_anew() -> None:
    now_s, states = [0.0], {"eth1": UP}
    watch = LinkWatch(["eth1"], read=lambda name: states.get(name, GONE), name_of=lambda _: next(iter(states)))
    links = ServiceLinks(watch, lambda _: None, None, lambda: now_s[0])
    states.clear()
    states["eth9"] = UP
    now_s[0] += INTERVAL_S
    links.look()
    assert (len(links.notes), links.lines, links.must_renew) == (1, (), False)


def test_nothing_is_opened_anew_while_the_link_is_down_again() -> None:
    host = Host()
    host.look(OTHER)
    host.look(dataclasses.replace(DOWN, index=8))
    assert not host.links.must_renew
    host.look(OTHER)
    assert host.links.must_renew


def test_another_link_without_carrier_does_not_keep_a_new_interface_from_being_opened() -> None:
    other_down = dataclasses.replace(DOWN, index=8)
    states, now_s = {"eth1": UP, "eth2": UP}, [0.0]
    watch = LinkWatch(states, lambda: int(now_s[0] * 1e9), states.__getitem__)
    links = ServiceLinks(watch, lambda _: None, None, lambda: now_s[0])
    for state, other, must in ((GONE, DOWN, False), (OTHER, GONE, False), (OTHER, other_down, True)):
        states.update(eth1=state, eth2=other)
        now_s[0] += INTERVAL_S
        links.look()
        assert links.must_renew is must


def test_a_service_that_may_not_ask_says_what_that_means(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    refusal = HostError("eth1: joins cannot be reported again now")

    def refuse(_: str) -> None:
        raise refusal

    monkeypatch.setattr(host.links, "_report", refuse)
    host.look(dataclasses.replace(UP, carrier_changes=4))
    assert host.said[-1] == str(refusal)


def test_the_query_is_a_general_one_of_version_3_with_a_right_checksum() -> None:
    asked = query()
    assert asked[:2] + asked[4:] == bytes.fromhex("1101 00000000 02000000")
    total = sum(struct.unpack(">6H", asked))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(HostError, match="nt-no-such: joins cannot be reported again now: "):
        report_again("nt-no-such")


@pytest.mark.parametrize(("kind", "has"), [("afxdp", True), ("packet", True), ("socket", True), ("synthetic", False)])
def test_sources_that_no_wire_feeds_have_no_links(kind: str, has: bool) -> None:
    settings = Settings.model_validate({"source": {"kind": kind, "interface": "lo"}})
    assert (links_of(settings, lambda _: None) is not None) is has
