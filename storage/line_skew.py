"""By how much a line is ahead of the other of its channel: stamps of packets that begin with the same sequence.

Looks at as many sequences as it can afford, the same ones on each line, chosen by their number. Where lines cut their
messages into different packets, only those that begin alike are compared.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.traffic_sums import Longs

WAIT_NS = 10**9
"""What the other line brings later than that is no copy."""
CLASSES = 32
"""Class 0 is of 0 ns, class c of those below 2^c; the last takes all above."""
_SAMPLES_MAX = 8192  # a second, about
_RECENT_NS = 10 * 10**9
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio's bits: neighbours fall far apart

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Copies of the same sequence on two lines."""

    newest_ns: int
    flows: Longs
    """Whose line was first."""
    delays_ns: Longs
    """How much later another had it."""


class LineSkew:
    """Of one ring."""

    def __init__(self) -> None:
        """Knows no flow yet."""
        self._channels = np.zeros(1, np.int64)
        self._counts = np.zeros((1, CLASSES), np.int64)
        self._waiting: tuple[Hashes, Longs, Longs, npt.NDArray[np.bool_]] = _nothing()
        self._recent: deque[_Pairs] = deque()
        self._shift = 0
        self._taken, self._since_ns = 0, 0

    @property
    def one_in(self) -> int:
        """One of so many sequences is looked at just now."""
        return 1 << self._shift

    def set_flows(self, flows: Sequence[Any]) -> None:
        """Says what the ring's flows are: only channels of two lines and more are looked at."""
        lines: dict[tuple[str, str], list[int]] = {}
        for flow in flows:
            lines.setdefault((flow.feed, flow.channel), []).append(flow.id)
        size = max((flow.id for flow in flows), default=0) + 1
        self._channels = np.zeros(size, np.int64)
        for number, ids in enumerate(lines.values(), 1):
            if len(ids) > 1:
                self._channels[ids] = number
        self._counts = np.pad(self._counts, ((0, max(0, size - len(self._counts))), (0, 0)))

    def take(self, flow_ids: npt.NDArray[Any], ts_ns: Longs, columns: Mapping[str, pa.Array]) -> None:
        """Takes packets that are recorded.

        Args:
            flow_ids: Of each.
            ts_ns: UTC, of each.
            columns: Decoded: feed_session, feed_key, feed_seq and feed_count.
        """
        sequences = columns["feed_seq"]
        if not len(ts_ns) or sequences.null_count == len(sequences):
            return
        seq = (sequences.fill_null(0) if sequences.null_count else sequences).to_numpy()
        while len(seq) > _SAMPLES_MAX << self._shift:
            self._shift += 1
        mixed = seq.view(np.uint64) * _SPREAD
        # First of all few are chosen: what follows costs nothing beside it.
        at = np.flatnonzero(mixed >> np.uint64(64 - self._shift) == 0) if self._shift else np.arange(len(seq))
        flows = flow_ids[at].astype(np.int64)
        flows[flows >= len(self._channels)] = 0
        # None, or 0: not decoded, or a heartbeat, which bears the sequence of what comes next.
        counts = columns["feed_count"].take(pa.array(at)).fill_null(0).to_numpy()
        is_wanted = (self._channels[flows] > 0) & (counts > 0)
        at, flows = at[is_wanted], flows[is_wanted]
        newest_ns = int(ts_ns[-1])
        self._pace(newest_ns, len(at) << self._shift)
        if len(at):
            self._compare((mixed[at] ^ self._streams(flows, columns, at), ts_ns[at], flows), newest_ns)

    def _pace(self, newest_ns: int, packets: int) -> None:
        """As many of the next second's sequences as this one's packets let expect to be affordable."""
        self._taken += packets
        while self._taken > _SAMPLES_MAX << (self._shift + 1):
            self._shift += 1
        if not 0 <= newest_ns - self._since_ns < 10**9:
            self._shift = max(0, (self._taken // _SAMPLES_MAX).bit_length())
            self._taken, self._since_ns = 0, newest_ns

    def _streams(self, flows: Longs, columns: Mapping[str, pa.Array], at: Longs) -> Hashes:
        """A number for channel, session and key of each: their codes are the decoder's, and stay."""
        mixed = self._channels[flows].astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        for name, factor in (("feed_session", 0xA0761D6478BD642F), ("feed_key", 0xE7037ED1A0B428DB)):
            codes = columns[name].indices.take(pa.array(at)).fill_null(-1).to_numpy()
            mixed ^= (codes.astype(np.int64) + 2).astype(np.uint64) * np.uint64(factor)
        return mixed

    def _compare(self, new: tuple[Hashes, Longs, Longs], newest_ns: int) -> None:
        names, ts, flows, done = (
            np.concatenate(each) for each in zip(self._waiting, (*new, np.zeros(len(new[0]), bool)), strict=True)
        )
        order = np.lexsort((ts, names))
        names, ts, flows, done = names[order], ts[order], flows[order], done[order]
        begins = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
        group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(names)))
        first = begins[group]
        is_copy = (flows != flows[first]) & ~done[first] & (ts - ts[first] <= WAIT_NS)
        groups, copies = np.unique(group[is_copy], return_index=True)
        copies = np.flatnonzero(is_copy)[copies]
        firsts = begins[groups]
        if len(firsts):
            self._count(_Pairs(newest_ns, flows[firsts], ts[copies] - ts[firsts]))
            done |= np.isin(group, groups)
        stays = np.abs(ts - newest_ns) <= WAIT_NS
        self._waiting = names[stays], ts[stays], flows[stays], done[stays]

    def _count(self, pairs: _Pairs) -> None:
        classes = np.zeros(len(pairs.delays_ns), np.int64)
        above = pairs.delays_ns > 0
        classes[above] = np.frexp(pairs.delays_ns[above].astype(np.float64))[1]
        np.add.at(self._counts, (pairs.flows, np.minimum(classes, CLASSES - 1)), 1)
        self._recent.append(pairs)
        while not 0 <= pairs.newest_ns - self._recent[0].newest_ns <= _RECENT_NS:
            self._recent.popleft()

    def tell(self, now_ns: int | None = None) -> dict[int, dict[str, Any]]:
        """Facts of each line that was ever first, by flow, as they are told.

        Args:
            now_ns: UTC; None: packets may still be to come, however old the newest is.
        """
        is_over = now_ns is not None and bool(self._recent) and now_ns - self._recent[-1].newest_ns > _RECENT_NS
        medians = {} if is_over else self._medians()
        known = np.flatnonzero(self._counts.any(axis=1))
        histograms = self._counts[known].tolist()
        return {
            flow: {"lead_p50_ns": medians.get(flow), "skew_log2": _trimmed(histogram)}
            for flow, histogram in zip(known.tolist(), histograms, strict=True)
        }

    def _medians(self) -> dict[int, int]:
        """Of the last seconds, by flow."""
        if not self._recent:
            return {}
        flows = np.concatenate([each.flows for each in self._recent])
        delays = np.concatenate([each.delays_ns for each in self._recent])
        order = np.lexsort((delays, flows))
        flows, delays = flows[order], delays[order]
        begins = np.flatnonzero(np.concatenate([[True], flows[1:] != flows[:-1]]))
        middles = begins + (np.diff(begins, append=len(flows)) - 1) // 2
        return dict(zip(flows[begins].tolist(), delays[middles].tolist(), strict=True))


def _nothing() -> tuple[Hashes, Longs, Longs, npt.NDArray[np.bool_]]:
    return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)


def _trimmed(histogram: list[int]) -> list[int]:
    """Without the classes above the highest that has something."""
    while histogram and not histogram[-1]:
        histogram.pop()
    return histogram
