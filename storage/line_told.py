"""What a recorder tells others of its lines, once a second: counts, rates, peaks, whose gaps they are, who is first.

That others see it is worth less than that it is recorded: what cannot be told is left out.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nanotape.storage.gap_blames import GapBlames
from nanotape.storage.line_rates import ToldRates
from nanotape.storage.line_skew import LineSkew
from nanotape.storage.told_file import tell_file
from nanotape.storage.traffic_stats import LineName

_NO_FRAMING = ("", "none")


@dataclass(frozen=True, slots=True)
class LineKnowledge:
    """Where it comes from."""

    rates: ToldRates
    names: Mapping[LineName, int]
    """The place of each line in the rates."""
    skew: LineSkew
    blames: GapBlames
    framings: Mapping[int, str]
    """By flow."""
    now_ns: int | None = None
    """UTC; None: packets may wait to be read."""


def line_facts(lines: Sequence[Any], known: LineKnowledge) -> list[dict[str, Any]]:
    """Each line as it is told.

    Args:
        lines: `nanotape.capture.feeds.lines.LineFacts`.
        known: What else is known of them.
    """
    names = [each.name for each in fields(lines[0])] if lines else []
    leads = known.skew.tell(known.now_ns)
    told = []
    for line in lines:
        framing = known.framings.get(line.flow_id, "")
        is_decoded = framing not in _NO_FRAMING
        facts = {name: getattr(line, name) for name in names}
        facts["framing"] = framing or None
        key = known.names.get((line.feed or None, line.channel, line.line or None))
        facts |= known.rates.of_line(key, is_decoded=is_decoded)
        if is_decoded:
            facts |= known.blames.of_line((line.feed, line.channel, line.line))
        facts |= leads.get(line.flow_id, {})
        told.append(facts)
    return told


def tell_lines(path: Path, at_ns: int, lines: list[dict[str, Any]], ring: dict[str, Any], switches: Any) -> None:
    """Replaces the file.

    Args:
        path: RUN_DIR/RING/readers/RECORDER.feeds.json.
        at_ns: Now, UTC.
        lines: From `line_facts`.
        ring: Of all lines together.
        switches: Facts of the stamps of each interface's switch.
    """
    with suppress(OSError):
        tell_file(path, json.dumps({"at_ns": at_ns, "ring": ring, "lines": lines, "switches": switches}))
