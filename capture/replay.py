"""Sends frames out of an interface, whole, each when it is due: as they came, faster, slower, or at a fixed rate.

Nothing is sent before it is due, and nothing is left out because it is late: what is late goes at once, in order. Says
how exact it was. Needs CAP_NET_RAW.
"""

import errno
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.errors import ReplayError, ReplayUsageError
from nanotape.capture.replay_timing import Timing, TimingErrors

Chunk = Sequence[tuple[int, bytes]]
"""Frames with their stamps: UTC, nanoseconds. Of at most `CHUNK_FRAMES`, so that to make one takes no long time."""
CHUNK_FRAMES = 512

LATE_NS = 1_000_000
_SPIN_NS = 200_000  # a sleep may be as much too long
_AHEAD_CHUNKS = 64
_SEND_BUFFER_BYTES = 4 << 20
_REFUSED_MOST_NS = 5 * 10**9
_REFUSED_SLEEP_S = 20e-6
_SWITCH_S = 100e-6
_SLEEP_MOST_NS = 200_000_000  # so that a stop is noticed
_FOLD_NS = 20_000_000
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """When frames are due."""

    speed: float = 1.0
    """2: twice as fast as they came."""
    rate_pps: float | None = None
    """So many a second, evenly, whatever their stamps say; None: by their stamps."""
    loops: int = 1
    """How often all of them are sent."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was sent, and how exactly."""

    sent: int
    bytes: int
    too_long: int
    """Frames that the interface does not take: left out."""
    refused: int
    """Times that the kernel had no room (ENOBUFS); the frame was offered again until it had."""
    interface_drops: int | None
    """What the interface says that it dropped meanwhile, of anybody's; None: it cannot be asked."""
    seconds: float
    late: int
    """Frames that were sent more than `LATE_NS` after they were due."""
    timing: Timing
    """Of sent minus due, where sent is when the kernel had taken it."""
    is_stopped: bool


class Wire:
    """An interface to send whole frames out of."""

    def __init__(self, interface: str) -> None:
        """Opens it.

        Raises:
            ReplayUsageError: There is no such interface.
            ReplayError: This process may not.
        """
        self.interface = interface
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: nothing is received
        except PermissionError:
            raise ReplayError(
                f"{interface}: to send whole frames takes CAP_NET_RAW, which this process has not; "
                "run as root, or: setpriv --ambient-caps +net_raw --inh-caps +net_raw"
            ) from None
        try:
            self._socket.bind((interface, 0))
        except OSError as error:
            self._socket.close()
            known = ", ".join(name for _, name in socket.if_nameindex())
            raise ReplayUsageError(
                f"{interface}: an interface expected, found {error.strerror}; here are {known}"
            ) from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.send = self._socket.send
        """Hands a frame over; OSError says why not."""

    @property
    def mac(self) -> bytes:
        """Its own address."""
        return bytes(self._socket.getsockname()[4])

    def drops(self) -> int | None:
        """Frames that it dropped since it was made; None: it cannot be asked."""
        try:
            return int(Path(f"/sys/class/net/{self.interface}/statistics/tx_dropped").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Gives the socket back."""
        self._socket.close()


class Replay:
    """One replay."""

    def __init__(
        self,
        wire: Wire,
        pace: Pace,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Sends nothing yet.

        Args:
            wire: Where to.
            pace: When.
            is_stopped: Asked between frames.
            now_ns: A clock that does not jump.
            sleep: Takes seconds; may take longer.
        """
        self._wire, self._pace, self._is_stopped = wire, pace, is_stopped
        self._now_ns, self._sleep = now_ns, sleep
        self._errors = TimingErrors()
        self._sent = self._bytes = self._too_long = self._refused = self._late = 0
        self._begun_ns = self._ended_ns = 0
        self._next_due_ns = 0
        """0: as soon as the first frame is there."""

    def run(self, chunks: Callable[[], Iterable[Chunk]]) -> ReplayReport:
        """Sends all.

        Args:
            chunks: Gives the frames, once for each loop; called in a thread of its own.

        Raises:
            ReplayError: The interface takes no frames.
            Exception: What `chunks` raises.
        """
        drops = self._wire.drops()
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)  # who reads ahead must not hold up who sends
        try:
            for _ in range(self._pace.loops):
                self._send_all(chunks)
        finally:
            sys.setswitchinterval(switch_s)
        after = self._wire.drops()
        return ReplayReport(
            self._sent,
            self._bytes,
            self._too_long,
            self._refused,
            None if drops is None or after is None else after - drops,
            max(0, self._ended_ns - self._begun_ns) / 1e9,
            self._late,
            self._errors.timing(),
            self._is_stopped(),
        )

    def _send_all(self, chunks: Callable[[], Iterable[Chunk]]) -> None:
        """Sends them once. A further loop goes on after the mean distance between the frames of the one before."""
        frames = first_ts_ns = 0
        first_due_ns = due_ns = self._next_due_ns
        for chunk in _ahead(chunks, self._is_stopped):
            if not frames and chunk:
                first_ts_ns = chunk[0][0]
                # To read takes its time: that of a further loop does not make its frames late.
                first_due_ns = due_ns = max(first_due_ns, self._now_ns() + _SPIN_NS)
                self._begun_ns = self._begun_ns or first_due_ns
            for ts_ns, frame in chunk:
                # A stamp that goes back is due with the one before: order comes first.
                due_ns = max(due_ns, first_due_ns + self._offset_ns(frames, ts_ns - first_ts_ns))
                self._wait(due_ns)
                if self._is_stopped():
                    return
                self._send(frame, due_ns)
                frames += 1
        self._next_due_ns = due_ns + (due_ns - first_due_ns) // max(1, frames - 1)

    def _offset_ns(self, place: int, passed_ns: int) -> int:
        if self._pace.rate_pps is not None:
            return int(place * 1e9 / self._pace.rate_pps)
        return passed_ns if self._pace.speed == 1.0 else int(passed_ns / self._pace.speed)

    def _wait(self, due_ns: int) -> None:
        while (left_ns := due_ns - self._now_ns()) > 0:
            if left_ns > _FOLD_NS or self._errors.is_full:
                self._errors.fold()
            if left_ns > _SPIN_NS:
                if self._is_stopped():
                    return
                self._sleep(min(left_ns - _SPIN_NS, _SLEEP_MOST_NS) / 1e9)

    def _send(self, frame: bytes, due_ns: int) -> None:
        """Hands a frame over, and again while the kernel has no room for it."""
        refused_ns = None
        while True:
            try:
                self._wire.send(frame)
                break
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._too_long += 1
                    return
                now_ns = self._now_ns()
                refused_ns = refused_ns or now_ns
                if error.errno != errno.ENOBUFS or now_ns - refused_ns > _REFUSED_MOST_NS:
                    raise ReplayError(
                        f"{self._wire.interface}: expected it to take frames, it refuses after {self._sent:,}: "
                        f"{error.strerror}; see to the interface (ip link show)"
                    ) from None
                self._refused += 1
                self._sleep(_REFUSED_SLEEP_S)
        self._ended_ns = self._now_ns()
        error_ns = self._ended_ns - due_ns
        self._errors.add(error_ns)
        self._late += error_ns > LATE_NS
        self._sent += 1
        self._bytes += len(frame)


def _ahead(chunks: Callable[[], Iterable[Chunk]], is_stopped: Callable[[], bool]) -> Iterator[Chunk]:
    """The chunks, read ahead by a thread, up to a stop; the first comes when it is as far ahead as it may be."""
    ready: queue.Queue[Chunk | BaseException | None] = queue.Queue(_AHEAD_CHUNKS)
    is_wanted = threading.Event()
    is_wanted.set()
    is_ahead = threading.Event()

    def hand_over(item: Chunk | BaseException | None) -> None:
        while is_wanted.is_set():
            try:
                ready.put(item, timeout=_LOOK_S)
                return
            except queue.Full:
                is_ahead.set()

    def read() -> None:
        try:
            for chunk in chunks():
                hand_over(chunk)
                if not is_wanted.is_set():
                    return
            hand_over(None)
        except BaseException as error:  # raised again where frames are sent
            hand_over(error)
        finally:
            is_ahead.set()

    thread = threading.Thread(target=read, name="nanotape-replay", daemon=True)
    thread.start()
    try:
        while not is_ahead.wait(_LOOK_S):
            if is_stopped():
                return
        while not is_stopped():
            try:
                item = ready.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_wanted.clear()
        thread.join()
