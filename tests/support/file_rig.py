"""A service that reads a capture file, and what must then stand in the archive: each frame and stamp, once."""

from __future__ import annotations

import contextlib
import gzip
import pathlib
import random
from collections.abc import Callable, Iterator, Sequence

import zstandard
from archive_truth import assert_sequences_once
from deadline import wait_for
from pcap_file import CapturedFrame
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.service import Happening, Service
from nanotape.storage.archive import Archive

START_NS = 1_700_000_000 * 10**9
PARTS = 5  # gzip members or zstd frames of a compressed file


@contextlib.contextmanager
def file_rig(
    file: pathlib.Path,
    speed: str = "max",
    capacity: str = "1 MiB",
    source: str = "",
    channels: str = "",
    recorder: str = "",
) -> Iterator[Rig]:
    """A rig whose configuration reads a file; without channels, all of it is recorded."""
    source = f'file = "{file}"\nspeed = "{speed}"\n{source}'
    wanted = Wanted(
        kind="pcap", interface="pcap", capacity=capacity, source=source, channels=channels, recorder=recorder, lines=()
    )
    with make_rig(wanted, None) as rig:
        yield rig


def read_to_the_end(service: Service, seconds: float = 60.0) -> list[Happening]:
    """Until the capture has finished; returns what happened meanwhile."""
    happened: list[Happening] = []

    def finished() -> bool:
        happened.extend(service.wait(0.1))
        return service.finished

    wait_for(finished, "the end of the file", seconds)
    return happened


def recorded(archive: Archive) -> list[tuple[bytes, int, int]]:
    """Every row as (frame, length on the wire, stamp in nanoseconds), in order."""
    table = archive.table(["header", "payload", "trailer", "wire_len", "ts"])
    frames = zip(*(table.column(name).to_pylist() for name in ("header", "payload", "trailer")), strict=True)
    stamps = table.column("ts").cast("int64").to_pylist()
    lengths = table.column("wire_len").to_pylist()
    return [(b"".join(parts), length, stamp) for parts, length, stamp in zip(frames, lengths, stamps, strict=True)]


def expected(frames: Sequence[CapturedFrame]) -> list[tuple[bytes, int, int]]:
    """What `recorded` must return for these packets."""
    return [(captured.frame, captured.wire_length, captured.ts_ns) for captured in frames]


def assert_recorded(rig: Rig, frames: Sequence[CapturedFrame]) -> None:
    """Exactly these, in order, each ring sequence once."""
    assert assert_sequences_once(rig.archive()) == len(frames)
    assert recorded(rig.archive()) == expected(frames)


def _in_parts(data: bytes, compress: Callable[[bytes], bytes]) -> bytes:
    size = len(data) // PARTS + 1
    return b"".join(compress(data[at : at + size]) for at in range(0, len(data), size))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: _in_parts(data, gzip.compress),
    "zstd": lambda data: _in_parts(data, zstandard.compress),
}


def made(count: int, gap_ns: int = 1000, size: int = 200) -> list[CapturedFrame]:
    """Numbered frames that are nobody's protocol."""
    filling = random.Random(3).randbytes(size)
    header = bytes(12) + b"\x88\xb5"
    return [
        CapturedFrame(header + number.to_bytes(8, "big") + filling, 22 + size, START_NS + number * gap_ns)
        for number in range(count)
    ]


def waits_for_the_recorder(rig: Rig, total: int) -> bool:
    """Whether the capture has put something into the ring, and keeps the rest back."""
    with rig.ring() as ring:
        (source,) = ring.sources()
        return source.loop.packets > 100 and source.loop.packets < total and source.loop.polls_idle > 10


def in_ring(rig: Rig) -> int:
    """Packets in the ring, of all its writers."""
    with rig.ring() as ring:
        return sum(source.loop.packets for source in ring.sources())
