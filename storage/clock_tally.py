"""Sums up the rows of one clock, day after day, into facts; knows from a day to the next only what goes on.

A row speaks for the clock until the next one, for two seconds at most: after that nobody knows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.clock_days import LIMITS_NS, ClockCurve, ClockDay, Shares, longest_first
from nanotape.storage.clock_entries import STATES

SPEAKS_NS = 2 * 10**9
"""How long a row speaks for its clock where no other comes: rows are a second apart, and one may come late."""
COLUMNS = (
    "ts", "host", "clock", "interface", "state", "source", "offset_ns", "grandmaster", "utc_offset_s",
    "utc_offset_source", "error_ns", "method",
)  # fmt: skip
WORST_FIRST = ("unknown", "free-running", "acquiring", "holdover", "locked")
_HOLDOVER = "holdover"
_NOTHING = -1

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_Coded = tuple[Longs, Sequence[Any]]


class _Curve:
    """Largest values in each part of the whole time."""

    def __init__(self, begin_ns: int, end_ns: int, parts: int) -> None:
        self._begin_ns, self._width_ns = begin_ns, max(1, (end_ns - begin_ns) / parts)
        self._parts = parts
        self._errors, self._offsets = (np.full(parts, _NOTHING, np.int64) for _ in range(2))
        self._worst = np.full(parts, len(WORST_FIRST), np.int64)

    def add(self, ts: Longs, errors: Longs, offsets: Longs, states: Longs) -> None:
        """Rows; unknown is _NOTHING, and states are numbers in WORST_FIRST."""
        at = np.clip(((ts - self._begin_ns) / self._width_ns).astype(np.int64), 0, self._parts - 1)
        np.maximum.at(self._errors, at, errors)
        np.maximum.at(self._offsets, at, offsets)
        np.minimum.at(self._worst, at, states)

    def facts(self, host: str, clock: str) -> ClockCurve:
        """As a picture needs it."""
        words = (*WORST_FIRST, None)
        return ClockCurve(
            host, clock, _or_none(self._errors), _or_none(self._offsets), tuple(words[at] for at in self._worst)
        )


class ClockTally:
    """Of one clock of a host; days are given in order, none left out."""

    def __init__(self, host: str, clock: str, begin_ns: int, end_ns: int, parts: int) -> None:
        """For a report from `begin_ns` to `end_ns`, its picture in so many parts."""
        self.host, self.clock = host, clock
        self._curve = _Curve(begin_ns, end_ns, parts)
        self._last: pa.Table | None = None  # the newest row of the days before
        self._grandmaster: str | None = None
        self._utc_offset: str | None = None
        self._holdover_since_ns: int | None = None

    def curve(self) -> ClockCurve:
        """Of all that was added."""
        return self._curve.facts(self.host, self.clock)

    def add(self, date: str, begin_ns: int, end_ns: int, rows: pa.Table, steps: int = 0) -> ClockDay:
        """Takes a day.

        Args:
            date: Its name.
            begin_ns: UTC, where the report on it begins.
            end_ns: UTC, where that ends.
            rows: Of COLUMNS, of this clock in that time, by stamp.
            steps: As events tell.
        """
        together = rows if self._last is None else pa.concat_tables([self._last, rows])
        together = together.unify_dictionaries().combine_chunks()
        ts = together.column("ts").cast(pa.int64()).to_numpy()
        since, until = _spoken(ts, begin_ns, end_ns)
        spans = until - since
        errors = _numbers(together, "error_ns")
        is_new = np.arange(len(ts)) >= (0 if self._last is None else 1)
        bounded = spans[errors != _NOTHING]
        known = errors[errors != _NOTHING]
        states = _codes(together, "state")
        self._curve.add(
            ts[is_new],
            errors[is_new],
            np.where(_valid(together, "offset_ns"), np.abs(_numbers(together, "offset_ns")), _NOTHING)[is_new],
            _ranks(*states)[is_new],
        )
        worst = _worst(errors, spans, since)
        holdovers = self._holdovers(states, ts, until, begin_ns)
        shares = _shares(*states, spans)
        heard = _codes(together, "grandmaster")
        grandmasters, self._grandmaster = _changes(heard, self._grandmaster, is_new)
        offsets, self._utc_offset = _changes(_codes(together, "utc_offset_s"), self._utc_offset, is_new)
        self._last = together.slice(max(0, together.num_rows - 1))
        return ClockDay(
            date,
            self.host,
            self.clock,
            next((word for word in reversed(together.column("interface").unique().to_pylist()) if word), None),
            span_ns=end_ns - begin_ns,
            recorded_ns=int(spans.sum()),
            bounded_ns=int(bounded.sum()),
            within_ns=tuple(int(bounded[known <= limit].sum()) for limit in LIMITS_NS),
            worst_error_ns=worst[0],
            worst_at_ns=worst[1],
            states=shares,
            holdovers=holdovers[0],
            holdover_ns=dict(shares).get(_HOLDOVER, 0),
            longest_holdover_ns=holdovers[1],
            grandmasters=_shares(*heard, spans),
            grandmaster_changes=grandmasters,
            utc_offsets=_offset_shares(together, spans),
            utc_offset_changes=offsets,
            steps=steps,
            sources=_shares(*_codes(together, "source"), spans),
            methods=_shares(*_codes(together, "method"), spans),
        )

    def _holdovers(self, states: _Coded, ts: Longs, until: Longs, begin_ns: int) -> tuple[int, int]:
        """How many began, and how long the longest that goes on in this day has lasted, from its own beginning.

        Args:
            states: Of each row.
            ts: When each was made; the first may be of an earlier day.
            until: Up to when each speaks, within this day.
            begin_ns: When this day begins.
        """
        codes, words = states
        held = codes == (words.index(_HOLDOVER) if _HOLDOVER in words else len(words))
        if not len(held):
            return 0, 0
        before, after = np.concatenate(([False], held[:-1])), np.concatenate((held[1:], [False]))
        begins = ts[held & ~before].tolist()
        starts = [begin if begin >= begin_ns else self._holdover_since_ns or begin for begin in begins]
        ends = until[held & ~after].tolist()
        self._holdover_since_ns = starts[-1] if held[-1] else None
        lasted = [end - start for start, end in zip(starts, ends, strict=True) if end > begin_ns]
        return sum(begin >= begin_ns for begin in begins), max(lasted, default=0)


def _spoken(ts: Longs, begin_ns: int, end_ns: int) -> tuple[Longs, Longs]:
    """From when until when each row speaks, within the day."""
    until = ts + SPEAKS_NS
    until[:-1] = np.minimum(until[:-1], ts[1:])
    return np.clip(ts, begin_ns, end_ns), np.clip(until, begin_ns, end_ns)


def _worst(errors: Longs, spans: Longs, at_ns: Longs) -> tuple[int | None, int | None]:
    """The largest bound of rows that speak, and when."""
    speaking = np.where(spans > 0, errors, _NOTHING)
    if not len(speaking) or speaking.max() == _NOTHING:
        return None, None
    at = int(speaking.argmax())
    return int(speaking[at]), int(at_ns[at])


def _changes(coded: _Coded, before: str | None, is_new: Flags) -> tuple[int, str | None]:
    """How often a word followed another, as far as they are known; and the last."""
    codes, words = coded
    known = codes[is_new & (codes != _NOTHING)]
    if not len(known):
        return 0, before
    follows = before is not None and str(words[known[0]]) != before
    return int(np.count_nonzero(np.diff(known))) + follows, str(words[known[-1]])


def _codes(rows: pa.Table, column: str) -> _Coded:
    """Numbers of words, _NOTHING where there is none, and the words."""
    values = rows.column(column).combine_chunks()
    if not isinstance(values, pa.DictionaryArray):
        values = values.dictionary_encode()
    codes = values.indices.fill_null(_NOTHING).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, values.dictionary.to_pylist()


def _ranks(codes: Longs, words: Sequence[Any]) -> Longs:
    """States as numbers in WORST_FIRST."""
    rank = np.array([*(WORST_FIRST.index(word) if word in STATES else 0 for word in words), 0], np.int64)
    return rank[codes]


def _shares(codes: Longs, words: Sequence[Any], spans: Longs) -> Shares:
    sums = _sums(codes, len(words), spans)
    return longest_first({str(word): ns for word, ns in zip(words, sums, strict=True)})


def _offset_shares(rows: pa.Table, spans: Longs) -> Shares:
    """UTC offsets with who says so, such as `37 (ptp)`."""
    offsets, offset_words = _codes(rows, "utc_offset_s")
    names, name_words = _codes(rows, "utc_offset_source")
    who = (*name_words, "unknown")
    both = np.where(
        offsets == _NOTHING, _NOTHING, offsets * len(who) + np.where(names == _NOTHING, len(who) - 1, names)
    )
    words = [f"{offset} ({name})" for offset in offset_words for name in who]
    return _shares(both, words, spans)


def _sums(codes: Longs, count: int, spans: Longs) -> list[int]:
    """Of each code. Those of a day are exact in the floats that are summed up here: below 2^53 ns, 104 days."""
    return [int(ns) for ns in np.bincount(codes + 1, weights=spans, minlength=count + 1)[1:]]


def _numbers(rows: pa.Table, column: str) -> Longs:
    """_NOTHING where there is none; of offsets see _valid."""
    return np.asarray(rows.column(column).fill_null(_NOTHING).to_numpy(), np.int64)


def _valid(rows: pa.Table, column: str) -> Flags:
    return np.asarray(rows.column(column).is_valid().to_numpy(), np.bool_)


def _or_none(values: Longs) -> tuple[int | None, ...]:
    return tuple(None if value == _NOTHING else value for value in values.tolist())
