"""`wire`: packets from an in-kernel generator over a veth to the disk, by nanotape, tcpdump, dumpcap and netsniff-ng.

Each gets the same packets, core and disk. The others have a kernel buffer of 512 MiB, nanotape a ring of 512 MiB behind
the RX ring of its NIC. Every packet of every run is looked for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nanotape.cli.bench import wire_nanotape, wire_tools
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.veth import FRAME_BYTES, Wire, wire
from nanotape.cli.bench.wire_nanotape import Setting
from nanotape.cli.bench.wire_verdict import PLAIN, VARIED, ZSTD, losses, summary, targets
from nanotape.cli.bench.workspace import check_room, workspace

NAME = "wire"
TITLE = "From the wire to the disk, beside tcpdump, dumpcap and netsniff-ng"

NEEDS_ROOT = True

MAXIMUM = 0
"""As a rate: as fast as the generator goes."""
_RATES = (250_000, 1_000_000, 2_000_000, MAXIMUM)
_PACKETS = 10_000_000
_SLOW_PPS, _SLOW_S = 1_000_000, 3
"""Below this rate a run has fewer packets, so many seconds of them: it would say no more, and take minutes."""
_ROOM_BYTES = 512
"""On the disk for each packet of a run: more than any of them takes."""
_QUICK_RATES, _QUICK_PACKETS = (100_000, MAXIMUM), 20_000
_SETTINGS = (Setting(ZSTD), Setting(PLAIN, compression="none"))
_HARDER = Setting(VARIED, varied=True)
_HARDER_RATES = (1_000_000, MAXIMUM)

Contender = Callable[[Wire, Path, int, int], dict[str, Any]]
"""Takes the wire, a folder on the disk, how many packets, and their rate."""


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Args:
        options: Of these, `quick`, `repetitions` and `folder`.
        tell: Takes one line for each run.

    Returns:
        Repetitions with `contender`, `rate` (packets a second, 0 for the maximum), `sent`, `captured`, `lost`, `pps`
        (reached), `cpu_us` and `sender_cpu_us` (CPU microseconds a packet), `bytes` (on disk), `steal` (share while
        they were sent), and more, see wire_nanotape and wire_tools.

    Raises:
        CaptureError: This machine cannot do it; the text says what is missing.
    """
    repetitions: list[dict[str, Any]] = []
    with workspace(options.folder) as place, wire(wire_nanotape.huge_bytes()) as line:
        check_room(place.disk, packets_at(MAXIMUM, options.quick) * _ROOM_BYTES)
        for number in range(1 if options.quick else options.repetitions):
            for rate in _QUICK_RATES if options.quick else _RATES:
                for one in _one_round(line, place.disk, rate, options.quick):
                    repetitions.append({"repetition": number, "rate": rate} | one)
                    tell(f"wire: {line_of(repetitions[-1])}")
        has_huge_pages = line.scene.hugepages is not None
    notes = [*_notes(options, has_huge_pages), losses(repetitions)]
    return PartResult(NAME, TITLE, repetitions, summary(repetitions), targets(repetitions), notes)


def _contenders(*, with_others: bool, harder: bool) -> Iterator[Contender]:
    for setting in (*_SETTINGS, *((_HARDER,) if harder else ())):
        yield partial(wire_nanotape.run, setting)
    for tool in wire_tools.installed() if with_others else ():
        yield partial(wire_tools.run, tool)


def _one_round(line: Wire, folder: Path, rate: int, quick: bool) -> Iterator[dict[str, Any]]:
    """Each contender once."""
    harder = not quick and rate in _HARDER_RATES
    for contender in _contenders(with_others=not quick or rate == MAXIMUM, harder=harder):
        yield contender(line, folder, packets_at(rate, quick), rate)


def packets_at(rate: int, quick: bool) -> int:
    """How many packets a run has."""
    if quick:
        return _QUICK_PACKETS
    return rate * _SLOW_S if 0 < rate < _SLOW_PPS else _PACKETS


def line_of(repetition: dict[str, Any]) -> str:
    """One run in a line."""
    asked = f"{repetition['rate'] / 1e6:g} Mpps" if repetition["rate"] else "the maximum"
    reached = f"{repetition['sent']:,} sent at {repetition['pps'] / 1e6:.2f} Mpps, {repetition['lost']:,} lost"
    return f"{repetition['contender']} at {asked}: {reached}, {repetition['cpu_us']:.2f} us of CPU a packet"


def _notes(options: Options, has_huge_pages: bool) -> list[str]:
    """What a reader of the figures must know."""
    pages = "2 MiB pages" if has_huge_pages else "ordinary pages, no huge ones were to be had"
    size = f"{FRAME_BYTES}-byte frames, {_PACKETS // 10**6} million a run"
    packet_memory = wire_nanotape.DESCRIPTORS * wire_nanotape.UMEM_FRAME_BYTES
    memory = (
        f"a ring of {wire_nanotape.RING_BYTES >> 20} MiB between capture and recorder; before it, in the place of a "
    )
    memory += f"NIC's own, an RX ring of {wire_nanotape.DESCRIPTORS:,} descriptors ({packet_memory >> 20} MiB); {pages}"
    notes = [
        f"{size}; below 1 Mpps {_SLOW_S} seconds of them. Each carries its number, which is looked for in "
        "what was captured. The rest of the payload is the same in all, which compresses well; of "
        f"`{VARIED}` a third of it differs.",
        "The generator has one core, each capture the other with all its processes and threads. A veth's NAPI runs in "
        "the generator's system call: the kernel's part of receiving is in `sender_cpu_us`, for all contenders alike.",
        f"nanotape: {memory}; the loop sleeps when idle, since it shares its core with the recorder. The recorder "
        "syncs once a second, its default; the others never do, and what the kernel's threads spend on writing their "
        "pages out later is not counted. zstd is level 1.",
        f"The others: a kernel buffer of {wire_tools.BUFFER_MIB} MiB, pcap files, no compression. "
        "CPU time is of the capturing processes from the first packet to their end, without their start. Bytes are "
        "those that lie on the disk, without the holes that an uncompressed segment has.",
        "The generator does not catch up: where it had no CPU for 5 ms, its schedule is put off (`slipped_s`).",
    ]
    if options.quick:
        notes.append(
            f"quick: {_QUICK_PACKETS:,} packets a run, so that the CPU time of an ending weighs as much as theirs; the "
            "others at the generator's maximum only."
        )
    absent = wire_tools.absent()
    if absent:
        notes.append(f"not installed here, and so not measured: {', '.join(absent)}; see scripts/debian-packages.txt.")
    return notes
