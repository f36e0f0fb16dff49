"""The columns of the channels' table: what each writes, what it is sorted by, and what a narrow screen leaves out."""

from dataclasses import dataclass
from typing import Any

from nanotape.tui import style, words
from nanotape.tui.channel_rows import ChannelRow, SortKey, is_alarm
from nanotape.tui.rows_view import Cell, RowsColumn

_STATE_STYLES = {"arriving": style.OK, "quiet": style.QUIET, "closed": style.QUIET}
_STATE_ORDER = ("not captured", "silent", "stale", "arriving", "quiet", "closed", None)


@dataclass(frozen=True, slots=True)
class ChannelColumn(RowsColumn[ChannelRow]):
    """A column that rows can be sorted by."""

    key: SortKey = lambda row: row.key
    """None: unknown."""
    falls: bool = True
    """Whether the largest stand first when it is chosen."""


def gaps_text(row: ChannelRow) -> str:
    """`3/12`: ours and theirs; `3/12+1`: and one of which nobody knows whose it is."""
    told = row.told
    if told.gaps is None:
        return words.UNKNOWN
    if told.gaps_ours is None or told.gaps_theirs is None:
        return f"?{words.short(told.gaps)}"
    rest = row.unexplained
    return f"{words.short(told.gaps_ours)}/{words.short(told.gaps_theirs)}" + (f"+{words.short(rest)}" if rest else "")


def lead_text(length_ns: float | None) -> str:
    """At most six characters: `850ns`, `1.25us`, `12.3ms`."""
    if length_ns is None:
        return words.UNKNOWN
    for step, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if abs(length_ns) >= step:
            number = length_ns / step
            digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
            return f"{number:.{digits}f}{unit}"
    return f"{length_ns:.0f}ns"


def share_text(part: float | None) -> str:
    """`72%`."""
    return words.UNKNOWN if part is None else f"{part:.0%}"


def state_cell(row: ChannelRow) -> Cell:
    """The state in its word and colour."""
    if row.state is None:
        return "unknown", style.QUIET
    return row.state, style.ERROR if is_alarm(row) else _STATE_STYLES.get(row.state, "")


def _gaps(row: ChannelRow) -> Cell:
    text = gaps_text(row)
    return (text, style.of_loss(row.told.gaps_ours)) if row.told.gaps_ours else (text, "")


def _told(name: str) -> SortKey:
    return lambda row: getattr(row.told, name)


def _figure(title: str, name: str, width: int, rank: int) -> ChannelColumn:
    return ChannelColumn(title, width, lambda row: words.short(getattr(row.told, name)), rank=rank, key=_told(name))


def _name(title: str, name: str, width: int, rank: int, *, grows: bool = False) -> ChannelColumn:
    def write(row: ChannelRow) -> Cell:
        return str(getattr(row, name))

    def key(row: ChannelRow) -> Any:
        return (getattr(row, name), row.key)

    return ChannelColumn(title, width, write, False, rank, grows, key, False)


def _last_seq(row: ChannelRow) -> Cell:
    seq = row.told.last_seq
    return words.UNKNOWN if seq is None else str(seq)


CHANNEL_COLUMNS = (
    _name("RING", "ring", 8, 22),
    _name("CHANNEL", "channel", 10, 0, grows=True),
    _name("LN", "line", 2, 1),
    ChannelColumn(
        "STATE", 8, state_cell, False, 2, key=lambda row: (_STATE_ORDER.index(row.state), row.key), falls=False
    ),
    _figure("PKT/S", "packets_per_s", 5, 3),
    _figure("MSG/S", "messages_per_s", 5, 11),
    ChannelColumn("BIT/S", 11, lambda row: words.bits(row.told.bits_per_s), rank=12, key=_told("bits_per_s")),
    _figure("PEAK/S", "peak_packets_per_s", 6, 13),
    _figure("PEAK/MS", "peak_1ms_packets", 7, 14),
    ChannelColumn("LAST SEQ", 10, _last_seq, rank=6, key=_told("last_seq")),
    ChannelColumn("GAPS US/THEM", 12, _gaps, rank=4, key=_told("gaps")),
    _figure("MISSING", "missing", 7, 15),
    _figure("DUPS", "duplicates", 5, 7),
    _figure("LATE", "reordered", 5, 16),
    _figure("BAD", "bad", 5, 17),
    ChannelColumn("FIRST", 5, lambda row: share_text(row.told.first_share), rank=8, key=_told("first_share")),
    ChannelColumn("LEAD", 6, lambda row: lead_text(row.told.lead_p50_ns), rank=9, key=_told("lead_p50_ns")),
    ChannelColumn("AGE", 7, lambda row: words.brief(row.age_s), rank=5, key=lambda row: row.age_s),
    _name("FRAMING", "framing", 10, 19),
    ChannelColumn(
        "GROUP",
        21,
        lambda row: f"{row.group}:{row.port}",
        False,
        20,
        key=lambda row: (row.group, row.port),
        falls=False,
    ),
)
RING_RANK = 3
"""Of the ring's name, where there are several."""
