"""Which rows of a batch a filter lets through."""

from __future__ import annotations

import numpy as np
import pytest
from frames import ethernet, ipv4, ipv6, market_data, udp
from ring_batch import Row, ring_batch

from nanotape.capture.counters import Flow
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.packet_filter import BatchFilter, PacketFilter, address

FLOWS = (
    Flow(1, "f", "one", "A", "none", "incremental", "eth1", "239.1.2.3", None, 15000, None),
    Flow(2, "f", "one", "B", "none", "incremental", "eth2", "239.1.2.4", None, 15001, None),
    Flow(3, "f", "two", "A", "none", "incremental", "eth1", "ff15::99", "fe80::1", 15000, None),
)
ROWS = (
    Row(market_data(b"x"), flow_id=1),
    Row(ethernet(ipv4(udp(b"x", dst_port=15001), dst="239.1.2.4", src="10.0.0.2")), flow_id=2),
    Row(ethernet(ipv6(udp(b"x"))), flow_id=3),
    Row(ethernet(ipv4(b"later" * 9, fragment=5)), flow_id=1),
    Row(ethernet(ipv4(udp(b"x", dst_port=9), dst="239.9.9.9"))),
    Row(ethernet(bytes(30), kind=0x88CC)),
)


class Table:
    """A flow table."""

    def __init__(self, *flows: Flow) -> None:
        """Of these."""
        self.entries = flows

    def flows(self) -> tuple[Flow, ...]:
        """All."""
        return self.entries


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (PacketFilter(), [0, 1, 2, 3, 4, 5]),
        (PacketFilter(channels=frozenset({"one"})), [0, 1, 3]),
        (PacketFilter(channels=frozenset({"one", "two"}), lines=frozenset({"A"})), [0, 2, 3]),
        (PacketFilter(lines=frozenset({"B"})), [1]),
        (PacketFilter(channels=frozenset({"other"})), [4, 5]),
        (PacketFilter(channels=frozenset({"other"}), lines=frozenset({"A"})), []),
        (PacketFilter(channels=frozenset({"none such"})), []),
        (PacketFilter(groups=frozenset({"239.1.2.3", "ff15::99"})), [0, 2, 3]),
        (PacketFilter(sources=frozenset({"10.0.0.2"})), [1]),
        (PacketFilter(sources=frozenset({"fe80::1"}), ports=frozenset({15000})), [2]),
        (PacketFilter(ports=frozenset({15000})), [0, 2, 3]),  # with the later fragment of a flow to that port
        (PacketFilter(ports=frozenset({9, 15001})), [1, 4]),
        (PacketFilter(ports=frozenset({0})), []),
    ],
)
def test_a_filter_lets_through_what_it_says(wanted: PacketFilter, expected: list[int]) -> None:
    mask = BatchFilter(wanted, FlowTable(Table(*FLOWS))).mask(ring_batch(ROWS))
    assert (list(range(len(ROWS))) if mask is None else np.flatnonzero(mask).tolist()) == expected


def test_a_filter_takes_batches_without_a_single_address() -> None:
    mask = BatchFilter(PacketFilter(groups=frozenset({"239.1.2.3"})), FlowTable(Table())).mask(ring_batch([ROWS[5]]))
    assert mask is not None
    assert mask.tolist() == [False]


def test_a_flow_that_comes_later_is_let_through_once_it_is_there() -> None:
    table = Table()
    chosen = BatchFilter(PacketFilter(channels=frozenset({"one"})), FlowTable(table))
    mask = chosen.mask(ring_batch([ROWS[4]]))
    assert mask is not None
    assert not mask.any()
    table.entries = FLOWS
    mask = chosen.mask(ring_batch([ROWS[0], ROWS[4]]))
    assert mask is not None
    assert mask.tolist() == [True, False]


def test_a_filter_names_what_no_flow_has() -> None:
    wanted = PacketFilter(channels=frozenset({"one", "other", "tow"}), lines=frozenset({"A", "C"}))
    assert wanted.unknown(FLOWS) == ("channel tow", "line C")


def test_addresses_are_spelt_as_the_columns_spell_them() -> None:
    assert address("FF15:0::99") == "ff15::99"
    assert address("239.1.2.3") == "239.1.2.3"
    for wrong in ("239.1.2", "eth1", "ff15::99/64", ""):
        with pytest.raises(ValueError, match="expected an IPv4 or IPv6 address"):
            address(wrong)
