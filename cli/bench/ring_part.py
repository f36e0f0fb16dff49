"""Part `ring`: what a packet costs from memory into the ring, beside a plain memcpy of the same bytes."""

from typing import Any

from nanotape.cli.bench.model import Options, PartResult, Target, Tell
from nanotape.cli.bench.native import cores, run_native
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.summary import by_contender, median
from nanotape.cli.bench.targets import judge
from nanotape.cli.bench.workspace import Workspace, workspace

NAME, TITLE, NEEDS_ROOT = "ring", "Memory into the ring, ns a packet", False
FRAME_BYTES, READERS = (64, 242, 1400), (0, 1, 3)
_RING_BYTES = 256 << 20
_BYTES = 4 << 30
"""Written in a repetition: the ring is filled many times over, so that its first round does not matter."""
_QUICK_PACKETS = 200_000
_OF_TARGET = "242 B"


def contender(frame_bytes: int, readers: int) -> str:
    """The name of one row."""
    attached = {0: "", 1: ", 1 reader"}.get(readers, f", {readers} readers")
    return f"{frame_bytes} B{attached}"


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Raises:
        BenchError: The ring cannot be made.
    """
    repetitions = []
    with workspace(options.folder, _RING_BYTES + (4 << 20)) as place:
        for number in range(options.repetitions):
            tell(f"ring: repetition {number + 1} of {options.repetitions}")
            repetitions += [_one(options, place, size, readers) for size in FRAME_BYTES for readers in READERS]
    summary = by_contender(repetitions, ("ring_ns", "memcpy_ns", "ratio", "steal"))
    return PartResult(NAME, TITLE, repetitions, summary, _targets(summary), _notes(repetitions))


def _one(options: Options, place: Workspace, frame_bytes: int, readers: int) -> dict[str, Any]:
    packets = _QUICK_PACKETS if options.quick else _BYTES // (frame_bytes + 48)
    measured, other = cores()
    where = ["--shm", place.memory, "--capacity", _RING_BYTES]
    where += ["--hugepages", place.hugepages] if place.hugepages else []
    what = ["--frame-bytes", frame_bytes, "--packets", packets, "--readers", readers]
    with Steal() as steal:
        found = run_native("ring", *map(str, where + what), "--core", measured, "--reader-core", other)
    whole = all(not each["error"] and each["records"] + each["lost"] == packets for each in found["readers"])
    return {
        "contender": contender(frame_bytes, readers),
        **found,
        "ratio": round(found["ring_ns"] / found["memcpy_ns"], 3),
        "read_share": [round(each["records"] / packets, 4) for each in found["readers"]],
        "exact": found["newest_seq"] == packets and whole,
        "steal": round(steal.share, 4),
    }


def _targets(summary: dict[str, Any]) -> list[Target]:
    return [
        judge("ring", median(summary, _OF_TARGET, "ring_ns")),
        judge("ring / memcpy", median(summary, _OF_TARGET, "ratio")),
    ]


def _notes(repetitions: list[dict[str, Any]]) -> list[str]:
    memory = {"shm": "ordinary pages in /dev/shm", "huge_2m": "2 MiB huge pages", "huge_1g": "1 GiB huge pages"}
    places = ", ".join(sorted({memory[each["memory"]] for each in repetitions}))
    last = repetitions[-1]
    filtered = "on: a system call would have killed it" if last["seccomp"] else "off"
    return [
        f"The ring has {_RING_BYTES >> 20} MiB on {places}; it is written over many times. The loop's filter of system "
        f"calls was {filtered}. After each run the newest {last['checked']:,} records were compared byte for byte.",
        "The memcpy copies the same frames out of the same memory to the same places of the same ring, on the same "
        "core, right after the loop, and nothing else: no header, no stamp, no count.",
        "Readers take what they can on the other core, all together on one; what they were too slow for they count as "
        "lost, and records and losses together are every packet.",
    ]
