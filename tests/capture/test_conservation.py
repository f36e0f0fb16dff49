"""The books of each kind of source: what balances, and that each count of an equation is in it."""

from __future__ import annotations

import pytest

from nanotape.capture.conservation import source_books
from nanotape.capture.counters import LoopCounters, SourceCounters, SourceStats

STATS = {
    "afxdp": {
        "xdp_seen": 1000,
        "xdp_passed_unmatched": 100,
        "xdp_passed_no_socket": 50,
        "xdp_redirected": 850,
        "rx_dropped": 20,
        "rx_ring_full": 30,
        "rx_occupancy": 10,
        "lost_with_holder": 5,
    },
    "packet": {"offered": 1000, "socket_drops": 40, "rx_occupancy": 10, "lost_with_holder": 5},
    "pcap": {"offered": 1000, "lost_with_holder": 0},
    "synthetic": {"offered": 1000, "lost_with_holder": 0},
    "socket": {"socket_drops": 12, "lost_with_holder": 0},
}
"""Upstream of the loop; what is not named, this kind does not have."""

LOOP = {
    "afxdp": {"packets": 782, "oversize": 3, "unselected": 0},
    "packet": {"packets": 700, "oversize": 3, "unselected": 242},
    "pcap": {"packets": 700, "oversize": 3, "unselected": 297},
    "synthetic": {"packets": 997, "oversize": 3, "unselected": 0},
    "socket": {"packets": 988, "oversize": 0, "unselected": 0},
}


def source(kind: str, **changes: int) -> SourceCounters:
    """Counters that balance, but for these."""
    stats = dict.fromkeys(SourceStats.__slots__) | STATS[kind]
    loop = dict.fromkeys(LoopCounters.__slots__, 0) | LOOP[kind]
    for name, by in changes.items():
        counts = stats if name in STATS[kind] else loop
        counts[name] += by
    return SourceCounters(
        slot=0,
        name=f"{kind}:eth1:0",
        interface="eth1",
        kind=kind,
        queue=0,
        zero_copy=False,
        skb_mode=False,
        loop=LoopCounters(**loop),
        stats=SourceStats(**stats),
    )


@pytest.mark.parametrize("kind", STATS)
def test_the_books_of_a_source_balance_when_each_packet_is_accounted_for(kind: str) -> None:
    books = source_books(source(kind))
    assert books.unexplained == 0
    assert books.in_ring == LOOP[kind]["packets"]
    assert books.unselected == LOOP[kind]["unselected"]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in STATS if kind != "socket" for name in (*STATS[kind], *LOOP[kind])]
)
def test_one_packet_more_at_any_stage_is_seen(kind: str, name: str) -> None:
    assert source_books(source(kind, **{name: 1})).unexplained > 0


def test_a_socket_knows_of_nothing_that_was_sent() -> None:
    books = source_books(source("socket", packets=1, socket_drops=5))
    assert books.offered is None
    assert books.unexplained == 0
    assert books.lost == 17


def test_what_was_not_selected_is_no_loss() -> None:
    assert source_books(source("pcap")).lost == 3
    assert source_books(source("packet")).lost == 40 + 5 + 3
