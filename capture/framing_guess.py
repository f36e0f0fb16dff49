"""Which known framing a flow has, guessed from the beginnings of a few packets; None unless it is clear.

Every packet has to fit. What fits is weighed in bits: how unlikely it is that bytes of something else look so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from typing import Literal

from nanotape.capture.framing_reading import Header, PayloadSample, number, read_header
from nanotape.config.framing import BUILT_IN, Framing, Messages

CERTAIN_BITS = 40
LIKELY_BITS = 24
MARGIN_BITS = 10
"""What another framing has to be behind not to be named too."""
NAMED_MAXIMUM = 3
"""Framings that a guess may name: among more it is none."""

_HOUR_NS = 3600 * 10**9
_YEAR_NS = 366 * 24 * _HOUR_NS


@dataclass(frozen=True, slots=True)
class FramingGuess:
    """What a flow's framing is, as far as a few packets tell."""

    framings: tuple[str, ...]
    """One; several, by name, where the packets do not tell them apart."""
    sure: Literal["certain", "likely"]
    bits: int
    """Weight of the evidence for the likeliest."""
    packets: int
    """Looked at."""


class _DoesNotFit(Exception):
    """Raised when a packet cannot be of the framing."""


def guess_framing(samples: Sequence[PayloadSample], framings: Mapping[str, Framing] = BUILT_IN) -> FramingGuess | None:
    """The framing of a flow's packets, in the order in which they came; None: not clear, or none of these."""
    if not samples:
        return None
    weights = {
        name: bits for name, framing in framings.items() if (bits := evidence_bits(framing, samples)) is not None
    }
    if not weights:
        return None
    best = max(weights, key=lambda name: weights[name])
    if weights[best] < LIKELY_BITS:
        return None
    close = [
        name for name in weights
        if weights[name] > weights[best] - MARGIN_BITS or _header_of(framings[name]) == _header_of(framings[best])
    ]  # fmt: skip
    if len(close) > NAMED_MAXIMUM:
        return None
    sure: Literal["certain", "likely"] = "certain" if weights[best] >= CERTAIN_BITS and len(close) == 1 else "likely"
    return FramingGuess(tuple(sorted(close)), sure, round(weights[best]), len(samples))


def _header_of(framing: Framing) -> Framing:
    """Where its fields are: two venues that differ only in what they mean by some values are not told apart."""
    meant = ("messages", "heartbeat_count", "heartbeat_next", "heartbeat_idle", "end_count", "unsequenced")
    return framing.model_copy(update=dict.fromkeys(meant))


def evidence_bits(framing: Framing, samples: Sequence[PayloadSample]) -> float | None:
    """How much speaks for a framing; None: a packet does not fit it."""
    headers = []
    for sample in samples:
        header = read_header(framing, sample)
        if header is None:
            return None
        headers.append(header)
    try:
        return sum(weigh(framing, samples, headers) for weigh in _WEIGHTS)
    except _DoesNotFit:
        return None


def _constants(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    """Bytes that have to stand there: counted once, since bytes that never change are no news the second time."""
    bits = sum(8 * each.width - log2(len(each.values)) for each in framing.expect)
    flag = framing.status
    if flag is not None and flag.other == "bad":
        bits += log2(256 / len(flag.values))
    return min(bits, 24.0)


def _lengths(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    if framing.length is None and framing.chain is None:
        return 0.0
    return 14.0 + 8.0 * min(len({sample.payload_bytes for sample in samples}) - 1, 3)


def _counts(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    """There is room for the messages, and none behind a heartbeat."""
    bits = 0.0
    if framing.count is None:
        return bits
    for sample, header in zip(samples, headers, strict=True):
        room = sample.payload_bytes - max(framing.header, framing.count.end)
        if header.status in ("heartbeat", "end"):
            bits = max(bits, 6.0) if room <= 0 else bits - 6.0
        elif header.count > max(room, 0):
            raise _DoesNotFit
    return bits


def _send_times(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    if framing.send is None:
        return 0.0
    both = []
    for sample, header in zip(samples, headers, strict=True):
        if header.send_ns is not None:
            both.append((header.send_ns, sample.stamp_ns))
        elif header.status == "data":
            raise _DoesNotFit
    if not both:
        return 0.0
    worst = max(abs(send - stamp) for send, stamp in both)
    if worst <= _HOUR_NS:
        return 24.0
    if worst <= 26 * _HOUR_NS:
        return 18.0
    return _old_times(both)


def _old_times(both: Sequence[tuple[int, int]]) -> float:
    """Of a capture that is played again: the times are of another day, but go on as the arrivals do."""
    if any(not 25 * _YEAR_NS < send < stamp + 2 * _YEAR_NS for send, stamp in both):
        raise _DoesNotFit
    if len(both) == 1:
        return 8.0
    if any(not -(10**9) <= after[0] - before[0] <= 24 * _HOUR_NS for before, after in pairwise(both)):
        raise _DoesNotFit
    return 14.0


def _sessions(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    if framing.session is None:
        return 0.0
    seen = Counter(header.session for header in headers)
    if len(seen) > 2:
        raise _DoesNotFit
    if not framing.session.text:
        return 0.0
    if not all(name and name.isascii() and name.isprintable() for name in seen):
        raise _DoesNotFit
    return 1.4 * framing.session.width  # of 256 bytes 95 are printable


def _sequences(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    """They grow by the count; more steps say more, up to four."""
    if any(header.sequence >= 1 << 48 for header in headers):
        raise _DoesNotFit
    bits = 8.0 if framing.sequence.width == 8 and any(header.sequence for header in headers) else 0.0
    steps = Counter(step for stream in _streams(framing, headers) for step in map(_step, stream, stream[1:]))
    bits += 10.0 * min(steps["grows"], 4) + 1.0 * min(steps["stays"], 4)
    return bits - 4.0 * steps["jumps"] - 10.0 * steps["falls"]


def _streams(framing: Framing, headers: Sequence[Header]) -> list[list[Header]]:
    streams: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        is_next = framing.heartbeat_next and header.status in ("heartbeat", "end")
        if header.status == "data" or (is_next and header.sequence != framing.heartbeat_idle):
            streams.setdefault((header.session, header.key), []).append(header)
    return list(streams.values())


def _step(before: Header, after: Header) -> Literal["grows", "stays", "jumps", "falls"]:
    expected = before.sequence + before.count
    if after.sequence == expected:
        return "grows" if before.count else "stays"
    return "jumps" if after.sequence > expected else "falls"


def _messages(framing: Framing, samples: Sequence[PayloadSample], headers: Sequence[Header]) -> float:
    """Their lengths lead from one to the next, and to the end of the payload."""
    if framing.messages is None:
        return 0.0
    bits = [
        _walked(framing, framing.messages, sample, header.count)
        for sample, header in zip(samples, headers, strict=True)
        if header.status == "data"
    ]
    return max(bits, default=0.0)


def _walked(framing: Framing, messages: Messages, sample: PayloadSample, count: int) -> float:
    at, walked = messages.at, 0
    while at < sample.payload_bytes and at + messages.length.end <= len(sample.data):
        length = number(framing, messages.length, sample.data, at) + messages.add
        at += length
        walked += 1
        if length < messages.length.end or at > sample.payload_bytes:
            raise _DoesNotFit
    ended = at == sample.payload_bytes
    if framing.count is not None and (walked > count or (ended and walked != count)):
        raise _DoesNotFit
    return 4.0 * min(walked, 2) + (10.0 if ended else 0.0)


_WEIGHTS: tuple[Callable[[Framing, Sequence[PayloadSample], Sequence[Header]], float], ...] = (
    _constants, _lengths, _counts, _send_times, _sessions, _sequences, _messages,
)  # fmt: skip
