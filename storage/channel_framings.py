"""Which framing the packets of each channel and line have, by the archive's own table of channels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nanotape.config.framing import NO_FRAMING, Framing
from nanotape.storage.archive import Archive
from nanotape.storage.arrivals import Longs
from nanotape.storage.framing_store import known_framings

Place = tuple[str | None, str | None, str | None]
"""Host, channel and line."""


@dataclass(frozen=True, slots=True)
class ChannelFramings:
    """Of some archives, as they are now."""

    named: dict[Place, list[tuple[int, str]]]
    """From when on, UTC nanoseconds, which framing was in force; in order."""
    known: dict[tuple[Place, str], Framing]

    @classmethod
    def of(cls, archives: Sequence[Archive]) -> "ChannelFramings":
        """Reads the tables of channels.

        Raises:
            ArchiveError: One cannot be read.
        """
        named: dict[Place, list[tuple[int, str]]] = {}
        known = {}
        for archive in archives:
            framings = known_framings(archive.path)
            rows = archive.rows("channels", ["ts_from", "host", "channel", "line", "framing"])
            rows = rows.set_column(0, "ts_from", rows.column("ts_from").cast(pa.int64()))
            for row in rows.to_pylist():
                place = (row["host"], row["channel"], row["line"])
                named.setdefault(place, []).append((row["ts_from"], row["framing"]))
                if row["framing"] in framings:
                    known[place, row["framing"]] = framings[row["framing"]]
        return cls({place: sorted(each) for place, each in named.items()}, known)

    def in_force(self, place: Place, stamps: Longs) -> list[tuple[Longs, Framing]]:
        """For packets of a place: which of them have which framing; what is older than all has the oldest."""
        moments = self.named.get(place, [])
        names = list(dict.fromkeys(name for _, name in moments))
        if len(names) < 2:
            chosen = [(np.arange(len(stamps)), name) for name in names]
        else:
            since = np.array([at for at, _ in moments], np.int64)
            at = np.maximum(np.searchsorted(since, stamps, "right") - 1, 0)
            code = np.array([names.index(name) for _, name in moments], np.int64)[at]
            chosen = [(np.flatnonzero(code == number), name) for number, name in enumerate(names)]
        return [(rows, self.known[place, name]) for rows, name in chosen if (place, name) in self.known]

    def unsplit(self) -> dict[str, str]:
        """By channel: its framing, where that does not say where messages end."""
        return {
            str(place[1]): name
            for place, moments in sorted(self.named.items(), key=str)
            for _, name in moments
            if name != NO_FRAMING and not can_split(self.known.get((place, name)))
        }


def can_split(framing: Framing | None) -> bool:
    """Whether a framing says where its messages end."""
    return framing is not None and framing.messages is not None and framing.chain is None
