"""When frames go out, by a clock in the test's hand."""

import errno
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from nanotape.capture.errors import ReplayError
from nanotape.capture.replay import Chunk, Pace, Replay, ReplayReport

START_NS = 5_000_000_000


@dataclass
class Hand:
    """A clock that a look moves by a little, and a sleep by what it is told to."""

    now: int = START_NS

    def now_ns(self) -> int:
        self.now += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@dataclass
class FakeWire:
    """Remembers when it was handed what."""

    clock: Hand
    interface: str = "eth9"
    refusals: list[int] = field(default_factory=list)
    """Errors to come, before it takes frames."""
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    dropped: int | None = 3

    def send(self, frame: bytes) -> int:
        if self.refusals:
            number = self.refusals.pop(0)
            raise OSError(number, errno.errorcode[number])
        self.sent.append((self.clock.now, frame))
        return len(frame)

    def drops(self) -> int | None:
        return self.dropped


def run(
    chunks: list[Chunk], pace: Pace | None = None, stop_after: int | None = None, refusals: list[int] | None = None
) -> tuple[FakeWire, ReplayReport]:
    clock = Hand()
    wire = FakeWire(clock, refusals=refusals or [])
    replay = Replay(
        wire,  # type: ignore[arg-type]
        pace or Pace(),
        is_stopped=lambda: stop_after is not None and len(wire.sent) >= stop_after,
        now_ns=clock.now_ns,
        sleep=clock.sleep,
    )
    return wire, replay.run(lambda: iter(chunks))


def offsets(wire: FakeWire) -> list[int]:
    """When each was sent after the first, in microseconds: the clock moves by nanoseconds as it is looked at."""
    return [round((at - wire.sent[0][0]) / 1000) for at, _ in wire.sent]


STAMPED: list[Chunk] = [[(100_000_000, b"a"), (150_000_000, b"b")], [(150_000_000, b"c"), (700_000_000, b"d")]]


def test_frames_go_out_at_the_distances_of_their_stamps_over_chunks() -> None:
    wire, report = run(STAMPED)
    assert [frame for _, frame in wire.sent] == [b"a", b"b", b"c", b"d"]
    assert offsets(wire) == [0, 50_000, 50_000, 600_000]
    assert (report.sent, report.bytes, report.late, report.interface_drops) == (4, 4, 0, 0)
    assert report.seconds == pytest.approx(0.6, rel=0.01)


def test_a_speed_divides_the_distances_and_a_rate_replaces_them() -> None:
    assert offsets(run(STAMPED, Pace(speed=0.5))[0]) == [0, 100_000, 100_000, 1_200_000]
    assert offsets(run(STAMPED, Pace(rate_pps=1000))[0]) == [0, 1000, 2000, 3000]


def test_a_stamp_that_goes_back_keeps_its_place() -> None:
    wire, _ = run([[(10_000_000, b"a"), (30_000_000, b"b"), (20_000_000, b"c"), (40_000_000, b"d")]])
    assert [frame for _, frame in wire.sent] == [b"a", b"b", b"c", b"d"]
    assert offsets(wire) == [0, 20_000, 20_000, 30_000]


def test_a_loop_goes_on_after_the_mean_distance() -> None:
    wire, report = run([[(0, b"a"), (4_000_000, b"b"), (8_000_000, b"c")]], Pace(loops=3))
    assert offsets(wire) == [4000 * at for at in range(9)]
    assert report.sent == 9


def test_a_frame_that_the_kernel_has_no_room_for_is_offered_again() -> None:
    wire, report = run(STAMPED, refusals=[errno.ENOBUFS, errno.ENOBUFS])
    assert [frame for _, frame in wire.sent] == [b"a", b"b", b"c", b"d"]
    assert report.refused == 2


def test_a_frame_that_is_too_long_is_left_out_and_counted() -> None:
    wire, report = run(STAMPED, refusals=[errno.EMSGSIZE])
    assert [frame for _, frame in wire.sent] == [b"b", b"c", b"d"]
    assert (report.sent, report.too_long) == (3, 1)


def test_an_interface_that_is_down_is_an_error_that_names_it() -> None:
    with pytest.raises(ReplayError, match="eth9: expected it to take frames, it refuses after 0: ENETDOWN"):
        run(STAMPED, refusals=[errno.ENETDOWN])


def test_a_stop_ends_it_between_frames() -> None:
    wire, report = run(STAMPED, stop_after=2)
    assert len(wire.sent) == report.sent == 2
    assert report.is_stopped


def test_what_is_late_goes_at_once_and_is_counted() -> None:
    clock = Hand()
    wire = FakeWire(clock)
    replay = Replay(wire, Pace(), now_ns=clock.now_ns, sleep=lambda s: clock.sleep(s + 0.01))  # type: ignore[arg-type]
    report = replay.run(lambda: iter([[(at * 1_000_000, b"x") for at in range(100)]]))
    assert report.sent == 100
    assert report.late > 50
    assert report.timing.max_ns is not None
    assert 5_000_000 < report.timing.max_ns < 11_000_000
    assert report.timing.p50_ns == pytest.approx(4_500_000, rel=0.5)


def test_what_the_frames_source_raises_is_raised() -> None:
    def broken() -> Iterator[Chunk]:
        yield [(0, b"a")]
        raise ValueError("damaged")

    clock = Hand()
    wire = FakeWire(clock)
    with pytest.raises(ValueError, match="damaged"):
        Replay(wire, Pace(), now_ns=clock.now_ns, sleep=clock.sleep).run(broken)  # type: ignore[arg-type]


def test_nothing_to_send_is_a_report_of_nothing() -> None:
    wire, report = run([])
    assert (wire.sent, report.sent, report.timing.p50_ns, report.seconds) == ([], 0, None, 0)


def test_a_stop_is_not_held_up_by_frames_that_do_not_come() -> None:
    clock, released = Hand(), threading.Event()
    in_time: list[bool] = []
    wire = FakeWire(clock)

    def slow() -> Iterator[Chunk]:
        yield [(0, b"a")]
        in_time.append(released.wait(10))

    stopped = itertools.chain([False], itertools.repeat(True))

    def is_stopped() -> bool:
        if answer := next(stopped):
            released.set()
        return answer

    report = Replay(wire, Pace(), is_stopped=is_stopped, now_ns=clock.now_ns, sleep=clock.sleep).run(slow)  # type: ignore[arg-type]
    assert (report.sent, report.is_stopped, in_time) == (0, True, [True])
