"""Packets that carry sequences, as columns of numbers: what arbitration reckons with.

Texts become codes that hold for the whole of an arbitration. A line whose sequence begins anew goes on in the next
generation of its stream, so that the lines of one packet meet though one of them begins anew a little earlier.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Longs = npt.NDArray[np.int64]

COLUMNS = (
    "ts", "host", "line", "ring_id", "ring_seq", "feed_session", "feed_key", "feed_seq", "feed_count", "feed_status",
)  # fmt: skip
"""Columns of packets that are needed."""
RESET_DISTANCE = 100_000
"""So far back a sequence is no old one but a new one; see docs/feeds.md."""
FIRST_DISTANCE = 1000
"""So far back the first sequence is."""
SEQ_MAX = 1 << 62
"""No feed counts as far: such a sequence is none."""
_TRACKED, _RESET, _RETRANSMIT = "data", "reset", "retransmit"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Columns of equal length, a place for each packet."""

    ts: Longs
    stream: Longs
    """Code of host, session and key."""
    line: Longs
    ring: Longs
    ring_seq: Longs
    seq: Longs
    end: Longs
    """One after its last sequence."""
    is_reset: Longs
    is_retransmit: Longs
    generation: Longs

    def at(self, chosen: npt.NDArray[Any]) -> Self:
        """Those places only, in that order."""
        return type(self)(*(getattr(self, each.name)[chosen] for each in fields(self)))

    @classmethod
    def of(cls, several: Sequence["Arrivals"]) -> "Arrivals":
        """All of them, one after the other."""
        return cls(*(np.concatenate([getattr(one, each.name) for one in several]) for each in fields(cls)))

    @classmethod
    def none(cls) -> "Arrivals":
        """No packet."""
        return cls(*(np.empty(0, np.int64) for _ in fields(cls)))

    def __len__(self) -> int:
        """How many packets."""
        return len(self.ts)


class Codes:
    """Numbers for what was met, from nought on."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._known: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        """Its number."""
        return self._known.setdefault(value, len(self._known))

    @property
    def values(self) -> list[Any]:
        """What has which number."""
        return list(self._known)

    def of_texts(self, column: pa.ChunkedArray) -> Longs:
        """The numbers of a dictionary column; null has one too."""
        flat = pa.chunked_array(column.chunks, column.type).unify_dictionaries().combine_chunks()
        array = flat.chunk(0) if isinstance(flat, pa.ChunkedArray) else flat
        if not len(array):
            return np.empty(0, np.int64)
        texts = [*array.dictionary.to_pylist(), *([None] if array.null_count else [])]
        table = np.array([self.of(each) for each in texts], np.int64)
        codes: Longs = table[pc.fill_null(array.indices, len(table) - 1).to_numpy(zero_copy_only=False)]
        return codes


@dataclass(slots=True)
class Names:
    """What the codes of an arbitration stand for."""

    hosts: Codes = field(default_factory=Codes)
    sessions: Codes = field(default_factory=Codes)
    keys: Codes = field(default_factory=Codes)
    streams: Codes = field(default_factory=Codes)
    """Of (host, session, key), in their codes."""
    lines: Codes = field(default_factory=Codes)
    rings: Codes = field(default_factory=Codes)

    def arrivals(self, rows: pa.Table) -> Arrivals:
        """The packets of `COLUMNS` that carry sequences; generations are nought."""
        status = pc.is_in(rows.column("feed_status").cast(pa.string()), pa.array([_TRACKED, _RESET, _RETRANSMIT]))
        carries = pc.and_(status, pc.greater(pc.fill_null(rows.column("feed_count"), 0), 0))
        seq = rows.column("feed_seq")
        is_seq = pc.and_(pc.greater_equal(seq, 0), pc.less(seq, SEQ_MAX))
        rows = rows.filter(pc.and_(carries, pc.fill_null(is_seq, False)))
        if not rows.num_rows:
            return Arrivals.none()
        numbers = {name: rows.column(name).cast(pa.int64()).to_numpy() for name in ("ts", "ring_seq", "feed_seq")}
        status = rows.column("feed_status").cast(pa.string())
        return Arrivals(
            ts=numbers["ts"],
            stream=self._streams(rows),
            line=self.lines.of_texts(rows.column("line")),
            ring=self.rings.of_texts(rows.column("ring_id")),
            ring_seq=numbers["ring_seq"],
            seq=numbers["feed_seq"],
            end=numbers["feed_seq"] + rows.column("feed_count").cast(pa.int64()).to_numpy(),
            is_reset=pc.equal(status, _RESET).cast(pa.int64()).to_numpy(),
            is_retransmit=pc.equal(status, _RETRANSMIT).cast(pa.int64()).to_numpy(),
            generation=np.zeros(rows.num_rows, np.int64),
        )

    def _streams(self, rows: pa.Table) -> Longs:
        hosts, sessions, keys = (
            each.of_texts(rows.column(name))
            for each, name in ((self.hosts, "host"), (self.sessions, "feed_session"), (self.keys, "feed_key"))
        )
        of_session, of_key = len(self.sessions.values), len(self.keys.values)
        present, places = np.unique((hosts * of_session + sessions) * of_key + keys, return_inverse=True)
        named = (
            (each // of_key // of_session, each // of_key % of_session, each % of_key) for each in present.tolist()
        )
        table = np.array([self.streams.of(each) for each in named], np.int64)
        codes: Longs = table[places]
        return codes


class Generations:
    """How often the sequences of each line have begun anew."""

    def __init__(self) -> None:
        """No line was seen yet."""
        self._newest: dict[int, int] = {}
        self._of_line: dict[tuple[int, int], int] = {}
        self._last: dict[tuple[int, int], tuple[int, int]] = {}

    def assign(self, arrived: Arrivals) -> None:
        """Fills in the generations of packets that are in the order of their stamps, and come after those before.

        Those of one line are followed in the order of their ring, which no step of a clock changes.
        """
        follows = np.flatnonzero(arrived.is_retransmit == 0)
        _, first, rings = np.unique(arrived.ring[follows], return_index=True, return_inverse=True)
        places = (arrived.ring_seq[follows], first[rings], arrived.line[follows], arrived.stream[follows])
        order = follows[np.lexsort(places)]
        if len(order):
            self._of_sorted(arrived, order)
        again = np.flatnonzero(arrived.is_retransmit)
        for stream in np.unique(arrived.stream[again]).tolist():
            arrived.generation[again[arrived.stream[again] == stream]] = self._newest.get(stream, 0)

    def _of_sorted(self, arrived: Arrivals, order: Longs) -> None:
        """`order`: by stream and line, then time."""
        stream, line = arrived.stream[order], arrived.line[order]
        seq, end = arrived.seq[order], arrived.end[order]
        begins = np.ones(len(order), bool)
        begins[1:] = (stream[1:] != stream[:-1]) | (line[1:] != line[:-1])
        before_seq, before_end = np.roll(seq, 1), np.roll(end, 1)
        firsts = np.flatnonzero(begins).tolist()
        owners = [(int(stream[at]), int(line[at])) for at in firsts]
        for at, owner in zip(firsts, owners, strict=True):
            before_seq[at], before_end[at] = self._last.get(owner, (seq[at], seq[at]))
        back = before_end - seq
        anew = (back > RESET_DISTANCE) | ((seq <= 1) & (back > FIRST_DISTANCE))
        anew |= (arrived.is_reset[order] == 1) & (back > 0) & (before_seq != seq)
        lasts = [*(np.array(firsts[1:], np.int64) - 1).tolist(), len(order) - 1]
        for at, owner in zip(lasts, owners, strict=True):
            self._last[owner] = (int(seq[at]), int(end[at]))
        changes = np.flatnonzero(begins | anew)
        values = np.zeros(len(order), np.int64)
        for at in changes[np.argsort(order[changes], kind="stable")].tolist():  # as they came
            values[at] = self._entered(int(stream[at]), int(line[at]), bool(anew[at]))
        latest = np.zeros(len(order), np.int64)
        latest[changes] = changes
        arrived.generation[order] = values[np.maximum.accumulate(latest)]

    def _entered(self, stream: int, line: int, is_anew: bool) -> int:
        """The generation that a line is in from here on."""
        newest = self._newest.get(stream, 0)
        own = self._of_line.get((stream, line), newest)
        if is_anew:
            own = newest if newest > own else own + 1  # one that missed a beginning catches up
        self._of_line[stream, line] = own
        self._newest[stream] = max(newest, own)
        return own
