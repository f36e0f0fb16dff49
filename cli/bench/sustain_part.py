"""`sustain`: 60 seconds at 1 Mpps to the disk, compressed, as a user would run it, with every packet looked for."""

from functools import partial
from pathlib import Path
from typing import Any

from nanotape.cli.bench import wire_nanotape
from nanotape.cli.bench.model import Options, PartResult, Target, Tell
from nanotape.cli.bench.recorder_memory import Memory, watched
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.bench.targets import judge
from nanotape.cli.bench.veth import Wire, wire
from nanotape.cli.bench.wire_nanotape import Setting
from nanotape.cli.bench.wire_part import line_of
from nanotape.cli.bench.workspace import workspace

NAME = "sustain"
TITLE = "A minute at 1 Mpps from the wire to the disk"

NEEDS_ROOT = True

_RATE, _SECONDS = 1_000_000, 60
_QUICK_RATE, _QUICK_SECONDS = 100_000, 1
_SETTING = Setting("nanotape, zstd 1", fsync="interval")
_FIGURES = ("pps", "lost", "cpu_us", "peak_mib", "growth_mib_a_minute", "steal")


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Args:
        options: Of these, `quick` and `folder`; it is run once, however many repetitions are asked for.
        tell: Takes one line.

    Returns:
        One repetition, as the part `wire` has them, and with the recorder's memory: `peak_mib`,
        `growth_mib_a_minute`.

    Raises:
        CaptureError: This machine cannot do it; the text says what is missing.
    """
    with workspace(options.folder) as place, wire(wire_nanotape.huge_bytes()) as line:
        one = _run(line, place.disk, options.quick)
    tell(f"sustain: {line_of(one)}")
    notes = [
        "Packets as those of the part `wire`: the same but for their number, which compresses well.",
        "The recorder as it is by default: zstd 1, fsync at every flush. Its memory is what it has beside the ring: "
        "anonymous pages, looked at ten times a second.",
    ]
    return PartResult(NAME, TITLE, [one], by_contender([one], _FIGURES), _targets(one, options.quick), notes)


def _run(line: Wire, folder: Path, quick: bool) -> dict[str, Any]:
    rate, seconds = (_QUICK_RATE, _QUICK_SECONDS) if quick else (_RATE, _SECONDS)
    memory = Memory()
    figures = wire_nanotape.run(_SETTING, line, folder, rate * seconds, rate, partial(watched, into=memory))
    return figures | {
        "rate": rate,
        "peak_mib": memory.peak_mib,
        "growth_mib_a_minute": memory.growth_mib_a_minute,
    }


def _targets(one: dict[str, Any], quick: bool) -> list[Target]:
    short = f"quick: {_QUICK_SECONDS} s at {_QUICK_RATE / 1e6:g} Mpps" if quick else ""
    where = ", ".join(f"{stage} {count:,}" for stage, count in one["lost_at"].items())
    growth = one["growth_mib_a_minute"]
    told = "" if growth is None or quick else f"it grew by {growth:.1f} MiB a minute in the second half"
    return [
        judge("sustain", one["lost"], "; ".join(word for word in (short, where) if word)),
        judge("memory", one["peak_mib"], "; ".join(word for word in (short, told) if word)),
    ]
