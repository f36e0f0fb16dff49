"""The overview as lines of text for a width: pure, so that the screen, `top --once` and the tests see the same.

First what is to be known in a glance, then the errors, then each ring, then all else that was found.
"""

import textwrap

from rich.text import Text

from nanotape.capture.finding import Finding, Severity
from nanotape.capture.health import STAGES
from nanotape.tui import style, words
from nanotape.tui.picture import Picture, RingPicture
from nanotape.tui.ring_rates import RingRates, ring_rates
from nanotape.tui.verdicts import Verdict, verdicts

WIDE = 120
"""From so many columns on there is room for a table of losses beside the rates."""
_LABEL, _PACKETS, _BITS, _OF_LINE = 10, 11, 15, 16
_TABLE = 64
"""Columns of the table of losses, and the space beside it."""
_ERRORS_FIRST = 2
_GAP = 2
_INDENT, _LEAST_ROOM = 6, 10
"""Of findings: behind the word that says how bad it is."""


def overview_lines(picture: Picture, width: int) -> list[Text]:
    """All lines, none wider than `width` columns."""
    errors = [finding for finding in picture.findings if finding.severity is Severity.ERROR]
    first, rest = errors[:_ERRORS_FIRST], [each for each in picture.findings if each not in errors[:_ERRORS_FIRST]]
    lines = [*verdict_lines(picture, width), *(line for each in first for line in finding_lines(each, width))]
    for ring in picture.rings:
        lines += [Text(), *ring_lines(ring, width)]
    if not picture.rings and not picture.unreadable:
        lines += [Text(), Text("There is nothing to watch. nanotape run captures, nanotape demo shows it.")]
    lines += [Text(), *(line for each in rest for line in finding_lines(each, width))] if rest else []
    return [_cut(line, width) for line in lines]


def verdict_lines(picture: Picture, width: int) -> list[Text]:
    """The three answers, in one line where it holds them."""
    every = [_verdict(each) for each in verdicts(picture)]
    spare = (width - sum(each.cell_len for each in every)) // (len(every) - 1)
    return [Text(" " * min(8, spare)).join(every)] if spare >= _GAP else every


def _verdict(verdict: Verdict) -> Text:
    shown = style.QUIET if verdict.severity is None else style.STYLES[verdict.severity]
    return Text.assemble((verdict.name, style.HEAD), " ", (verdict.said, shown))


def finding_lines(finding: Finding, width: int) -> list[Text]:
    """A finding, and what to do, in as many lines as it takes: the end of it is what mends."""
    said = style.finding_text(finding)
    word, first, *rest = said[:_INDENT], *_wrapped(said.plain[_INDENT:], width)
    lines = [Text.assemble(word, first), *(Text(" " * _INDENT + each) for each in rest)]
    if finding.do:
        lines += (Text(" " * _INDENT + each, style.QUIET) for each in _wrapped(f"do: {finding.do}", width))
    return lines


def _wrapped(said: str, width: int) -> list[str]:
    """At least one line; a screen that is next to nothing shows the beginning."""
    room = width - _INDENT
    return (room >= _LEAST_ROOM and textwrap.wrap(said, room, break_on_hyphens=False)) or [said]


def ring_lines(ring: RingPicture, width: int) -> list[Text]:
    """One ring: what it is, what comes in, how busy its core is, what was lost."""
    rates = ring_rates(ring)
    lines = [_head(ring), *_rates(ring, rates, width), _loop(ring)]
    if width < WIDE:
        return [*lines, _lost(ring)]
    table = _loss_table(ring)
    return lines + _beside(table, _chart(ring, width - _TABLE, len(table))) + _sources(ring)


def _head(ring: RingPicture) -> Text:
    health = ring.health
    state = ("capturing", style.OK) if health.capturing else ("NOT CAPTURING", style.ERROR)
    if health.reads_files and not health.capturing:
        state = ("files are read", style.QUIET)
    head = Text.assemble((ring.name, style.HEAD), "  ", state, f"  {words.count(health.packets)} packets, ")
    head.append(f"{words.size(health.capacity_bytes)} on {health.memory}, unread ")
    fill_style = style.of_share(ring.fill, 0.5, 0.9)
    head.append(f"{words.bar(ring.fill, 8)} {words.share(ring.fill)}", fill_style)
    return head


def _rates(ring: RingPicture, rates: RingRates, width: int) -> list[Text]:
    spark = max(0, width - _LABEL - _PACKETS - _BITS - _OF_LINE - 3)
    history = "" if width >= WIDE else words.sparkline(ring.rates.packets_s, spark)  # a chart has the room there
    now = _rate_row("now", words.rate(rates.packets_s), words.bits(rates.bits_s), rates.share)
    now.append(f"   {history}", style.ACCENT)
    peak = _rate_row("peak 1 s", words.rate(rates.peak_packets_s), words.bits(rates.peak_bits_s), rates.peak_share)
    peak.append(f"   {rates.peak_since}"[: spark + 3], style.QUIET)
    burst = _rate_row("peak 1 ms", words.rate(rates.burst_packets_s), words.bits(rates.burst_bits_s), rates.burst_share)
    if rates.burst_packets is not None:
        burst.append(f"   {words.count(rates.burst_packets)} packets in it", style.QUIET)
    return [now, peak, burst]


def _rate_row(label: str, packets: str, bits: str, of_line: float | None) -> Text:
    row = Text(f"  {label:<{_LABEL - 2}}{packets:>{_PACKETS}}{bits:>{_BITS}}")
    told = "-" if of_line is None else f"{words.share(of_line)} of line"
    return row.append(f"{told:>{_OF_LINE}}", style.of_share(of_line, 0.8, 0.95) if of_line is not None else style.QUIET)


def _loop(ring: RingPicture) -> Text:
    busy = style.of_share(ring.busy, 0.8, 0.95)
    line = Text.assemble("  loop".ljust(_LABEL), (f"{words.bar(ring.busy, 8)} {words.share(ring.busy)} busy", busy))
    rates = ((each.name, each.write_bytes_s if ring.health.is_compared else None) for each in ring.health.recorders)
    recorders = ", ".join(f"{name}: {words.size(rate)}{'/s' if rate is not None else ''}" for name, rate in rates)
    full = ring.health.full_in_s
    line.append(f"   {recorders} to disk" if recorders else "   nobody records", "" if recorders else style.QUIET)
    return line.append(f"   disk full in {words.seconds(full)}" if full is not None else "")


def _lost(ring: RingPicture) -> Text:
    health = ring.health
    line = Text("  lost".ljust(_LABEL))
    if not health.lost:
        return line.append("nothing before the ring since it was made", style.OK)
    for number, (stage, count) in enumerate(health.lost.items()):
        minute, now = ring.lost_minute.get(stage, 0), health.lost_now.get(stage, 0)
        line.append(", " if number else "")
        line.append(f"{stage} {words.count(count)}", style.of_loss(count, now))
        line.append(f" ({words.count(minute)} in {_minute(ring)})", style.of_loss(minute, now))
    return line


def _chart(ring: RingPicture, width: int, height: int) -> list[Text]:
    """Packets of each of the last seconds, with the largest written above."""
    top = max(ring.rates.packets_s[-width:], default=None)
    head = Text(f"packets a second, the highest column {words.rate(top)}".rjust(width), style.QUIET)
    return [head, *(Text(row, style.ACCENT) for row in words.chart(ring.rates.packets_s, width, height - 1))]


def _beside(left: list[Text], right: list[Text]) -> list[Text]:
    return [Text.assemble(each, " " * (_TABLE - each.cell_len), other) for each, other in zip(left, right, strict=True)]


def _minute(ring: RingPicture) -> str:
    return "1 min" if ring.lost_minute_s >= 59 else f"{ring.lost_minute_s:.0f} s"


def _loss_table(ring: RingPicture) -> list[Text]:
    """Each stage with a line of its own."""
    health = ring.health
    lines = [Text(f"  {'lost at':<20}{'now':>10}{_minute(ring):>12}{'since made':>16}", style.QUIET)]
    for stage in STAGES:
        known = [getattr(books, stage) for books in ring.look.books.sources]
        count = None if all(each is None for each in known) else health.lost.get(stage, 0)
        now = None if count is None else health.lost_now.get(stage, 0)
        minute = None if count is None else ring.lost_minute.get(stage, 0)
        cells = f"{words.count(now):>10}{words.count(minute):>12}{words.count(count):>16}"
        shown = style.QUIET if count is None else style.of_loss(count, now)
        lines.append(Text.assemble(f"  {stage:<20}", (cells, shown)))
    return lines


def _sources(ring: RingPicture) -> list[Text]:
    """Each source with a line of its own."""
    lines = [Text(f"  {'source':<28}{'busy':>8}{'line rate':>14}", style.QUIET)]
    for load in ring.loads:
        cells = f"{words.share(load.busy):>8}{words.bits(load.line_rate_bps):>14}"
        lines.append(Text(f"  {words.clipped(load.name, 28):<28}{cells}"))
    return lines


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
