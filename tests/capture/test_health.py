"""What `status` finds, from crafted looks: each finding beside a control that is fine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crafted_looks import (
    GIB,
    MIB,
    NOW_NS,
    RECORDER,
    RING,
    SECOND_NS,
    SPACE,
    health,
    later,
    look,
    loop,
    of_files,
    recorder,
    stats,
)

from nanotape.capture.counters import SystemCalls
from nanotape.capture.findings import Finding, Severity, headline, nothing_there, ring_findings, unreadable
from nanotape.capture.health import RECENT_NS, STAGES, RingHealth, Space, ring_health
from nanotape.capture.listing import RingFacts, UnreadableRing
from nanotape.capture.service_state import HOLDER_DIED, STOPPED, ServiceState


def findings(first: RingFacts = RING, second: RingFacts | None = None, space: Space | None = SPACE) -> list[Finding]:
    """All that is not well."""
    return [each for each in ring_findings(health(first, second, space)) if each.severity is not Severity.OK]


def test_all_is_well_and_the_figures_say_how_well() -> None:
    found = health()
    assert ring_findings(found) == (Finding(Severity.OK, "main", "all is well", ""),)
    assert found.capturing
    assert (found.packets_s, found.bits_s, found.last_packet_s) == (500, 500 * 242 * 8, 0)
    assert (found.lost, found.lost_now, found.unexplained) == ({}, {}, 0)
    [reader] = found.recorders
    assert reader.holds_s == pytest.approx(63 * MIB / 150_000)
    assert reader.lapped_in_s is None
    assert reader.write_bytes_s == pytest.approx(100 * 500)
    assert found.full_in_s == pytest.approx(50 * GIB / 50_000)
    said = headline([found], ring_findings(found))
    assert said == "capturing 500 packets/s, losing nothing; the disk keeps up: lag 1.6% of the ring, 50.0 GiB free."


def calls(
    seccomp: str | None, made: int | None = None, last: str | None = None, reason: str | None = None,
    facts: RingFacts = RING,
) -> RingFacts:  # fmt: skip
    """The facts with what is known of system calls."""
    return replace(facts, system_calls=SystemCalls(seccomp, made, last, reason))


def test_a_loop_that_nobody_watches_is_no_finding_where_that_is_as_configured() -> None:
    """One that sleeps, a file, `seccomp = "off"`: unknown is not 0, and nothing to tell."""
    assert findings(calls(None), calls(None, facts=later())) == []
    assert findings(calls("kill"), calls("kill", facts=later())) == []
    assert health(calls(None), calls(None, facts=later())).system_calls.made is None


ENDED = replace(RING, writer_pid=None, writer_alive=False)
KILLED = replace(RING, writer_alive=False)
FROZEN = stats(loop(later(), polls_busy=10, polls_idle=90, packets=1000), xdp_seen=1000, xdp_redirected=1000)
NO_RECORDER = replace(later(), readers=())
OLD = NOW_NS - 100 * SECOND_NS
IN_440_S = ", lapped in 440 s at this rate"


@pytest.mark.parametrize(
    ("first", "second", "severity", "what"),
    [
        (ENDED, ENDED, Severity.ERROR, "not capturing: the capture was ended"),
        (KILLED, KILLED, Severity.ERROR, "not capturing: the capture, process 66, died"),
        (RING, replace(later(), writer_alive=False), Severity.ERROR, "not capturing: the capture, process 66, died"),
        (RING, FROZEN, Severity.ERROR, "not capturing: process 66 lives, but its loop stood still for 1.0 s"),
        (RING, replace(later(), epoch=2), Severity.WARNING, "the capture was started anew during this look"),
        (RING, replace(later(), ring_id="b" * 32), Severity.WARNING, "the capture was started anew during this look"),
        (RING, NO_RECORDER, Severity.WARNING, "nobody writes to disk: no recorder reads this ring"),
        (RING, recorder(later(), alive=False), Severity.ERROR, f"not recording: recorder (process 77) died{IN_440_S}"),
        (
            recorder(updated_ns=OLD),
            recorder(later(), updated_ns=OLD),
            Severity.ERROR,
            f"not recording: recorder (process 77) has not moved for 101 s{IN_440_S}",
        ),
        (
            recorder(updated_ns=NOW_NS - SECOND_NS, lag_bytes=63 * MIB, lag_share=0.4),
            recorder(later(), updated_ns=NOW_NS - SECOND_NS, lag_bytes=63 * MIB, lag_share=0.4),
            Severity.ERROR,
            "not recording: recorder (process 77) has not moved for 2 s, lapped in 7 s at this rate",
        ),
        (
            RING,
            replace(later(), capacity_bytes=MIB + 225_000),
            Severity.WARNING,
            "recorder (process 77) is lapped 1.5 s after it stops, and it takes a second to start anew",
        ),
        (
            RING,
            recorder(later(), current=False, lag_bytes=None, lag_share=None),
            Severity.WARNING,
            "not recording yet: recorder (process 77) still reads an earlier ring of this name",
        ),
        (
            RING,
            recorder(later(), lag_bytes=40 * MIB, lag_share=0.625),
            Severity.WARNING,
            "recorder (process 77) is 62% of the ring behind, lapped in 1 s at this rate",
        ),
        (
            recorder(lag_bytes=60 * MIB, lag_share=0.9375),
            recorder(later(), lag_bytes=60 * MIB, lag_share=0.9375),
            Severity.ERROR,
            "recorder (process 77) is 94% of the ring behind",
        ),
        (
            recorder(lost=10),
            recorder(later(), lost=15, write_failures=2),
            Severity.ERROR,
            "losing packets behind the ring: recorder (process 77) was lapped over 5 and failed to write 2 in 1.0 s",
        ),
        (
            recorder(lost=10),
            recorder(later(), lost=10),
            Severity.WARNING,
            "recorder (process 77) was lapped over 10 packets and failed to write 0 since it began, none now",
        ),
        (
            loop(last_packet_ns=OLD),
            loop(later(packets=0), last_packet_ns=OLD),
            Severity.WARNING,
            "silent: the last packet came 101 s ago",
        ),
        (
            replace(RING, fallback_reason="no free pages"),
            replace(later(), fallback_reason="no free pages"),
            Severity.WARNING,
            "the ring is not on huge pages: no free pages",
        ),
        (
            calls("count", 3, "openat"),
            calls("count", 1_005, "getppid", facts=later()),
            Severity.WARNING,
            "a defect: its loop made system calls, and must make none while it captures: 1,002 in 1.0 s, 1,005 in all, "
            "the last getppid",
        ),
        (
            calls(None, reason="Linux 5.5 can"),
            calls(None, reason="Linux 5.5 can", facts=later()),
            Severity.WARNING,
            "nobody sees whether its loop makes system calls: Linux 5.5 can",
        ),
    ],
)
def test_one_thing_wrong_is_one_finding(first: RingFacts, second: RingFacts, severity: Severity, what: str) -> None:
    found = findings(first, second)
    assert [(each.severity, each.what) for each in found] == [(severity, what)]
    assert findings() == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_loss_before_the_ring_is_an_error_now_and_a_warning_afterwards(stage: str) -> None:
    def with_loss(facts: RingFacts, count: int) -> RingFacts:
        seen, redirected = facts.sources[0].stats.xdp_seen or 0, facts.sources[0].stats.xdp_redirected or 0
        facts = stats(facts, xdp_seen=seen + count)
        if stage == "passed_no_socket":
            return stats(facts, xdp_passed_no_socket=count)
        if stage == "socket_drops":
            return stats(facts, xdp_seen=seen, socket_drops=count)
        facts = stats(facts, xdp_redirected=redirected + count)
        return loop(facts, oversize=count) if stage == "oversize" else stats(facts, **{stage: count})

    [now] = findings(with_loss(RING, 3), with_loss(later(), 1010))
    assert now.severity is Severity.ERROR
    assert now.what == f"losing packets before the ring: {stage} 1,007 in 1.0 s, 1,010 in all"
    assert now.do
    [afterwards] = findings(with_loss(RING, 3), with_loss(later(), 3))
    assert afterwards.severity is Severity.WARNING
    assert afterwards.what == f"3 packets lost before the ring since it was made ({stage}), none now"


def test_the_headline_says_that_data_is_being_lost_and_how_many() -> None:
    found = health(RING, recorder(stats(later(), rx_ring_full=7, xdp_seen=1507, xdp_redirected=1507), lost=5))
    assert headline([found], ring_findings(found)) == (
        "LOSING DATA: 12 packets in 1.0 s, capturing 500 packets/s; the disk DOES NOT KEEP UP: lag 1.6% of the ring, "
        "50.0 GiB free; 2 errors."
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (replace(ENDED, readers=()), "NOT CAPTURING main; nobody records; 1 error."),
        (NO_RECORDER, "capturing 500 packets/s, losing nothing; nobody records."),
        (
            recorder(later(), alive=False),
            "capturing 500 packets/s, losing nothing; the disk DOES NOT KEEP UP: lag 1.6% of the ring, 50.0 GiB free; "
            "1 error.",
        ),
    ],
)
def test_the_headline_answers_whatever_is_wrong(second: RingFacts, expected: str) -> None:
    found = health(RING if second.writer_alive else second, second)
    assert headline([found], ring_findings(found)) == expected


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.5, None), (0.101, None), (0.099, Severity.WARNING), (0.019, Severity.ERROR), (0, Severity.ERROR)],
)
def test_a_disk_that_fills_is_a_warning_and_then_an_error(share: float, severity: Severity | None) -> None:
    found = findings(space=Space("/archive", 1000 * GIB, int(1000 * GIB * share)))
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("/archive" in each.what and "is free" in each.what and each.do for each in found)


@pytest.mark.parametrize(
    ("share", "severity"), [(0.1, None), (0.051, None), (0.049, Severity.WARNING), (0.019, Severity.ERROR)]
)
def test_a_disk_on_which_room_is_made_is_a_warning_when_that_fails(share: float, severity: Severity | None) -> None:
    space = Space("/archive", 1000 * GIB, int(1000 * GIB * share), kept_bytes=100 * GIB)
    found = findings(space=space)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("retention is to keep 100.0 GiB" in each.what and each.do for each in found)
    assert health(space=replace(space, free_bytes=1)).full_in_s is None


def test_a_disk_that_will_be_full_within_the_hour_is_a_warning() -> None:
    [found] = findings(space=Space("/archive", 200 * MIB, 100 * MIB))
    assert (found.severity, "full in 35 min at this rate" in found.what) == (Severity.WARNING, True)


def test_a_file_system_that_cannot_be_asked_is_unknown_not_empty() -> None:
    assert [each.severity for each in findings(space=None)] == [Severity.WARNING]
    assert health(space=None).full_in_s is None


def test_what_the_books_leave_over_counts_only_when_what_moves_cannot_explain_it() -> None:
    quiet = later(packets=0)
    off = stats(xdp_seen=1040, xdp_redirected=1040)
    [found] = findings(off, stats(quiet, xdp_seen=1040, xdp_redirected=1040))
    assert found.severity is Severity.ERROR
    assert found.what.startswith("40 packets are unexplained")
    moving = later()
    assert health(off, stats(moving, xdp_seen=1540, xdp_redirected=1540)).unexplained is None  # 500 came in between
    assert health(off, moving).unexplained == 0
    many = stats(xdp_seen=3000, xdp_redirected=3000)
    assert health(many, stats(moving, xdp_seen=3500, xdp_redirected=3500)).unexplained == 2000


def test_books_are_not_judged_by_counters_that_nobody_writes_any_more() -> None:
    off = stats(xdp_seen=1040, xdp_redirected=1040)
    stale = stats(later(packets=0), xdp_seen=1040, xdp_redirected=1040, updated_ns=NOW_NS)
    assert health(off, stale).unexplained is None
    assert health(replace(off, writer_alive=False), replace(off, writer_alive=False)).unexplained is None
    ended = replace(off, writer_alive=False, writer_pid=None)
    assert health(ended, ended).unexplained == 40


def test_a_reader_that_records_nothing_may_be_lapped_and_is_warned_of() -> None:
    viewer = replace(RECORDER, name="viewer", pid=78, recorded=None, write_failures=None, written_bytes=None)
    first = replace(RING, readers=(RECORDER, viewer))
    second = replace(later(), readers=(*later().readers, replace(viewer, lost=9, alive=True)))
    [found] = findings(first, second)
    assert (found.severity, found.what) == (Severity.WARNING, "reader viewer is too slow: it was lapped over 9 packets")
    gone = replace(later(), readers=(*later().readers, replace(viewer, alive=False)))
    assert findings(first, gone) == []


def test_a_recorder_that_came_between_the_looks_is_judged_by_its_own_count() -> None:
    [found] = findings(recorder(lost=100), recorder(later(), pid=99, lost=4))
    assert "lapped over 4 and" in found.what


def test_a_ring_without_packets_is_silent_from_the_start() -> None:
    empty = stats(loop(packets=0, last_packet_ns=None), xdp_seen=0, xdp_redirected=0)
    second = loop(later(empty, packets=0), last_packet_ns=None)
    assert [each.what for each in findings(empty, second)] == ["no packet has come since the ring was made"]
    assert health(empty, second).last_packet_s is None


def test_a_ring_of_files_ends_without_an_error_and_has_stamps_of_other_days() -> None:
    reading = loop(of_files(later()), last_packet_ns=OLD)
    assert findings(of_files(RING), reading) == []
    assert health(of_files(RING), reading).last_packet_s is None
    ended = replace(reading, writer_pid=None, writer_alive=False, readers=())
    assert [(each.severity, each.what) for each in findings(ended, ended)] == [
        (Severity.WARNING, "not capturing: its files have been read to their end")
    ]
    over = health(ended, ended)
    assert headline([over], ring_findings(over)) == "read to the end of the files: main."
    assert headline([over, health()], []).startswith("capturing 500 packets/s, losing nothing; the disk keeps up")


def test_a_recorder_that_died_over_an_earlier_ring_is_history() -> None:
    gone = recorder(later(), alive=False, current=False, lag_bytes=None, lag_share=None)
    assert [each.what for each in findings(RING, gone)] == ["nobody writes to disk: no recorder reads this ring"]


def test_packets_that_come_are_not_silent_whatever_their_stamps_say() -> None:
    late = loop(later(), last_packet_ns=NOW_NS - 3600 * SECOND_NS)
    [found] = findings(RING, late)
    assert found.severity is Severity.WARNING
    assert found.what == "packets come, but their stamps are 3,601 s behind this host's clock"


LISTENER = "eth1: feedhandler (pid 4711) listens to 239.1.1.1:30001, which is captured: it receives nothing; stop it"


def served(facts: RingFacts, **changes: object) -> RingHealth:
    service = replace(ServiceState(1, "exclusive"), **changes)  # type: ignore[arg-type]
    return replace(health(facts, facts if facts.writer_pid is None else later(facts)), service=service)


def test_who_goes_blind_is_an_error_unless_the_configuration_wants_it_so() -> None:
    [found] = ring_findings(served(RING, listeners=(LISTENER,)))
    assert (found.severity, found.do) == (Severity.ERROR, "stop it")
    assert found.what == f"somebody goes blind: {LISTENER.removesuffix('; stop it')}"
    for fine in (served(RING), served(RING, delivery="steal", listeners=(LISTENER,))):
        assert [each.severity for each in ring_findings(fine)] == [Severity.OK]
    many = ring_findings(served(RING, listeners=(LISTENER,) * 300))
    assert (len(many), many[-1].what) == (6, "295 more sockets of this host go blind")


def test_a_link_that_is_down_is_an_error_with_its_line() -> None:
    [found] = ring_findings(served(RING, links=("eth1: link down: no carrier (down)",)))
    assert (found.severity, found.what) == (Severity.ERROR, "nothing comes in: eth1: link down: no carrier (down)")


@pytest.mark.parametrize(
    ("service", "what", "said"),
    [
        ({"ended": "read to its end"}, "its files have been read to their end", "read to the end of the files: main."),
        (
            {"ended": "read up to", "damaged": True},
            "its file was read up to where it is damaged; what comes after is not captured",
            "read only up to the DAMAGE: main.",
        ),
        ({"ended": STOPPED}, "it was stopped before the end of its file", "stopped before the end of the file: main."),
    ],
)
def test_how_a_file_ended_is_told(service: dict[str, object], what: str, said: str) -> None:
    found = served(replace(of_files(ENDED), readers=()), **service)
    told = ring_findings(found)
    assert [(each.severity, each.what) for each in told] == [(Severity.WARNING, f"not capturing: {what}")]
    assert headline([found], told) == said


def test_a_capture_that_ended_with_its_holder_says_so() -> None:
    told = ring_findings(served(ENDED, ended=HOLDER_DIED))
    assert told[0].what == "not capturing: the capture was ended, since its holder died"
    assert ring_findings(served(ENDED, ended=STOPPED))[0].what == "not capturing: the capture was ended"


def test_errors_come_first() -> None:
    found = ring_findings(health(RING, replace(recorder(later(), alive=False), fallback_reason="none free")))
    assert [each.severity for each in found] == [Severity.ERROR, Severity.WARNING]


def test_a_host_without_a_ring_and_a_ring_that_cannot_be_read_are_errors() -> None:
    none = nothing_there(None, "/dev/shm/nanotape")
    assert (none.severity, none.ring) == (Severity.ERROR, None)
    assert headline([], [none]) == "nothing is captured: there is no ring in /dev/shm/nanotape."
    assert "there is no ring west in" in nothing_there("west", "/x").what
    locked = unreadable(UnreadableRing("main", "/x/main.ring", "permission denied"))
    assert (locked.severity, locked.ring, locked.what) == (Severity.ERROR, "main", "cannot be read: permission denied")
    assert headline([], [locked]) == "cannot be read: permission denied."


def test_a_process_that_dies_again_and_again_is_told_and_one_that_died_twice_is_not() -> None:
    old, recent = (NOW_NS - RECENT_NS - SECOND_NS, NOW_NS - RECENT_NS // 2)
    deaths = (*(("recorder", at_ns) for at_ns in (old, recent, recent, recent)), ("capture", old), ("capture", recent))
    service = ServiceState(1, "exclusive", deaths=deaths)
    found = ring_health(look(), replace(look(later(), at_ns=NOW_NS + SECOND_NS), service=service))
    assert found.deaths == {"recorder": 3, "capture": 1}
    [told] = ring_findings(found)
    assert (told.severity, told.what) == (Severity.WARNING, "the recorder died 3 times in the last 10 minutes")


def test_books_that_begin_at_the_ring_are_known_to_do_so() -> None:
    sockets = replace(RING.sources[0], kind="socket")
    assert health().is_offered_known
    assert not health(replace(RING, sources=(sockets,))).is_offered_known
