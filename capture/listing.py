"""All rings of this machine, each with its sources and readers, as facts of one moment. Needs no writer to be alive."""

import os
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.counters import Flow, LoopGaps, SourceCounters, SystemCalls
from nanotape.capture.errors import PermissionDenied, RingError
from nanotape.capture.readers import RUN_DIRECTORY, ReaderFacts, list_readers
from nanotape.capture.ring import RING_SUFFIX, SHM_DIRECTORY, Ring
from nanotape.native import ffi, lib


@dataclass(frozen=True, slots=True)
class RingFacts:
    """One ring."""

    name: str
    path: str
    host: str
    ring_id: str
    capacity_bytes: int
    memory: str
    """`shm`, `huge_2m`, `huge_1g`."""
    fallback_reason: str | None
    """Why it is not on huge pages; None when it is, or they were not asked for."""
    locked: bool
    created_ns: int
    epoch: int
    clock_domain: str
    writer_pid: int | None
    """None after a clean end."""
    writer_alive: bool
    published_bytes: int
    packets: int
    """Records put into the ring since it was made."""
    flows: tuple[Flow, ...]
    sources: tuple[SourceCounters, ...]
    readers: tuple[ReaderFacts, ...]
    system_calls: SystemCalls
    """Of its loops: a defect each."""
    gaps: LoopGaps | None = None
    """Times at which the loop came late to its sources; None: nobody measures."""


@dataclass(frozen=True, slots=True)
class UnreadableRing:
    """A ring's file that could not be opened, and why."""

    name: str
    path: str
    error: str


def describe(ring: Ring, run_directory: Path = RUN_DIRECTORY, known: tuple[Flow, ...] = ()) -> RingFacts:
    """What there is to say about an open ring; readers are looked at before the writer's position.

    Args:
        ring: An open one.
        run_directory: Where its readers tell of themselves.
        known: Its flow table as it was at an earlier look: it only ever grows, and takes long to read.
    """
    readers = list_readers(ring, run_directory)
    sources = ring.sources()
    return RingFacts(
        name=ring.name,
        path=str(ring.path or ""),
        host=ring.host,
        ring_id=ring.ring_id,
        capacity_bytes=ring.capacity_bytes,
        memory=ring.memory,
        fallback_reason=ring.fallback_reason,
        locked=ring.locked,
        created_ns=ring.created_ns,
        epoch=ring.epoch,
        clock_domain=ring.clock_domain,
        writer_pid=ring.writer_pid,
        writer_alive=ring.writer_alive,
        published_bytes=ring.tail,
        packets=sum(source.loop.packets for source in sources),
        flows=known if lib.nt_ring_flow_count(ring.handle) == len(known) else ring.flows(),
        sources=sources,
        readers=readers,
        system_calls=ring.system_calls(),
        gaps=ring.gaps(),
    )


def list_rings(
    shm_directory: str | Path = SHM_DIRECTORY, run_directory: str | Path = RUN_DIRECTORY
) -> tuple[RingFacts | UnreadableRing, ...]:
    """All rings in a folder, by name; one that cannot be opened is listed with the reason.

    Raises:
        PermissionDenied: The folder may not be listed by this user: whether it holds any nobody can tell.
    """
    found: list[RingFacts | UnreadableRing] = []
    for path in _ring_files(Path(shm_directory)):
        try:
            with Ring.open(path) as ring:
                found.append(describe(ring, Path(run_directory)))
        except RingError as error:
            found.append(UnreadableRing(path.name.removesuffix(RING_SUFFIX), str(path), str(error)))
    return tuple(found)


def _ring_files(folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)
    except PermissionError as error:
        raise PermissionDenied(
            f"{folder}: cannot be listed: {error.strerror}; run as root, or let this user into it"
        ) from None
    except OSError:  # there is none
        return []
    return sorted(folder / name for name in names if name.endswith(RING_SUFFIX))


def remove_ring(name: str, shm_directory: str | Path = SHM_DIRECTORY) -> None:
    """Removes the files of a ring that no process writes.

    Raises:
        RingError: There is none, a writer lives, or the files may not be removed.
    """
    fault = ffi.new("struct nt_fault *")
    if lib.nt_ring_remove(bytes(Path(shm_directory)), name.encode(), fault):
        raise RingError(ffi.string(fault.text).decode("utf-8", "replace"))
