"""How lags and writing went as long as somebody watched: a line of bars for each reader and each recorder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from nanotape.tui.reader_rows import ReaderRow, RecordingRow
from nanotape.tui.seconds_history import KEPT_S, SecondsHistory, bars
from nanotape.tui.style import ACCENT, HEAD, QUIET
from nanotape.tui.words import printable, share, size

_NAME_WIDTH = 20
_Key = tuple[str, str, str]


class ReadersWatched:
    """Of all readers that are there; one that has gone is forgotten."""

    def __init__(self) -> None:
        """Has watched nothing yet."""
        self._histories: dict[_Key, SecondsHistory] = {}

    def lines(
        self, rows: Sequence[ReaderRow], recordings: Sequence[RecordingRow], now_ns: int, width: int
    ) -> list[Text]:
        """Takes in what is now, and gives all of it.

        Args:
            rows: The readers.
            recordings: What recorders write.
            now_ns: UTC.
            width: Of a line.
        """
        before, self._histories = self._histories, {}
        head = Text("A bar for each second that this screen was seen, the newest to the right", HEAD)
        return [head, *self._lags(before, rows, now_ns, width), *self._writing(before, recordings, now_ns, width)]

    def _lags(
        self, before: dict[_Key, SecondsHistory], rows: Sequence[ReaderRow], now_ns: int, width: int
    ) -> Iterator[Text]:
        for row in rows:
            lags = self._kept(before, ("lag", row.ring, row.name))
            lags.add(now_ns, row.lag_share)
            yield _line(f"lag of {row.name}", lags, now_ns, f"at most {share(lags.most)} of the ring", width)

    def _writing(
        self, before: dict[_Key, SecondsHistory], recordings: Sequence[RecordingRow], now_ns: int, width: int
    ) -> Iterator[Text]:
        for each in recordings:
            writes = self._kept(before, ("writes", each.ring, each.recorder))
            writes.add(now_ns, each.written_s)
            yield _line(f"{each.recorder} writes", writes, now_ns, f"at most {size(writes.most)}/s", width)

    def _kept(self, before: dict[_Key, SecondsHistory], key: _Key) -> SecondsHistory:
        self._histories[key] = before.get(key) or SecondsHistory()
        return self._histories[key]


def _line(name: str, history: SecondsHistory, now_ns: int, said: str, width: int) -> Text:
    room = min(KEPT_S, width - _NAME_WIDTH - len(said) - 2)
    drawn = bars(history.columns(now_ns, room), history.most or 0.0) if room > 0 else ""
    return Text.assemble((f"{printable(name):<{_NAME_WIDTH}.{_NAME_WIDTH}}", QUIET), (drawn, ACCENT), f"  {said}")
