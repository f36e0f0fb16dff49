"""Medians and spread of repeated measurements."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any


def spread(values: Iterable[float | None]) -> dict[str, Any]:
    """Median, least, greatest and number of what was measured; all but the number are None where nothing was."""
    known = [value for value in values if value is not None]
    if not known:
        return {"median": None, "min": None, "max": None, "n": 0}
    return {"median": statistics.median(known), "min": min(known), "max": max(known), "n": len(known)}


def by_contender(repetitions: Sequence[dict[str, Any]], figures: Sequence[str]) -> dict[str, Any]:
    """The spread of each figure, by the repetitions' `contender`, in the order in which they first came."""
    contenders = list(dict.fromkeys(repetition["contender"] for repetition in repetitions))
    return {
        contender: {
            figure: spread(each.get(figure) for each in repetitions if each["contender"] == contender)
            for figure in figures
        }
        for contender in contenders
    }


def median(summary: dict[str, Any], contender: str, figure: str) -> float | None:
    """One median of `by_contender`; None where it was not measured."""
    value = summary.get(contender, {}).get(figure, {}).get("median")
    return None if value is None else float(value)
