"""Sums of packets by second and key, and of all together by second: a few array operations, whatever they are of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CELLS_MAX = 4 << 20  # counted by place up to this many, by sorting beyond
_SORTED_MAX = 262_144
UNKNOWN_DELAY = np.iinfo(np.int64).min
UNDECODED = -1
SUMMED = ("keys", "ts", "bytes", "delays", "messages", "first")
_DELAY_SHIFT, _DELAY_BIAS = 32, 1 << 31  # delays saturate at 31 bits

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StampedPackets:
    """Some packets, in the order of the ring."""

    keys: Longs
    ts: Longs
    bytes: Longs
    delays: Longs
    """UNKNOWN_DELAY where unknown."""
    messages: Longs
    """UNDECODED where no framing is decoded."""
    first: Longs
    """1: its line was the first to bring it, 0: it was not, 2: unknown."""
    last_seq: int

    def slice(self, begin: int, end: int, last_seq: int) -> "StampedPackets":
        """Some of them; `last_seq` is the ring sequence of the last of these."""
        cut = {name: getattr(self, name)[begin:end] for name in SUMMED}
        return StampedPackets(**cut, last_seq=last_seq)


@dataclass(frozen=True, slots=True)
class SecondSums:
    """One entry for each second that had packets, whatever they are of; the seconds rise."""

    seconds: Longs
    packets: Longs
    bytes: Longs
    peak_packets: Longs
    """Of its busiest millisecond."""
    peak_bytes: Longs


@dataclass(frozen=True, slots=True)
class TrafficSums:
    """One entry for each second and key that had packets."""

    seconds: Longs
    keys: Longs
    packets: Longs
    bytes: Longs
    peak_packets: Longs
    peak_bytes: Longs
    delay_p50: Longs
    """UNKNOWN_DELAY: none of its packets has one."""
    delay_p99: Longs
    messages: Longs
    """UNDECODED: of none of its packets a framing is decoded."""
    judged: Longs
    """Packets of which it is known whether their line was the first to bring them."""
    first: Longs
    """Of those, the ones of which it was."""
    whole: SecondSums
    """Of all keys together."""


def summed_up(summed: StampedPackets, key_count: int) -> TrafficSums:
    """Sums packets up, of which there is at least one; keys are below `key_count`."""
    keys, ts = summed.keys, summed.ts
    cells, packets, octets = _milliseconds(ts // 10**6, keys, summed.bytes, key_count)
    first_ms = cells[0]
    whole = _whole(first_ms, packets, octets)
    groups = (first_ms // 1000) * key_count + cells[1]
    order = np.argsort(groups, kind="stable")
    groups, packets, octets = groups[order], packets[order], octets[order]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    named = groups[starts]
    of_packets = (ts // 10**9) * key_count + keys
    p50, p99 = _percentiles(of_packets, summed.delays, named)
    messages, judged, first = _of_feeds(of_packets, summed, named)
    return TrafficSums(
        seconds=named // key_count,
        keys=named % key_count,
        packets=np.add.reduceat(packets, starts),
        bytes=np.add.reduceat(octets, starts),
        peak_packets=np.maximum.reduceat(packets, starts),
        peak_bytes=np.maximum.reduceat(octets, starts),
        delay_p50=p50,
        delay_p99=p99,
        messages=messages,
        judged=judged,
        first=first,
        whole=whole,
    )


def _whole(ms: Longs, packets: Longs, octets: Longs) -> SecondSums:
    """From the sums of single milliseconds, which stand together and rise."""
    starts = np.flatnonzero(np.diff(ms, prepend=ms[0] - 1))
    packets, octets, seconds = np.add.reduceat(packets, starts), np.add.reduceat(octets, starts), ms[starts] // 1000
    starts = np.flatnonzero(np.diff(seconds, prepend=seconds[0] - 1))
    sums = [np.add.reduceat(each, starts) for each in (packets, octets)]
    peaks = [np.maximum.reduceat(each, starts) for each in (packets, octets)]
    return SecondSums(seconds[starts], *sums, *peaks)


def _of_feeds(groups: Longs, packets: StampedPackets, named: Longs) -> tuple[Longs, Longs, Longs]:
    """Messages, packets that were judged and those that were first, of each of the named groups, which are sorted."""
    decoded = packets.messages != UNDECODED
    if not decoded.any():
        return np.full(len(named), UNDECODED), np.zeros(len(named), np.int64), np.zeros(len(named), np.int64)
    places = np.searchsorted(named, groups) if len(named) > 1 else np.zeros(len(groups), np.int64)
    size = len(named)
    messages = np.bincount(places[decoded], weights=packets.messages[decoded], minlength=size).astype(np.int64)
    messages[np.bincount(places[decoded], minlength=size) == 0] = UNDECODED
    judged = np.bincount(places[packets.first != 2], minlength=size)
    return messages, judged, np.bincount(places[packets.first == 1], minlength=size)


def _milliseconds(ms: Longs, keys: Longs, sizes: Longs, key_count: int) -> tuple[tuple[Longs, Longs], Longs, Longs]:
    """(milliseconds, keys), packets and bytes of each millisecond and key that had packets."""
    base = int(ms.min())
    cells = (ms - base) * key_count + keys
    if (int(ms.max()) - base + 1) * key_count <= _CELLS_MAX:
        counts = np.bincount(cells)
        present = np.flatnonzero(counts)
        packets = counts[present]
        octets = np.bincount(cells, weights=sizes)[present].astype(np.int64)
    else:
        present, inverse, packets = np.unique(cells, return_inverse=True, return_counts=True)
        octets = np.bincount(inverse, weights=sizes).astype(np.int64)
    return (present // key_count + base, present % key_count), packets.astype(np.int64), octets


def _percentiles(groups: Longs, delays: Longs, named: Longs) -> tuple[Longs, Longs]:
    """Median and 99th percentile (nearest rank) of the known delays of each of the named groups, which are sorted.

    Of many packets every n-th has to do: sorting them all would cost more than everything else here.
    """
    step = -(-len(delays) // _SORTED_MAX)
    groups, delays = groups[::step], delays[::step]
    known = delays != UNKNOWN_DELAY
    p50 = np.full(len(named), UNKNOWN_DELAY)
    p99 = p50.copy()
    if not known.all():
        groups, delays = groups[known], delays[known]
    if not len(groups):
        return p50, p99
    # Group and delay in one number: sorting those is several times as fast as sorting by two columns.
    places = np.searchsorted(named, groups) if len(named) > 1 else np.zeros(len(groups), np.int64)
    both = np.sort((places << _DELAY_SHIFT) + (np.clip(delays, 1 - _DELAY_BIAS, _DELAY_BIAS - 1) + _DELAY_BIAS))
    starts = np.searchsorted(both, np.arange(len(named), dtype=np.int64) << _DELAY_SHIFT)
    counts = np.diff(starts, append=len(both))
    there = counts > 0
    for target, share in ((p50, 0.5), (p99, 0.99)):
        ranks = starts[there] + np.ceil(counts[there] * share).astype(np.int64) - 1
        target[there] = (both[ranks] & ((1 << _DELAY_SHIFT) - 1)) - _DELAY_BIAS
    return p50, p99
