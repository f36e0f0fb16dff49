"""A recorder of a synthetic ring with clock and disk in the test's hand."""

from typing import Any

from synthetic import SyntheticReader, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

SECOND_NS = 10**9


class HandClock:
    """Stands still until it is moved; to sleep moves it."""

    def __init__(self) -> None:
        self.now_ns = 50 * SECOND_NS

    def utc_ns(self) -> int:
        return 1_795_207_020_000_000_000 + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


def later(seconds: int = 10) -> HandClock:
    """A clock that is ahead of that of the recorders before, as a real one is."""
    clock = HandClock()
    clock.sleep(seconds)
    return clock


class Bench:
    """A recorder of a synthetic ring, its clock and what it said."""

    def __init__(
        self,
        archive: Archive,
        ring: SyntheticRing,
        clock: HandClock | None = None,
        largest: int = 1 << 20,
        **options: Any,
    ) -> None:
        self.ring, self.archive, self.clock = ring, archive, clock or HandClock()
        self.reader = SyntheticReader(ring, largest)
        self.lines: list[str] = []
        options = {"fsync": Fsync.NEVER, **options}
        self.recorder = Recorder(
            ring, self.reader, archive, RecorderOptions(**options), clock=self.clock, log=self.lines.append
        )

    def record_all(self) -> None:
        while self.recorder.step():
            pass

    def die(self) -> None:
        """What the kernel does to the lock of a killed process."""
        assert self.recorder.recording.files._folder is not None
        self.recorder.recording.files._folder.release()

    def sequences(self) -> list[int]:
        return self.archive.table(["ring_seq"]).column("ring_seq").to_pylist()  # type: ignore[no-any-return]


def recorded(archive: Archive, ring: SyntheticRing, **options: Any) -> Bench:
    """Records all that the ring holds and stops."""
    bench = Bench(archive, ring, **options)
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.finish()
    return bench
