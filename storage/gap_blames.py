"""Whose fault the gaps of each line were, counted over recorders as the decoder's own counts are."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nanotape.storage.gap_stats import Settled

Name = tuple[str, str, str]
"""Of a line: feed, channel and line."""


@dataclass(slots=True)
class _Blamed:
    """Of one line."""

    gaps_ours: int = 0
    missing_ours: int = 0
    gaps_theirs: int = 0
    missing_theirs: int = 0


class GapBlames:
    """Of one ring. A gap whose cause is not known is in none of the counts."""

    def __init__(self) -> None:
        """None was settled yet."""
        self._lines: dict[Name, _Blamed] = {}

    def take(self, settled: Sequence[Settled], names: Mapping[int, Name]) -> None:
        """Counts gaps; `names` are those of the flows, by id."""
        for each in settled:
            name = names.get(each.gap.flow_id)
            if name is None or each.blame.cause == "unknown":
                continue
            counts = self._lines.setdefault(name, _Blamed())
            if each.blame.cause == "ours":
                counts.gaps_ours += 1
                counts.missing_ours += each.gap.messages
            else:
                counts.gaps_theirs += 1
                counts.missing_theirs += each.gap.messages

    def of_line(self, name: Name) -> dict[str, int]:
        """Facts of a line as they are told."""
        counts = self._lines.get(name) or _Blamed()
        return {
            "gaps_ours": counts.gaps_ours,
            "missing_ours": counts.missing_ours,
            "gaps_theirs": counts.gaps_theirs,
            "missing_theirs": counts.missing_theirs,
        }

    def saved(self) -> list[list[Any]]:
        """For `restore` of the next recorder; JSON takes it."""
        return [[*name, *self.of_line(name).values()] for name in self._lines]

    def restore(self, saved: Sequence[Sequence[Any]]) -> None:
        """Goes on with the counts of the recorder before; what is not understood counts as none."""
        with suppress(ValueError, TypeError):
            for feed, channel, line, *counts in saved:
                self._lines[str(feed), str(channel), str(line)] = _Blamed(*map(int, counts))
