"""Sending over loopback to plain sockets, and the log of it: what arrives is what the log makes again."""

import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest
from deadline import wait_for

from nanotape.capture.errors import SimulationError, SimulationUsageError
from nanotape.capture.exchange import ExchangeParameters, ExchangeStream, Restart
from nanotape.capture.sent_log import SentLog
from nanotape.capture.simulate import SimulatedExchange, simulate
from nanotape.capture.simulated_line import Duplicate, Gap, Line, Reorder

GROUPS = {"A": "239.192.88.1", "B": "239.192.88.2"}


class Receiver:
    """A plain socket that joined one group on lo."""

    def __init__(self, group: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((group, 0))
        membership = struct.pack("4s4si", socket.inet_aton(group), b"\0\0\0\0", socket.if_nametoindex("lo"))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self.socket.settimeout(30)
        self.port = self.socket.getsockname()[1]

    def take(self, count: int) -> list[bytes]:
        payloads = [self.socket.recv(2048) for _ in range(count)]
        self.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.socket.recv(2048)
        return payloads


@pytest.fixture
def receivers() -> Iterator[dict[str, Receiver]]:
    made = {name: Receiver(group) for name, group in GROUPS.items()}
    yield made
    for receiver in made.values():
        receiver.socket.close()


def lines_to(receivers: dict[str, Receiver]) -> list[Line]:
    return [Line(name, GROUPS[name], receiver.port, "lo") for name, receiver in receivers.items()]


def line(**changes: object) -> Line:
    return Line(**{"name": "A", "group": GROUPS["A"], "port": 31998, "interface": "lo"} | changes)


def crc_of(payloads: list[bytes]) -> int:
    crc = 0
    for payload in payloads:
        crc = google_crc32c.extend(crc, payload)
    return crc


def test_all_that_was_sent_arrives_and_the_log_makes_it_again(receivers: dict[str, Receiver], tmp_path: Path) -> None:
    log = tmp_path / "sent.log"
    gaps = [Gap("A", 50, 10), Gap("B", 50, 3), Gap("A", 300, 1)]
    parameters = ExchangeParameters(seed=21, rate=4000, packets=1000, burst=3)
    result = simulate(parameters, lines_to(receivers), gaps, log)
    read = SentLog.read(log)
    assert read == result
    assert read.ended == "finished"
    withheld = {"A": {*range(50, 60), 300}, "B": {50, 51, 52}}
    for name, receiver in receivers.items():
        sent = read.line(name)
        arrived = receiver.take(sent.sent)
        expected = [packet.payload for packet in ExchangeStream(parameters) if packet.number not in withheld[name]]
        assert arrived == expected
        assert list(read.payloads(name)) == expected
        assert sent.crc32c == crc_of(expected)
        assert sent.bytes == sum(map(len, expected))
        assert (sent.generated, sent.withheld, sent.unsent, sent.ends) == (1001, len(withheld[name]), 0, 1)


def test_a_gap_says_which_messages_it_took(receivers: dict[str, Receiver]) -> None:
    parameters = ExchangeParameters(seed=4, rate=20_000, packets=200)
    result = simulate(parameters, lines_to(receivers), [Gap("B", 20, 5), Gap("B", 199, 50), Gap("B", 5000, 1)])
    missing = [packet for packet in ExchangeStream(parameters) if 20 <= packet.number < 25]
    first, cut, unreached = result.line("B").gaps
    assert (first.withheld, first.first_sequence) == (5, missing[0].sequence)
    assert first.messages == sum(packet.messages for packet in missing)
    assert cut.withheld == 3
    assert (unreached.withheld, unreached.first_sequence) == (0, None)
    assert result.line("A").gaps == ()


def test_what_is_sent_twice_or_late_arrives_so_and_the_log_makes_the_order_again(
    receivers: dict[str, Receiver], tmp_path: Path
) -> None:
    log = tmp_path / "sent.log"
    faults = [Duplicate("A", 20, 3), Reorder("A", 40, 4), Gap("A", 43, 1), Reorder("B", 299, 50), Gap("B", 43, 1)]
    parameters = ExchangeParameters(seed=8, rate=20_000, packets=300)
    simulate(parameters, lines_to(receivers), faults, log)
    read = SentLog.read(log)
    packets = {packet.number: packet for packet in ExchangeStream(parameters)}
    order = {
        "A": [*range(1, 20), 20, 20, 21, 21, 22, 22, *range(23, 40), 41, 42, 44, 40, *range(45, 302)],
        "B": [*range(1, 43), *range(44, 299), 300, 301, 299],
    }
    for name, receiver in receivers.items():
        expected = [packets[number].payload for number in order[name]]
        sent = read.line(name)
        assert receiver.take(sent.sent) == expected
        for rows in (7, 16_384):
            made = [payload for _, batch in read.batches(name, rows) for payload in batch.to_pylist()]
            assert made == expected, rows
        assert sent.crc32c == crc_of(expected)
        assert sent.unsent == 0
    duplicate, reorder = read.line("A").duplicates[0], read.line("A").reorders[0]
    assert (duplicate.repeated, duplicate.first_sequence) == (3, packets[20].sequence)
    assert duplicate.messages == sum(packets[number].messages for number in (20, 21, 22))
    assert (reorder.passed, reorder.first_sequence, reorder.messages) == (4, packets[40].sequence, packets[40].messages)
    assert read.line("B").reorders[0].passed == 2


def test_a_restart_is_told_with_the_sequence_that_it_cut_off(receivers: dict[str, Receiver]) -> None:
    restarts = (Restart(50), Restart(100, new_session=True), Restart(1000, new_session=True))
    parameters = ExchangeParameters(seed=8, rate=20_000, packets=300, restarts=restarts)
    result = simulate(parameters, lines_to(receivers), [Gap("A", 20, 1), Gap("A", 101, 2)])
    packets = {packet.number: packet for packet in ExchangeStream(parameters)}
    assert packets[50].sequence == packets[100].sequence == 1
    for name, receiver in receivers.items():
        reset, session, unreached = result.line(name).restarts
        assert reset.expected_sequence == packets[49].sequence + packets[49].messages
        assert session.expected_sequence == packets[99].sequence + packets[99].messages
        assert unreached.expected_sequence is None
        assert (reset.session, session.session) == ("NT00000008", "NT00000R01")
        arrived = receiver.take(result.line(name).sent)
        assert arrived == list(result.payloads(name))
        assert {payload[:10].decode() for payload in arrived} == {"NT00000008", "NT00000R01"}
    assert [gap.session for gap in result.line("A").gaps] == ["NT00000008", "NT00000R01"]


def test_a_log_from_before_there_were_other_faults_than_gaps_is_read(tmp_path: Path) -> None:
    log = tmp_path / "sent.log"
    simulate(ExchangeParameters(rate=50_000, packets=300), [line()], [Gap("A", 5, 2)], log)
    head, end = (json.loads(text) for text in log.read_text(encoding="utf-8").splitlines())
    del head["parameters"]["restarts"], end["lines"][0]["gaps"][0]["session"]
    for key in ("repeated", "duplicates", "reorders", "restarts"):
        del end["lines"][0][key]
    log.write_text(json.dumps(head) + "\n" + json.dumps(end) + "\n", encoding="utf-8")
    read = SentLog.read(log)
    assert crc_of(list(read.payloads("A"))) == read.line("A").crc32c
    assert read.line("A").gaps[0].session is None


def test_a_running_sender_is_watched_and_stopped_and_its_log_is_whole(
    receivers: dict[str, Receiver], tmp_path: Path
) -> None:
    log = tmp_path / "sent.log"
    with SimulatedExchange(ExchangeParameters(rate=2000), lines_to(receivers), log=log) as exchange:
        exchange.start()
        with pytest.raises(SimulationError, match="no end"):
            SentLog.read(log)
        wait_for(lambda: exchange.counters()[0].sent > 200, "200 packets sent")
        assert exchange.running
        exchange.stop()
        result = exchange.wait()
    assert result is not None
    assert SentLog.read(log).ended == "stopped"
    for name, receiver in receivers.items():
        assert receiver.take(result.line(name).sent) == list(result.payloads(name))


def test_leaving_the_context_stops_an_endless_sender() -> None:
    with SimulatedExchange(ExchangeParameters(rate=100), [line()]) as exchange:
        exchange.start()
        with pytest.raises(SimulationError, match="started before"):
            exchange.start()
    assert not exchange.running


def test_a_changed_log_does_not_pass_for_the_one_that_was_written(tmp_path: Path) -> None:
    log = tmp_path / "sent.log"
    simulate(ExchangeParameters(rate=50_000, packets=300), [line()], log=log)
    head, end = (json.loads(text) for text in log.read_text(encoding="utf-8").splitlines())
    assert crc_of(list(SentLog.read(log).payloads("A"))) == end["lines"][0]["crc32c"]
    head["parameters"]["seed"] = 2
    log.write_text(json.dumps(head) + "\n" + json.dumps(end) + "\n", encoding="utf-8")
    assert crc_of(list(SentLog.read(log).payloads("A"))) != end["lines"][0]["crc32c"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "expected a log of"),
        ("[]\n", "expected a log of"),
        ("not json\n", "expected the two JSON lines"),
        ('{"kind": "nanotape-sent-log", "version": 9}\n{}\n', "expected log version 1, found 9"),
        ('{"kind": "nanotape-sent-log", "version": 1}\n{}\n', "lacks or has too many fields"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "sent.log"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SimulationError, match=text):
        SentLog.read(path)


@pytest.mark.parametrize(
    ("lines", "gaps", "text"),
    [
        ([], [], "expected 1 to 8 lines, found 0"),
        ([line(), line(port=31997)], [], "line A: given twice"),
        ([line(group="10.1.1.1")], [], "IPv4 multicast group"),
        ([line(group="ff15::1")], [], "IPv4 multicast group"),
        ([line(port=0)], [], "port of 1 to 65535"),
        ([line(interface="nowhere0")], [], "no interface nowhere0 here; found .*lo"),
        ([line()], [Gap("C", 1, 1)], "gap on line C: no such line; the lines are A"),
        ([line()], [Gap("A", 0, 1)], "first packet of at least 1"),
        ([line()], [Gap("A", 5, 5), Gap("A", 9, 1)], "apart from each other"),
        ([line()], [Duplicate("A", 5, 5), Duplicate("A", 9, 1)], "duplicate 9:1: .*apart from each other"),
        ([line()], [Reorder("A", 5, 5), Reorder("A", 10, 1)], "reorder 10:1: .*apart from each other"),
        ([line()], [Reorder("B", 5, 5)], "reorder on line B: no such line"),
        ([line()], [Reorder("A", 5, 5), Gap("A", 4, 2)], "packet 5 is in a gap too"),
    ],
)
def test_lines_and_gaps_that_cannot_be_are_refused(lines: list[Line], gaps: list[Gap], text: str) -> None:
    with pytest.raises(SimulationUsageError, match=text):
        SimulatedExchange(ExchangeParameters(), lines, gaps)


def test_a_log_that_cannot_be_written_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="cannot be written"):
        SimulatedExchange(ExchangeParameters(), [line()], log=tmp_path / "missing" / "sent.log")
