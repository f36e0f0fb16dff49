"""The watch over links: each outage is told when it begins and when it is over, short ones by the carrier's changes."""

from __future__ import annotations

import pathlib
import socket
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from nanotape.capture.interface_facts import interface_facts
from nanotape.capture.link_outage import LinkOutage
from nanotape.capture.link_state import LinkState, name_of, read_link
from nanotape.capture.link_watch import LinkWatch
from nanotape.capture.ring_links import RingLinks

UP = LinkState(index=7, is_up=True, carrier_changes=2, operstate="up")
NO_CARRIER = LinkState(index=7, is_up=False, carrier_changes=3, operstate="lowerlayerdown")
SET_DOWN = LinkState(index=7, is_up=False, is_set_up=False, carrier_changes=3, operstate="down")
GONE = LinkState(0)


class Host:
    """Interfaces whose states a test sets, and a clock that goes on by a second with each look."""

    def __init__(self, state: LinkState = GONE, opened: object = None) -> None:
        self.states: dict[str, LinkState] = {"eth1": state}
        self.now_ns, self.opened = 0, opened
        self.watch = LinkWatch(["eth1"], lambda: self.now_ns, self.state, name_of=self.name_of, opened=opened)

    def state(self, name: str) -> LinkState:
        return self.states.get(name, GONE)

    def name_of(self, index: int) -> str:
        return next((name for name, state in self.states.items() if state.index == index), "")

    def look(self, state: LinkState, name: str = "eth1") -> list[LinkOutage]:
        self.now_ns += 10**9
        self.states = {name: state}
        return self.watch.look(self.opened)


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_link_that_stays_up_is_never_told_of(host: Host) -> None:
    assert [host.look(UP) for _ in range(3)] == [[], [], []]
    assert host.watch.down == ()


def test_an_outage_is_told_when_it_begins_and_when_it_is_over(host: Host) -> None:
    host.look(UP)
    (begun,) = host.look(NO_CARRIER)
    assert (begun.ts_start_ns, begun.ts_end_ns, begun.cause) == (1 * 10**9, None, "carrier")
    assert begun.detail == "eth1: link down: no carrier (lowerlayerdown)"
    assert host.watch.down == (begun,)
    assert host.look(NO_CARRIER) == []
    (over,) = host.look(replace(UP, carrier_changes=4))
    assert over == replace(begun, ts_end_ns=4 * 10**9)
    assert over.detail == "eth1: link was down: no carrier (lowerlayerdown)"
    assert host.watch.down == ()
    assert host.look(replace(UP, carrier_changes=4)) == []


def test_an_outage_between_two_looks_is_seen_by_the_carrier_changes(host: Host) -> None:
    host.look(UP)
    (flap,) = host.look(replace(UP, carrier_changes=8))
    assert (flap.ts_start_ns, flap.ts_end_ns, flap.cause, flap.outages) == (10**9, 2 * 10**9, "carrier", 3)
    assert flap.detail == "eth1: link was down, 3 times: no carrier"
    assert host.look(replace(UP, carrier_changes=8)) == []


def test_flaps_within_an_outage_are_counted(host: Host) -> None:
    host.look(UP)
    host.look(replace(NO_CARRIER, carrier_changes=5))
    host.look(replace(NO_CARRIER, carrier_changes=7))
    (over,) = host.look(replace(UP, carrier_changes=8))
    assert over.outages == 3


def test_a_link_that_was_set_down_is_said_to_be(host: Host) -> None:
    host.look(UP)
    (begun,) = host.look(SET_DOWN)
    assert begun.cause == "down"
    assert not begun.needs_new_sockets


def test_a_link_that_is_down_at_the_first_look_is_told_from_then_on(host: Host) -> None:
    (begun,) = host.look(NO_CARRIER)
    assert (begun.ts_start_ns, begun.is_over) == (10**9, False)


def test_an_interface_that_goes_away_and_comes_again_is_another_one(host: Host) -> None:
    host.look(UP)
    (gone,) = host.look(GONE)
    assert (gone.cause, gone.needs_new_sockets) == ("gone", True)
    other = LinkState(index=9, is_up=False, is_set_up=False)
    (replaced,) = host.look(other)
    assert (replaced.cause, replaced.ts_start_ns, replaced.is_over) == ("replaced", gone.ts_start_ns, False)
    (over,) = host.look(replace(other, is_up=True, is_set_up=True))
    assert (over.cause, over.ts_end_ns, over.outages) == ("replaced", 4 * 10**9, None)


def test_an_interface_that_was_replaced_between_two_looks_is_told(host: Host) -> None:
    host.look(UP)
    (replaced,) = host.look(replace(UP, index=9))
    assert (replaced.cause, replaced.ts_start_ns, replaced.ts_end_ns) == ("replaced", 10**9, 2 * 10**9)
    assert host.look(replace(UP, index=9)) == []


def test_what_befalls_a_link_before_the_first_look_is_seen() -> None:
    states = {"eth1": UP, "eth2": UP, "eth3": NO_CARRIER}
    now_ns = 5
    watch = LinkWatch(["eth1", "eth2", "eth3"], lambda: now_ns, lambda name: states.get(name, GONE))
    states |= {"eth1": replace(UP, carrier_changes=4), "eth2": GONE}
    now_ns = 9
    flapped, gone, down = watch.look()
    assert (flapped.interface, flapped.ts_start_ns, flapped.ts_end_ns) == ("eth1", 5, 9)
    assert (gone.cause, gone.ts_start_ns) == ("gone", 5)
    assert (down.interface, down.ts_start_ns, down.is_over) == ("eth3", 9, False)


def test_an_interface_that_was_never_seen_is_never_told_of(host: Host) -> None:
    assert [host.look(GONE), host.look(GONE)] == [[], []]
    assert host.look(UP) == []


def test_unknown_carrier_changes_are_no_outage(host: Host) -> None:
    host.look(replace(UP, carrier_changes=None))
    assert host.look(replace(UP, carrier_changes=None)) == []


def sysfs(folder: pathlib.Path, **files: str) -> pathlib.Path:
    (folder / "lo").mkdir()
    for name, text in files.items():
        (folder / "lo" / name).write_text(f"{text}\n", encoding="ascii")
    return folder


def test_the_state_is_read_from_sysfs(tmp_path: pathlib.Path) -> None:
    index = str(socket.if_nametoindex("lo"))
    folder = sysfs(tmp_path, ifindex=index, carrier="0", carrier_changes="5", operstate="down", flags="0x1003")
    assert replace(read_link("lo", folder), xdp_id=None, addresses=None) == LinkState(
        int(index), False, True, 5, "down"
    )


def test_a_sysfs_of_another_namespace_is_not_believed(tmp_path: pathlib.Path) -> None:
    folder = sysfs(tmp_path, ifindex="4711", carrier="0", carrier_changes="5", operstate="down", flags="0x1002")
    index = socket.if_nametoindex("lo")
    assert replace(read_link("lo", folder), xdp_id=None, addresses=None) == LinkState(index, True)


def test_this_host_has_a_loopback_that_is_up_and_no_interface_of_a_made_up_name() -> None:
    assert read_link("lo").is_up
    assert read_link("nt-no-such-if") == GONE


def test_the_kernel_tells_name_program_and_addresses_of_a_number() -> None:
    facts = interface_facts(socket.if_nametoindex("lo"))
    assert facts is not None
    assert (facts.name, facts.xdp_id) == ("lo", 0)
    assert "127.0.0.1/8" in facts.addresses
    assert interface_facts(2**31 - 1) is None
    assert (name_of(socket.if_nametoindex("lo")), name_of(2**31 - 1)) == ("lo", "")


def test_an_interface_of_another_name_is_followed_and_told_until_it_has_its_own_again(host: Host) -> None:
    host.look(UP)
    (begun,) = host.look(UP, "eth9")
    assert (begun.cause, begun.severity, begun.needs_new_sockets) == ("renamed", "warning", False)
    assert (host.watch.renamed, host.watch.down) == ((begun,), ())
    assert host.look(UP, "eth9") == []
    (down,) = host.look(NO_CARRIER, "eth9")
    assert down.detail == "eth1: link down: no carrier (lowerlayerdown)"
    (up,) = host.look(replace(UP, carrier_changes=4), "eth9")
    assert up.is_over
    (other,) = host.look(replace(UP, carrier_changes=4), "eth5")
    assert other.detail.startswith("eth1: is called eth5 now")
    (over,) = host.look(replace(UP, carrier_changes=4))
    assert (over.is_over, over.severity, over.ts_start_ns) == (True, "info", begun.ts_start_ns)
    assert (host.watch.renamed, host.watch.down) == ((), ())


def test_another_interface_under_the_name_of_one_that_was_renamed_is_another_one(host: Host) -> None:
    host.look(UP)
    host.look(UP, "eth9")
    host.states = {"eth9": UP, "eth1": replace(UP, index=11)}
    found = host.watch.look()
    assert [each.cause for each in found] == ["replaced", "renamed"]
    assert found[0].needs_new_sockets
    assert host.watch.renamed == ()


def test_other_addresses_are_told_but_not_those_of_another_interface() -> None:
    with_address = replace(UP, addresses=("10.0.0.1/24",))
    host = Host(with_address)
    (change,) = host.look(replace(UP, addresses=()))
    assert change.detail == "eth1: its addresses have changed: 10.0.0.1/24 -> none"
    assert (change.severity, change.is_over, change.keeps_out) == ("info", True, False)
    assert host.look(replace(UP, addresses=None)) == []
    assert [each.cause for each in host.look(replace(with_address, index=9))] == ["replaced"]


OURS, OTHERS, NO_PROGRAM = (replace(UP, xdp_id=each) for each in (5, 6, 0))


def test_a_program_that_is_detached_needs_new_sockets_and_the_next_opening_ends_it() -> None:
    host = Host(OURS, opened=1)
    assert host.look(OURS) == []
    assert host.look(NO_PROGRAM) == [], "all may just be opened anew"
    (begun,) = host.look(NO_PROGRAM)
    assert (begun.cause, begun.needs_new_sockets, begun.ts_start_ns) == ("xdp", True, 10**9)
    assert host.watch.down == (begun,)
    host.opened = 2
    (over,) = host.look(replace(UP, xdp_id=7))
    assert (over.is_over, over.ts_start_ns) == (True, 10**9)
    assert host.look(replace(UP, xdp_id=7)) == []


def test_a_program_of_others_is_not_ours_to_replace_until_it_is_gone() -> None:
    host = Host(OURS, opened=1)
    host.look(OTHERS)
    (begun,) = host.look(OTHERS)
    assert not begun.needs_new_sockets
    assert "another XDP program (id 6) is attached" in begun.detail
    (gone,) = host.look(NO_PROGRAM)
    assert gone.needs_new_sockets


def test_a_program_that_was_away_between_two_looks_is_told_by_the_new_opening() -> None:
    host = Host(OURS, opened="one holder")
    host.opened = "another"
    (over,) = host.look(replace(UP, xdp_id=7))
    assert (over.cause, over.is_over, over.severity) == ("xdp", True, "warning")


def test_while_nobody_captures_no_program_is_missed() -> None:
    host = Host(OURS, opened=1)
    host.opened = None
    assert [host.look(NO_PROGRAM) for _ in range(3)] == [[], [], []]
    host.opened = 2
    assert [host.look(replace(UP, xdp_id=7)) for _ in range(3)] == [[], [], []]


def test_a_new_interface_has_a_program_when_it_is_opened_and_not_before() -> None:
    host = Host(OURS, opened=1)
    other = replace(UP, index=9, xdp_id=0)
    assert [each.cause for each in host.look(other)] == ["replaced"]
    assert [host.look(other), host.look(replace(other, xdp_id=8))] == [[], []]
    host.opened = 2
    assert host.look(replace(other, xdp_id=8)) == []


def test_a_program_that_was_handed_over_is_no_outage_and_the_next_one_is() -> None:
    host = Host(OURS, opened="a holder")
    heirs = replace(UP, xdp_id=7)
    host.watch.handed_over()
    assert [host.look(heirs) for _ in range(3)] == [[], [], []]
    assert [len(host.look(OTHERS)) for _ in range(3)] == [0, 1, 0]


def test_a_hand_over_that_was_not_hides_no_program_that_is_gone() -> None:
    host = Host(OURS, opened="a holder")
    host.watch.handed_over()
    assert [len(host.look(NO_PROGRAM)) for _ in range(3)] == [0, 1, 0]


@dataclass
class HeldRing:
    """A ring whose capture borrows of a holder."""

    epoch: int = 1
    holder_id: int = 5
    writer_alive: bool = True

    def epoch_entry(self, _epoch: int) -> HeldRing:
        return self

    def sources(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(kind="afxdp")]


def test_a_reader_takes_the_program_of_an_heir_for_the_right_one_and_no_other() -> None:
    host, ring = Host(OURS), HeldRing()
    links = RingLinks(host.watch, ring)  # type: ignore[arg-type]
    ring.epoch = 2  # the heir's capture: it has its holder's number
    host.states = {"eth1": replace(UP, xdp_id=7)}
    assert [links.look() for _ in range(3)] == [[], [], []]
    host.states = {"eth1": OTHERS}
    assert [len(links.look()) for _ in range(3)] == [0, 1, 0]
