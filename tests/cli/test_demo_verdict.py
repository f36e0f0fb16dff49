"""The demo's verdict: balanced when all fits, and the right number wherever a single packet is missing."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import numpy as np
import pytest

from nanotape.capture.conservation import RingBooks, source_books
from nanotape.capture.counters import LoopCounters, SourceCounters, SourceStats
from nanotape.capture.exchange import ExchangeParameters
from nanotape.capture.sent_log import SentGap, SentLine, SentLog
from nanotape.cli.demo.recorded import LineTally, Recorded
from nanotape.cli.demo.report import report_text
from nanotape.cli.demo.verdict import Account, Counted, Verdict, judge

SENT = 1000  # on each of two lines
ALL = 2 * SENT
CRC = 0xC0FFEE


def blank(fact: type[Any], /, **known: Any) -> Any:
    """A fact in which only some fields say something: the others are None where that is allowed, else 0."""
    hints = typing.get_type_hints(fact)
    empty = {
        field.name: None if type(None) in typing.get_args(hints[field.name]) else 0
        for field in dataclasses.fields(fact)
    }
    return fact(**(empty | known))


@dataclasses.dataclass
class Facts:
    """Numbers of a demo in which nothing went wrong; a test changes some."""

    kind: str = "afxdp"
    seen: int = ALL + 3
    unmatched: int = 3
    no_socket: int = 0
    redirected: int = ALL
    rx_dropped: int = 0
    rx_ring_full: int = 0
    lost_with_holder: int = 0
    socket_drops: int = 0
    waiting: int = 0
    oversize: int = 0
    looped: int = ALL
    last_seq: int = ALL
    link: int = 0
    unwritten: int = 0
    rows: int = ALL
    recorded_last: int = ALL
    lost_rows: int = 0
    repeated: int = 0
    crc: int = CRC
    foreign: int = 0
    lines: tuple[str, ...] = ("A", "B")

    def judged(self) -> Account:
        """What the demo makes of them."""
        lines = tuple(
            blank(SentLine, name=name, sent=SENT, bytes=1, crc32c=CRC, gaps=(SentGap(5, 2, 2, 9, 4),)) for name in "AB"
        )
        log = SentLog(ExchangeParameters(packets=SENT), 0, "finished", None, lines)
        return judge(log, Counted(self._books(), self.link, self.unwritten), self._recorded(), lambda: self.foreign)

    def _books(self) -> RingBooks:
        if self.kind == "afxdp":
            stats = blank(
                SourceStats,
                xdp_seen=self.seen,
                xdp_passed_unmatched=self.unmatched,
                xdp_passed_no_socket=self.no_socket,
                xdp_redirected=self.redirected,
                rx_dropped=self.rx_dropped,
                rx_ring_full=self.rx_ring_full,
                rx_occupancy=self.waiting,
                lost_with_holder=self.lost_with_holder,
            )
        else:
            stats = blank(SourceStats, socket_drops=self.socket_drops)
        loop = blank(LoopCounters, packets=self.looped, oversize=self.oversize)
        source = blank(SourceCounters, name="feed0", interface="feed0", kind=self.kind, stats=stats, loop=loop)
        return RingBooks("demo", (source_books(source),), self.looped, self.last_seq)

    def _recorded(self) -> Recorded:
        tallies = {name: LineTally() for name in self.lines}
        for tally in tallies.values():
            tally.packets, tally.bytes, tally.crc32c, tally.gaps, tally.missing = SENT, 1, self.crc, 1, 4
        delays = np.array([], dtype=np.int64)
        return Recorded(self.rows, self.recorded_last, self.lost_rows, self.repeated, delays, tallies)


@pytest.mark.parametrize("kind", ["afxdp", "socket"])
def test_it_balances_when_all_that_was_sent_is_recorded(kind: str) -> None:
    account = Facts(kind=kind).judged()
    assert account.balanced
    assert account.unexplained == 0
    assert not any(account.lost.values())
    assert [(line.name, line.sent, line.recorded, line.gaps_found, line.gaps_made) for line in account.lines] == [
        ("A", SENT, SENT, 1, 1),
        ("B", SENT, SENT, 1, 1),
    ]


ONE_LESS = {"looped": ALL - 1, "last_seq": ALL - 1, "rows": ALL - 1, "recorded_last": ALL - 1}
UNEXPLAINED = {
    "on the wire": {"seen": ALL + 2, "redirected": ALL - 1, **ONE_LESS},
    "in the XDP program": {"redirected": ALL - 1, **ONE_LESS},
    "between program and loop": ONE_LESS,
    "between loop and ring": ONE_LESS | {"looped": ALL},
    "in the archive": {"rows": ALL - 1},
    "at the end of the archive": {"rows": ALL - 1, "recorded_last": ALL - 1},
    "before the sockets": {"kind": "socket", **ONE_LESS},
    "and one too many on the wire": {"seen": ALL + 4, "redirected": ALL + 1} | dict.fromkeys(ONE_LESS, ALL + 1),
    "after the last row, refused by the disk": {"rows": ALL - 1, "recorded_last": ALL - 1, "unwritten": 1},
    "and one recorded twice": {"rows": ALL + 1, "repeated": 1},
}


@pytest.mark.parametrize("stage", UNEXPLAINED)
def test_one_packet_missing_without_a_count_is_one_unexplained(stage: str) -> None:
    account = Facts(**UNEXPLAINED[stage]).judged()
    assert account.unexplained == 1
    assert not account.balanced


def test_what_goes_missing_at_two_stages_is_not_set_off() -> None:
    account = Facts(redirected=ALL - 1, looped=ALL, last_seq=ALL).judged()
    assert account.unexplained == 2


EXPLAINED = {
    "link": {"link": 1, "seen": ALL + 2, "redirected": ALL - 1, **ONE_LESS},
    "passed_no_socket": {"no_socket": 1, "redirected": ALL - 1, **ONE_LESS},
    "rx_dropped": {"rx_dropped": 1, **ONE_LESS},
    "rx_ring_full": {"rx_ring_full": 1, **ONE_LESS},
    "lost_with_holder": {"lost_with_holder": 1, **ONE_LESS},
    "oversize": {"oversize": 1, **ONE_LESS},
    "socket_drops": {"kind": "socket", "socket_drops": 1, **ONE_LESS},
    "recorder_overrun": {"rows": ALL - 1, "lost_rows": 1},
    "write_failures": {"rows": ALL - 1, "lost_rows": 1, "unwritten": 1},
}


@pytest.mark.parametrize("stage", EXPLAINED)
def test_one_packet_lost_and_counted_is_named_by_its_stage(stage: str) -> None:
    account = Facts(**EXPLAINED[stage], crc=CRC + 1).judged()
    assert {name: count for name, count in account.lost.items() if count} == {stage.strip(): 1}
    assert account.unexplained == 0
    assert account.balanced


@pytest.mark.parametrize("wrong", [{"crc": CRC + 1}, {"lines": ("A",)}, {"lines": ()}])
def test_other_bytes_than_those_sent_are_never_balanced(wrong: dict[str, Any]) -> None:
    account = Facts(**wrong).judged()
    assert account.unexplained == 0
    assert not account.balanced


@pytest.mark.parametrize("stage", EXPLAINED)
def test_an_explained_loss_does_not_excuse_bytes_that_were_never_sent(stage: str) -> None:
    account = Facts(**EXPLAINED[stage], foreign=1).judged()
    assert account.unexplained == 0
    assert not account.balanced


@pytest.mark.parametrize(("kind", "absent"), [("socket", "rx_dropped"), ("afxdp", "socket_drops")])
def test_a_stage_that_the_source_does_not_have_is_not_said_to_have_lost_nothing(kind: str, absent: str) -> None:
    assert absent not in Facts(kind=kind).judged().lost


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(), "BALANCED: every packet is accounted for"),
        (Facts(rows=ALL - 7), "NOT BALANCED: 7 packets unexplained"),
        (Facts(crc=1), "NOT BALANCED: the recorded bytes are not those that were sent"),
    ],
)
def test_the_page_says_the_verdict_on_a_line_of_its_own(facts: Facts, said: str) -> None:
    account = facts.judged()
    known = {field.name: getattr(account, field.name) for field in dataclasses.fields(Account)}
    verdict = blank(Verdict, title="t", source="s", memory="m", archive="a", query="SELECT 1 FROM packets", **known)
    verdict = dataclasses.replace(verdict, rx_delay_ns={"p50": None}, kills={"recorder": 1}, restarts={}, answer=[])
    lines = report_text(verdict).splitlines()
    assert said in lines
    assert "kill -9   recorder, once; NOT restarted" in lines
    assert "delay     p50 unknown (stamp to poll)" in lines
