"""A relay as a loop over batches: what is sent where, byte for byte and in order; what is lost, left out, refused."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import socket
import threading
import types
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from frames import market_data
from ring_batch import Row, ring_batch
from ring_writer import RingWriter, Written

from nanotape.capture import relay_outlet
from nanotape.capture.counters import Epoch, Flow
from nanotape.capture.errors import RelayLooped, RelayRefused
from nanotape.capture.relay import GUARD_S, Relay, RelayOptions
from nanotape.capture.relay_books import FlowBook, RelayReport
from nanotape.capture.relay_outlet import Outlet
from nanotape.capture.relay_rows import payloads_of
from nanotape.capture.relay_target import Route, Routes, Target
from nanotape.capture.ring import Ring
from nanotape.capture.waiting import Stepping

A = Flow(1, "feed", "itch", "A", "", "", "eth1", "239.1.1.1", None, 15000, None)
B = dataclasses.replace(A, id=2, line="B", group="239.1.1.2")
OTHER = dataclasses.replace(A, id=3, channel="opra", group="239.2.2.2")


class Tables:
    """What a ring says of itself."""

    name = "test"

    def __init__(self, *flows: Flow, holders: Sequence[int | None] = (7, 7)) -> None:
        self.entries, self.holders = flows, holders
        self.kind = "afxdp"

    def flows(self) -> tuple[Flow, ...]:
        return self.entries

    def sources(self) -> tuple[object, ...]:
        return (type("Source", (), {"kind": self.kind})(),)

    def epoch_entry(self, epoch: int) -> Epoch | None:
        return Epoch(epoch, 1, 0, self.holders[epoch - 1], 1, "utc", 0)


class NoReader:
    """A reader that has lost what a test says."""

    lost = loss_events = lag_bytes = 0


class Guard:
    """Says what a test says."""

    def __init__(self) -> None:
        self.says: str | None = None

    def conflict(self, targets: Sequence[Target]) -> str | None:
        return self.says


@dataclasses.dataclass
class Receiver:
    """A UDP socket on loopback."""

    socket: socket.socket

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.socket.getsockname()[1])

    def received(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(65_536, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return found


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    made = []
    for _ in range(2):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.bind(("127.0.0.1", 0))
        made.append(Receiver(opened))
    yield made
    for each in made:
        each.socket.close()


@dataclasses.dataclass
class Made:
    """A relay and what it was made of."""

    relay: Relay
    outlets: list[Outlet]
    guard: Guard
    tables: Tables
    reader: NoReader
    now: list[float]


@pytest.fixture
def make() -> Iterator[Callable[..., Made]]:
    """Makes relays; their sockets are closed at the end."""
    made: list[Made] = []

    def one(tables: Tables, routes: Sequence[Route], options: RelayOptions | None = None) -> Made:
        made.append(_make(tables, routes, options))
        return made[-1]

    yield one
    for each in made:
        for outlet in each.outlets:
            outlet.close()


def _make(tables: Tables, routes: Sequence[Route], options: RelayOptions | None = None) -> Made:
    all_routes, guard, reader, now = Routes(routes), Guard(), NoReader(), [0.0]
    outlets = [Outlet(target) for target in all_routes.targets]
    relay = Relay(
        tables,  # type: ignore[arg-type]
        reader,  # type: ignore[arg-type]
        all_routes,
        outlets,
        guard,
        options,
        clock=lambda: now[0],
        utc_ns=lambda: 1_700_000_000_124_456_789,
    )
    return Made(relay, outlets, guard, tables, reader, now)


def batch(*rows: tuple[int, bytes], **columns: Sequence[object]) -> pa.RecordBatch:
    """Rows of flow id and payload; further columns as given."""
    made = ring_batch(Row(market_data(payload), flow_id=flow_id) for flow_id, payload in rows)
    for name, values in columns.items():
        place = made.schema.get_field_index(name)
        made = made.set_column(place, made.schema.field(place), pa.array(values, made.schema.field(place).type))
    return made


def test_payloads_go_where_their_channel_is_routed_byte_for_byte_and_in_order(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    first, second = receivers
    routes = [Route(first.target, "itch"), Route(second.target, "itch", "B"), Route(second.target, "opra")]
    made = make(Tables(A, B, OTHER), routes)
    rows = [(1, b"a1"), (3, b"o1"), (2, b"b1"), (0, b"none"), (1, b""), (2, b"b" * 1400), (3, b"o2"), (1, b"a3")]
    made.relay.take(batch(*rows))
    assert first.received() == [b"a1", b"b1", b"", b"b" * 1400, b"a3"]
    assert second.received() == [b"o1", b"b1", b"b" * 1400, b"o2"]
    report = made.relay.report()
    assert (report.packets, report.failures, report.is_whole) == (7, 0, True)
    assert [target.sent for target in report.targets] == [5, 4]
    assert [target.bytes for target in report.targets] == [2 + 2 + 1400 + 2, 2 + 2 + 1400 + 2]
    assert report.delay_max_ns == 1_000_000


def test_more_than_the_kernel_takes_at_once_goes_out_whole(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    payloads = [number.to_bytes(4, "big") for number in range(2500)]
    made = make(Tables(A), [Route(receivers[0].target)])
    made.relay.take(batch(*((1, payload) for payload in payloads)))
    assert receivers[0].received() == payloads


def test_what_is_no_whole_datagram_is_left_out_and_counted(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    rows = [(1, b"good"), (1, b"cut"), (1, b"part"), (1, b"odd"), (1, b"bad sum"), (1, b"cut part"), (1, b"good too")]
    made.relay.take(batch(*rows, flags=[0, 1, 16, 64, 32, 17, 4 | 8]))
    assert receivers[0].received() == [b"good", b"good too"]
    report = made.relay.report()
    assert report.flows[0].left_out == {"truncated": 1, "fragment": 2, "unparsed": 2}
    assert (report.flows[0].packets, report.packets, report.left_out, report.is_whole) == (7, 2, 5, False)


def test_a_flow_that_comes_later_is_relayed_from_its_first_packet_on(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    made = make(Tables(A), [Route(receivers[0].target, "opra")])
    made.relay.take(batch((1, b"x")))
    made.tables.entries = (A, OTHER)
    made.relay.take(batch((3, b"new"), (1, b"x")))
    assert receivers[0].received() == [b"new"]


def test_nothing_is_sent_once_a_new_flow_is_a_destination(make: Callable[..., Made], receivers: list[Receiver]) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    made.guard.says = "127.0.0.1:1: is captured"
    with pytest.raises(RelayLooped, match="is captured"):
        made.relay.take(batch((1, b"x"), (3, b"new")))
    assert receivers[0].received() == []


def test_other_rings_are_looked_at_every_second(make: Callable[..., Made], receivers: list[Receiver]) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    made.guard.says = "captured"
    made.relay.tick()
    made.now[0] = GUARD_S
    with pytest.raises(RelayLooped):
        made.relay.tick()


def test_what_the_kernel_refuses_is_counted_and_the_rest_goes_out(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    made.relay.take(batch((1, b""), (1, b""), (1, b""), payload=[b"one", bytes(65_507 + 1), b"two"]))
    assert receivers[0].received() == [b"one", b"two"]
    report = made.relay.report()
    assert (report.targets[0].sent, report.targets[0].failures) == (2, 1)
    assert report.targets[0].last_error == "Message too long"
    assert not report.is_whole


def test_a_receiver_that_is_not_there_is_told_and_keeps_nothing_back(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    gone = receivers[0].target
    receivers[0].socket.close()
    made = make(Tables(A), [Route(gone), Route(receivers[1].target)])
    for number in range(10):
        made.relay.take(batch((1, b"%d" % number)))
    assert receivers[1].received() == [b"%d" % number for number in range(10)]
    report = made.relay.report()
    assert (report.targets[0].sent, report.targets[0].failures) == (10, 0)
    assert report.targets[0].refused >= 9


def test_a_destination_that_takes_nothing_is_waited_for_once_and_not_for_each_packet(
    monkeypatch: pytest.MonkeyPatch, receivers: list[Receiver]
) -> None:
    is_full, now_s = [True], [0.0]
    slept: list[float] = []
    may_block: list[bool] = []

    def sendmmsg(_fd: int, _where: int, count: int, flags: int) -> int:
        may_block.append(not flags & socket.MSG_DONTWAIT)
        ctypes.set_errno(errno.ENOBUFS)
        return -1 if is_full[0] else count

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now_s[0] += seconds

    monkeypatch.setattr(relay_outlet, "_libc", types.SimpleNamespace(sendmmsg=sendmmsg))
    outlet = Outlet(receivers[0].target, sleep=sleep, clock=lambda: now_s[0])
    try:
        payloads = payloads_of(batch(*[(1, b"x")] * 5_000).column("payload"), np.arange(5_000))
        outlet.send(payloads)
        assert (outlet.failures, outlet.sent) == (5_000, 0)
        assert sum(slept) == pytest.approx(0.1, rel=0.05)
        assert not any(may_block[-4_999:])
        is_full[0] = False
        outlet.send(payloads)
        assert outlet.sent == 5_000
        outlet.mend()
        is_full[0] = True
        outlet.send(payloads)
        assert sum(slept) == pytest.approx(0.2, rel=0.05)
    finally:
        outlet.close()


def test_losses_of_a_flow_are_exact_by_its_own_sequence(make: Callable[..., Made], receivers: list[Receiver]) -> None:
    made = make(Tables(A, B), [Route(receivers[0].target)])
    made.relay.take(batch((1, b""), (2, b""), (1, b""), flow_seq=[10, 1, 11]))
    made.relay.take(batch((1, b""), (2, b""), flow_seq=[15, 4]))
    report = made.relay.report()
    assert [flow.lost for flow in report.flows] == [3, 2]
    assert (report.lost, report.is_whole) == (5, False)


def test_a_flow_without_sequences_has_an_unknown_loss(make: Callable[..., Made], receivers: list[Receiver]) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    made.relay.take(batch((1, b"")))
    assert made.relay.report().flows[0].lost is None


@pytest.mark.parametrize(
    ("holders", "kind", "lost"), [((7, 7), "afxdp", 1), ((7, 8), "afxdp", 4), ((7, 7), "packet", 4)]
)
def test_flow_sequences_go_on_over_a_capture_and_begin_anew_with_a_holder(
    holders: tuple[int, int], kind: str, lost: int, make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    """In the new count 1 to 4 are missing; in a count that goes on 4 alone is."""
    made = make(Tables(A, holders=holders), [Route(receivers[0].target)])
    made.tables.kind = kind
    made.relay.take(batch((1, b""), (1, b""), (1, b""), flow_seq=[2, 3, 5], epoch=[1, 1, 2]))
    assert made.relay.report().lost == lost


def test_packets_that_come_out_of_order_are_no_loss() -> None:
    book = FlowBook(A)
    for sequences in ([3, 1, 2], [6], [5, 4]):
        book.count(("holder", 1), np.array(sequences, np.uint64))
    assert (book.packets, book.lost) == (6, 0)


def test_a_lost_record_of_the_ring_is_a_loss_whatever_the_flows_say(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    made = make(Tables(A), [Route(receivers[0].target)])
    made.reader.lost = 3
    assert (made.relay.report().ring_lost, made.relay.report().is_whole) == (3, False)


def test_a_count_ends_with_the_packet(make: Callable[..., Made], receivers: list[Receiver]) -> None:
    made = make(Tables(A), [Route(receivers[0].target)], RelayOptions(count=3))
    made.relay.take(batch((1, b"1"), (0, b"x"), (1, b"2")))
    made.relay.take(batch((1, b"3"), (1, b"4")))
    assert receivers[0].received() == [b"1", b"2", b"3"]


def test_reports_come_at_their_interval_with_the_rate_since_the_last(
    make: Callable[..., Made], receivers: list[Receiver]
) -> None:
    made = make(Tables(A), [Route(receivers[0].target)], RelayOptions(interval_s=10))
    said: list[RelayReport] = []
    made.relay._tell = said.append
    made.relay.take(batch(*((1, b"x"),) * 50))
    for now in (5.0, 10.0, 15.0, 20.0):
        made.now[0] = now
        made.relay.tick()
    assert [report.packets_s for report in said] == [5.0, 0.0]
    assert said[0].line == (
        "test: 50 packets relayed, 5/s, lost 0 (ring records lost: 0), left out 0, not sent 0, delay up to 1.000 ms"
    )


def test_a_real_ring_is_relayed_from_the_oldest_on(receivers: list[Receiver]) -> None:
    writer = RingWriter.private(64 << 10)
    payloads = [b"%d" % number for number in range(20)]
    stop = threading.Event()
    with Ring(writer.handle) as ring, ring.reader("oldest") as reader:
        writer.write(*(Written(market_data(payload), flow_id=1) for payload in payloads))
        routes = Routes([Route(receivers[0].target)])
        outlets = [Outlet(target) for target in routes.targets]
        relay = Relay(Tables(A), reader, routes, outlets, Guard())  # type: ignore[arg-type]
        relay.run(stop, Stepping(sleep=lambda _: stop.set()), lambda _: None)
        outlets[0].close()
    assert receivers[0].received() == payloads


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(RelayRefused, match=r"239\.9\.9\.9:5000@nt-none: no such interface"):
        Outlet(Target("239.9.9.9", 5000, "nt-none"))
