"""What each line of a ring brought in the newest whole second, at most so far, and how often it was the first.

Takes the sums that the rows of `stats` are made of: a few array operations a second, whatever the packets are.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanotape.storage.traffic_sums import UNDECODED, Longs, SecondSums, TrafficSums

_FIRSTS_S = 10
"""So many seconds say who is first."""
_BACK_S = 2  # a stamp of a wrong clock is not the newest for ever
_QUIET_S = 3  # a second is summed up that late where nothing comes after it
_COUNTS = ("packets", "bytes", "messages", "peak_packets", "peak_bytes", "most_packets", "most_bytes")


@dataclass(frozen=True, slots=True)
class _Firsts:
    """Of some seconds."""

    newest_s: int
    keys: Longs
    judged: Longs
    first: Longs


class LineRates:
    """Of one ring; lines are told apart by their key: a number from 0 on."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self.second: int | None = None
        """UTC: the newest whole second; None: none yet."""
        self._begun_s: int | None = None
        self._of_keys = {name: np.zeros(0, np.int64) for name in _COUNTS}
        self._whole = dict.fromkeys(_COUNTS, 0)
        self._second_peaks = (0, 0)
        self._firsts: deque[_Firsts] = deque()

    def take(self, sums: TrafficSums, key_count: int) -> None:
        """Takes seconds that are over; one that comes in parts is put together as long as none after it came."""
        if key_count > len(self._of_keys["packets"]):
            more = key_count - len(self._of_keys["packets"])
            self._of_keys = {name: np.pad(each, (0, more)) for name, each in self._of_keys.items()}
        newest = int(sums.whole.seconds[-1])
        if self._begun_s is None:
            self._begun_s = int(sums.whole.seconds[0])
        if self.second is None or not self.second - _BACK_S <= newest <= self.second:
            self._begin(newest)
        self._take_lines(sums)
        self._take_whole(sums.whole)
        self._firsts.append(_Firsts(newest, sums.keys, sums.judged, sums.first))
        while not newest - _FIRSTS_S < self._firsts[0].newest_s <= newest + _BACK_S:
            self._firsts.popleft()

    def _begin(self, second: int) -> None:
        self.second, self._second_peaks = second, (0, 0)
        for name in ("packets", "bytes", "messages"):
            self._of_keys[name][:] = UNDECODED if name == "messages" else 0
            self._whole[name] = 0

    def _take_lines(self, sums: TrafficSums) -> None:
        counts, at = self._of_keys, sums.seconds == self.second
        keys = sums.keys[at]
        counts["packets"][keys] += sums.packets[at]
        counts["bytes"][keys] += sums.bytes[at]
        # What is not decoded counts -1, and nothing where some of it was decoded before.
        messages, had = sums.messages[at], counts["messages"][keys]
        counts["messages"][keys] = np.where(had < 0, messages, had + np.maximum(messages, 0))
        for name in ("packets", "bytes"):
            np.maximum.at(counts[f"most_{name}"], sums.keys, getattr(sums, name))
            np.maximum.at(counts[f"peak_{name}"], sums.keys, getattr(sums, f"peak_{name}"))
            np.maximum(counts[f"most_{name}"], counts[name], out=counts[f"most_{name}"])

    def _take_whole(self, whole: SecondSums) -> None:
        counts, at = self._whole, whole.seconds == self.second
        for name in ("packets", "bytes"):
            counts[name] += int(getattr(whole, name)[at].sum())
            counts[f"most_{name}"] = max(counts[f"most_{name}"], counts[name], int(getattr(whole, name).max()))
            counts[f"peak_{name}"] = max(counts[f"peak_{name}"], int(getattr(whole, f"peak_{name}").max()))
        if at.any():
            peaks = int(whole.peak_packets[at].max()), int(whole.peak_bytes[at].max())
            self._second_peaks = max(self._second_peaks[0], peaks[0]), max(self._second_peaks[1], peaks[1])

    def tell(self, now_ns: int, *, is_caught_up: bool) -> "ToldRates":
        """All of it, by key.

        Args:
            now_ns: UTC.
            is_caught_up: Nothing waits to be read: what is not summed up by now did not come.
        """
        is_quiet = is_caught_up and self.second is not None and now_ns // 10**9 - self.second > _QUIET_S
        is_known = self.second is not None and (is_quiet or self.second != self._begun_s)
        columns: dict[str, list[Any]] = {name: each.tolist() for name, each in self._of_keys.items()}
        judged, first = np.zeros(len(columns["packets"]), np.int64), np.zeros(len(columns["packets"]), np.int64)
        is_over = is_caught_up and self.second is not None and now_ns // 10**9 - self.second > _FIRSTS_S
        for each in () if is_over else self._firsts:
            np.add.at(judged, each.keys, each.judged)
            np.add.at(first, each.keys, each.first)
        columns |= {"judged": judged.tolist(), "first": first.tolist()}
        return ToldRates(columns, self._whole, self._second_peaks, is_known, is_quiet, self.second)


@dataclass(frozen=True, slots=True)
class ToldRates:
    """Of one moment."""

    _columns: dict[str, list[Any]]
    _whole: dict[str, int]
    _second_peaks: tuple[int, int]
    _is_known: bool
    """The newest second is not the one in whose midst we began."""
    _is_quiet: bool
    _second: int | None

    def of_line(self, key: int | None, *, is_decoded: bool) -> dict[str, Any]:
        """Facts of a line as they are told; of one that brought nothing yet `key` is None."""
        if key is None or key >= len(self._columns["packets"]):
            return {**self._rates(0, 0), "messages_per_s": self._rate(0) if is_decoded else None}
        messages, judged = self._columns["messages"][key], self._columns["judged"][key]
        return {
            **self._rates(self._columns["packets"][key], self._columns["bytes"][key]),
            "messages_per_s": self._rate(max(messages, 0)) if is_decoded else None,
            **_peaks({name: self._columns[name][key] for name in _COUNTS}),
            "first_share": round(self._columns["first"][key] / judged, 4) if judged else None,
        }

    def of_ring(self) -> dict[str, Any]:
        """Facts of all that was recorded together."""
        if self._second is None:
            return {}
        has = self._is_known and not self._is_quiet
        return {
            "second_ns": self._second * 10**9,
            **self._rates(self._whole["packets"], self._whole["bytes"]),
            **_peaks(self._whole),
            "second_peak_1ms_packets": self._second_peaks[0] if has else None,
            "second_peak_1ms_bits": self._second_peaks[1] * 8 if has else None,
        }

    def _rates(self, packets: int, octets: int) -> dict[str, int | None]:
        return {"packets_per_s": self._rate(packets), "bits_per_s": self._rate(octets * 8)}

    def _rate(self, count: int) -> int | None:
        return (0 if self._is_quiet else count) if self._is_known else None


def _peaks(counts: dict[str, int]) -> dict[str, int]:
    return {
        "peak_packets_per_s": counts["most_packets"],
        "peak_bits_per_s": counts["most_bytes"] * 8,
        "peak_1ms_packets": counts["peak_packets"],
        "peak_1ms_bits": counts["peak_bytes"] * 8,
    }
