"""Output that somebody looks on at: slow readers, readers that go, stops, full disks."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ring_batch import ring_batch

from nanotape.capture.errors import OutputFailed
from nanotape.capture.live_output import LiveOutput, OutputClosed, OutputStopped
from nanotape.capture.tail import TextSink


class Stop:
    """A stop that a test pulls."""

    def __init__(self) -> None:
        """Not yet."""
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        """Readable once pulled."""
        return self._read

    def pull(self) -> None:
        """Stops."""
        os.write(self._write, b"!")

    def close(self) -> None:
        """Frees both ends."""
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def stop() -> Iterator[Stop]:
    made = Stop()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_output_goes_through_a_pipe_whose_reader_dawdles(stop: Stop, pipe: tuple[int, int]) -> None:
    data = os.urandom(1 << 20)
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < len(data):
            got.append(os.read(pipe[0], 10_000))

    reader = threading.Thread(target=read)
    reader.start()
    LiveOutput(pipe[1], stop, "here").write(data)
    reader.join(30)
    assert b"".join(got) == data


def test_a_stop_ends_the_wait_for_a_reader_that_takes_nothing(stop: Stop, pipe: tuple[int, int]) -> None:
    output = LiveOutput(pipe[1], stop, "here")
    threading.Timer(0.05, stop.pull).start()
    with pytest.raises(OutputStopped):
        output.write(bytes(1 << 20))


def test_a_stop_lets_the_reader_have_what_was_begun(stop: Stop, pipe: tuple[int, int]) -> None:
    stop.pull()
    LiveOutput(pipe[1], stop, "here").write(b"whole")
    assert os.read(pipe[0], 100) == b"whole"


def test_a_reader_that_goes_is_noticed_while_writing_and_while_waiting(stop: Stop, pipe: tuple[int, int]) -> None:
    output = LiveOutput(pipe[1], stop, "here")
    output.nap(0.0)
    os.close(pipe[0])
    with pytest.raises(OutputClosed):
        output.nap(60.0)
    with pytest.raises(OutputClosed):
        output.write(b"x")


def test_a_stop_ends_a_nap(stop: Stop, pipe: tuple[int, int]) -> None:
    stop.pull()
    LiveOutput(pipe[1], stop, "here").nap(60.0)
    assert select.select([stop], [], [], 0)[0]


def test_a_full_disk_is_an_error_that_names_the_file(stop: Stop) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        output = LiveOutput(full.fileno(), stop, "/dev/full")
        with pytest.raises(OutputFailed, match=r"^/dev/full: cannot be written: No space left on device; make room"):
            TextSink(lambda _batch: "text", output.write).show(ring_batch([]))
