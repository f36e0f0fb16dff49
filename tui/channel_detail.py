"""One line in detail: rates, counts, who of its channel is first and by how much, and what befell it lately."""

from collections import deque
from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from nanotape.tui import style, words
from nanotape.tui.channel_columns import lead_text, share_text, state_cell
from nanotape.tui.channel_rows import ChannelRow
from nanotape.tui.event_rows import event_text
from nanotape.tui.event_source import SHARED, UNSEEN_S, Event
from nanotape.tui.picture import Picture

_SECONDS_KEPT = 120
_EVENTS_SHOWN = 12
Key = tuple[str, str, str]


class LineHistories:
    """Packets of each line in each of the last seconds, as far as somebody looked."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._packets: dict[Key, deque[int]] = {}
        self._taken: dict[str, int | None] = {}

    def take(self, picture: Picture) -> None:
        """Takes what recorders have told since."""
        for ring in picture.rings:
            second = ring.feeds.traffic.second_ns if ring.feeds else None
            if ring.feeds is None or second is None or self._taken.get(ring.name) == second:
                continue
            self._taken[ring.name] = second
            for (channel, line), told in ring.feeds.lines.items():
                if told.packets_per_s is not None:
                    key = (ring.name, channel, line)
                    self._packets.setdefault(key, deque(maxlen=_SECONDS_KEPT)).append(told.packets_per_s)

    def of(self, key: Key) -> tuple[int, ...]:
        """The newest last."""
        return tuple(self._packets.get(key, ()))


class ChannelDetail(VerticalScroll):
    """The detail of the line that was chosen."""

    DEFAULT_CSS = """
    ChannelDetail { height: 1fr; }
    """

    def __init__(self) -> None:
        """None is chosen yet."""
        super().__init__(id="channel-detail")
        self._chosen: Key | None = None
        self._text = Static(id="channel-detail-text")
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """One text, scrolled where it is longer than the screen."""
        yield self._text

    def choose(self, key: Key) -> None:
        """Names the line to show."""
        self._chosen = key
        self.scroll_home(animate=False)

    def show(self, picture: Picture, rows: Sequence[ChannelRow], histories: LineHistories) -> None:
        """Draws a moment, where something is new."""
        source = SHARED.of(picture.settings, picture.at_ns)
        seen = (self._chosen, id(rows), source.version, self.size)
        if seen == self._drawn:
            return
        self._drawn = seen
        row = next((each for each in rows if each.key == self._chosen), None)
        if row is None:
            self._text.update("This line is gone: the ring was made anew without it. Escape goes back.")
            return
        siblings = [each for each in rows if (each.ring, each.feed, each.channel) == (row.ring, row.feed, row.channel)]
        events = [each for each in source.events() if each["channel"] == row.channel]
        width = max(20, self.size.width - 2)
        text = detail_text(row, siblings, histories.of(row.key), width)
        self._text.update(Text("\n").join([text, *_event_lines(events, source.trouble)]))

    def on_unmount(self) -> None:
        """Ends the process that reads the archive."""
        SHARED.stop()

    def hide(self) -> None:
        """Nothing is shown: what is drawn next is drawn anew; the archive is read a little longer."""
        self._drawn = None
        self.set_timer(UNSEEN_S, SHARED.stop_unseen)


def detail_text(row: ChannelRow, siblings: Sequence[ChannelRow], history: Sequence[int], width: int) -> Text:
    """All but the events.

    Args:
        row: The line.
        siblings: All lines of its channel, itself among them.
        history: Packets in each of the last seconds, the newest last.
        width: Of the screen.
    """
    told = row.told
    state, state_style = state_cell(row)[0], state_cell(row)[1]
    vlan = f" vlan {row.vlan}" if row.vlan is not None else ""
    source = f" from {row.source}" if row.source else ""
    lines = [
        Text.assemble(
            (words.printable(f"{row.channel} line {row.line}"), style.HEAD),
            "  ",
            (state, state_style),
            words.printable(f"  {row.framing}"),
        ),
        _line(
            f"ring {row.ring}, feed {row.feed or words.UNKNOWN}, {row.interface}{vlan} {row.group}:{row.port}{source}"
        ),
        Text(),
        _line(f"packets  {words.rate(told.packets_per_s):>9}   at most {words.rate(told.peak_packets_per_s):>9}"),
        _line(
            f"messages {words.rate(told.messages_per_s):>9}   1 ms    {words.count(told.peak_1ms_packets):>9} packets"
        ),
        _line(f"bits     {words.bits(told.bits_per_s):>9}   at most {words.bits(told.peak_bits_per_s):>9}"),
        Text(words.sparkline(history, min(width, _SECONDS_KEPT)) if history else "(no second yet)", style.ACCENT),
        Text(),
        *_counts(row),
        Text(),
        *_firsts(siblings, width),
    ]
    return Text("\n").join(lines)


def _counts(row: ChannelRow) -> list[Text]:
    told, age = row.told, words.seconds(row.age_s)
    key = "/".join(each for each in (told.session, told.key) if each)
    gaps = f"gaps     {words.count(told.gaps):>9}   messages missing {words.count(told.missing)}"
    whose = (
        f"         ours {words.count(told.gaps_ours)} ({words.count(told.missing_ours)} messages), "
        f"theirs {words.count(told.gaps_theirs)} ({words.count(told.missing_theirs)}), "
        f"nobody knows {words.count(row.unexplained)}"
    )
    return [
        _line(f"packets  {words.count(told.packets):>9}   last {age} ago at {words.clock_time(told.last_ts_ns)} UTC"),
        _line(f"sequence {words.count(told.last_seq):>9}   {key}".rstrip()),
        _line(gaps, style.of_loss(told.gaps_ours) if told.gaps_ours else ""),
        Text(whose),
        _line(
            f"doubled  {words.count(told.duplicates):>9}   late {words.count(told.reordered)}, "
            f"not of the framing {words.count(told.bad)}"
        ),
    ]


def _firsts(siblings: Sequence[ChannelRow], width: int) -> list[Text]:
    if len(siblings) < 2:
        return [Text("No other line brings the same: nothing to be first of.", style.QUIET)]
    lines = [Text("Who is first, in ten seconds, and by how much at the median:", style.HEAD)]
    for each in siblings:
        share, lead = share_text(each.told.first_share), lead_text(each.told.lead_p50_ns)
        lines.append(
            _line(f"line {each.line:<4} first {share:>5}, by {lead:>7}, others behind it since the recorder began:")
        )
        lines += _histogram(each.told.skew_log2, width)
    return lines


def _histogram(counts: Sequence[int] | None, width: int) -> list[Text]:
    """A bar for each class of delays, from the first that has something."""
    if not counts or not any(counts):
        return [Text("  none yet", style.QUIET)]
    total, first = sum(counts), next(place for place, count in enumerate(counts) if count)
    lines = []
    for place, count in enumerate(counts[first:], first):
        bound = "none" if place == 0 else f"< {words.nanoseconds(1 << place)}"
        bar = words.bar(count / max(counts), max(1, min(40, width - 34)))
        lines.append(_line(f"  {bound:>12} {words.short(count):>6} {words.share(count / total):>6} {bar}"))
    return lines


def _event_lines(events: Iterable[Event], trouble: str | None) -> list[Text]:
    newest = list(events)[-_EVENTS_SHOWN:][::-1]
    lines = [Text(), Text("Lately, the newest first:", style.HEAD), *map(event_text, newest)]
    if trouble:
        lines.append(_line(trouble, style.WARNING))
    elif not newest:
        lines.append(Text("nothing in 24 hours", style.QUIET))
    return lines


def _line(said: str, styled: str = "") -> Text:
    return Text(words.printable(said), styled)
