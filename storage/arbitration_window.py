"""Which line brought each sequence first, over a window of time that moves on; what it forgets it has decided.

Lines may put the same messages into different packets: ranges of sequences are cut where any packet begins or ends, and
each piece goes to the packet that came first. What was delivered is remembered as ranges, few where little is missing.
"""

from dataclasses import dataclass

import numpy as np

from nanotape.storage.arrival_order import NEVER_NS
from nanotape.storage.arrivals import Arrivals, Generations, Longs

Ranges = tuple[Longs, Longs]
"""Beginnings and ends, the latter excluded; sorted, and none touches another."""
Stream = tuple[int, int]
"""Code of a stream, and its generation."""
NO_COPY = -1


@dataclass(frozen=True, slots=True)
class Decided:
    """Ranges of sequences, each from one packet, in the order of arrival."""

    packets: Arrivals
    """The packet of each range."""
    seq: Longs
    """First sequence of each range."""
    count: Longs
    other_delay_ns: Longs
    """How much later another line brought it; NO_COPY: it did not."""
    other_line: Longs


class ArbitrationWindow:
    """Takes packets of one channel, and gives ranges of sequences once it is known that they are final."""

    def __init__(self, wait_ns: int) -> None:
        """A copy that comes later than `wait_ns` counts as if it had never come."""
        self._wait_ns = wait_ns
        self._generations = Generations()
        self._early: list[Arrivals] = []
        self._window = Arrivals.none()
        self.delivered: dict[Stream, Ranges] = {}
        """What came on any line, so far."""

    def __len__(self) -> int:
        """Packets that are held."""
        return len(self._window) + sum(map(len, self._early))

    def take(self, arrived: Arrivals) -> None:
        """Takes packets, in any order within what `decide` was told."""
        if len(arrived):
            self._early.append(arrived)

    def decide(self, known_ns: int) -> Decided | None:
        """What is final by now.

        Args:
            known_ns: All packets up to then were taken; `NEVER_NS`: all there are.
        """
        if self._early:
            early = Arrivals.of(self._early)
            is_known = early.ts <= known_ns
            self._early = [early.at(~is_known)]
            new = early.at(is_known)
            new = new.at(np.lexsort((new.ring_seq, new.ring, new.ts)))
            self._generations.assign(new)
            window = Arrivals.of([self._window, new])
            self._window = window.at(np.argsort(window.ts, kind="stable"))
        until_ns = known_ns if known_ns == NEVER_NS else known_ns - self._wait_ns
        if not len(self._window) or self._window.ts[0] > until_ns:
            return None
        decided = self._decided(until_ns)
        self._window = self._window.at(self._window.ts > until_ns)
        return decided

    def _decided(self, until_ns: int) -> Decided:
        window = self._window
        pieces = _Pieces(window, self.delivered)
        first, other = pieces.first, pieces.first_of_another_line(self._wait_ns)
        final = (first >= 0) & (window.ts[first] <= until_ns)  # -1: delivered before
        first, other, seq, count = first[final], other[final], pieces.seq[final], pieces.count[final]
        self._remember(window, first, seq, seq + count)
        order = np.lexsort((seq, first))
        first, other, seq, count = first[order], other[order], seq[order], count[order]
        begins = np.ones(len(first), bool)
        begins[1:] = (first[1:] != first[:-1]) | (other[1:] != other[:-1]) | (seq[1:] != seq[:-1] + count[:-1])
        at = np.flatnonzero(begins)
        counts = np.add.reduceat(count, at) if len(at) else count
        packets, copies = window.at(first[at]), other[at]
        delays = np.where(copies < 0, NO_COPY, window.ts[copies] - packets.ts)
        return Decided(packets, seq[at], counts, delays, np.where(copies < 0, NO_COPY, window.line[copies]))

    def _remember(self, window: Arrivals, packets: Longs, begin: Longs, end: Longs) -> None:
        for stream in _streams(window.stream[packets], window.generation[packets]):
            mine = (window.stream[packets] == stream[0]) & (window.generation[packets] == stream[1])
            known = self.delivered.get(stream, (np.empty(0, np.int64), np.empty(0, np.int64)))
            self.delivered[stream] = _union(
                np.concatenate([known[0], begin[mine]]), np.concatenate([known[1], end[mine]])
            )


class _Pieces:
    """Ranges of sequences that no packet begins or ends within, and who brought each."""

    def __init__(self, window: Arrivals, delivered: dict[Stream, Ranges]) -> None:
        past = [
            (stream, begin, end)
            for stream in _streams(window.stream, window.generation)
            if stream in delivered
            for begin, end in [_from(delivered[stream], _lowest(window, stream))]
        ]
        stream = np.concatenate([*(np.full(len(begin), one[0]) for one, begin, _ in past), window.stream])
        generation = np.concatenate([*(np.full(len(begin), one[1]) for one, begin, _ in past), window.generation])
        begin = np.concatenate([*(each for _, each, _ in past), window.seq])
        end = np.concatenate([*(each for _, _, each in past), window.end])
        low, high, edges = _edges(stream, generation, begin, end)
        covered = high - low
        owner = np.repeat(np.arange(len(begin)), covered)
        piece = np.repeat(low - np.concatenate([[0], np.cumsum(covered)[:-1]]), covered) + np.arange(len(owner))
        order = np.lexsort((owner, piece))
        past_ranges = len(begin) - len(window)
        self._owner = owner[order] - past_ranges
        self._piece = piece[order]
        self._window = window
        self._begins = np.flatnonzero(np.concatenate([[True], self._piece[1:] != self._piece[:-1]]))
        at = self._piece[self._begins]
        self.seq = edges[at]
        self.count = edges[at + 1] - edges[at]
        self.first = np.maximum(self._owner[self._begins], -1)
        """Place of the packet that brought each piece first; -1: delivered before."""

    def first_of_another_line(self, wait_ns: int) -> Longs:
        """Place of the first packet of another line that brought each piece too; -1: none did."""
        window, owner = self._window, np.maximum(self._owner, 0)
        lengths = np.diff(np.concatenate([self._begins, [len(owner)]]))
        first = np.repeat(self.first, lengths)
        of_group = np.repeat(np.arange(len(self._begins)), lengths)
        is_other = (first >= 0) & (self._owner >= 0) & (window.line[owner] != window.line[first])
        is_other &= window.ts[owner] - window.ts[first] <= wait_ns
        groups, at = np.unique(of_group[is_other], return_index=True)
        found = np.full(len(self._begins), -1, np.int64)
        found[groups] = owner[is_other][at]
        return found


def _edges(stream: Longs, generation: Longs, begin: Longs, end: Longs) -> tuple[Longs, Longs, Longs]:
    """For each range the places of its edges, and the sequence at each place; those of a stream stand together."""
    streams = np.concatenate([stream, stream])
    generations = np.concatenate([generation, generation])
    values = np.concatenate([begin, end])
    order = np.lexsort((values, generations, streams))
    ordered = [each[order] for each in (streams, generations, values)]
    is_new = np.ones(len(order), bool)
    is_new[1:] = np.logical_or.reduce([each[1:] != each[:-1] for each in ordered])
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(is_new) - 1
    return places[: len(begin)], places[len(begin) :], ordered[2][is_new]


def _streams(streams: Longs, generations: Longs) -> list[Stream]:
    several = int(generations.max(initial=0)) + 1
    return [divmod(each, several) for each in np.unique(streams * several + generations).tolist()]


def _lowest(window: Arrivals, stream: Stream) -> int:
    mine = (window.stream == stream[0]) & (window.generation == stream[1])
    return int(window.seq[mine].min())


def _from(ranges: Ranges, seq: int) -> Ranges:
    """Those that end after a sequence."""
    at = int(np.searchsorted(ranges[1], seq, "right"))
    return ranges[0][at:], ranges[1][at:]


def _union(begin: Longs, end: Longs) -> Ranges:
    """The same sequences in as few ranges as can be."""
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    is_new = np.concatenate([[True], begin[1:] > reach[:-1]])
    at = np.flatnonzero(is_new)
    return begin[at], reach[np.concatenate([at[1:] - 1, [len(begin) - 1]])]
