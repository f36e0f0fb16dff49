"""An audit as lines for people."""

from collections.abc import Iterator

from nanotape.storage.answer import stamp_text
from nanotape.storage.audit_feeds import feed_lines
from nanotape.storage.audit_sheets import AuditReport, ChannelSheet, RecorderSheet, SourceSheet
from nanotape.storage.audit_stamps import stamp_lines


def audit_lines(report: AuditReport) -> Iterator[str]:
    """The sheet, the channels, the verdict."""
    for source in report.sources:
        yield from _source(source)
    for recorder in report.recorders:
        yield from _recorder(recorder)
    for loss in report.losses:
        where = loss.stage or "nobody knows where"
        yield f"lost: ring {loss.ring}, {where}: {loss.packets:,} packets in {loss.events:,} events"
    if report.channels:
        yield ""
        yield from _channels(report.channels)
    if report.stamps:
        yield ""
        yield from stamp_lines(report.stamps)
    if report.feeds:
        yield ""
        yield from feed_lines(report.feeds, report.gaps)
    yield ""
    yield _verdict(report)


def _source(sheet: SourceSheet) -> Iterator[str]:
    counts = [f"{stage} {count:,}" for stage, count in sheet.counts.items() if count]
    unknown = [stage for stage, count in sheet.counts.items() if count is None]
    told = ", ".join(counts) or "nothing"
    yield f"ring {sheet.ring} on {sheet.host}, source {sheet.source}: {told}"
    if unknown:
        yield f"  not known of this kind of source: {', '.join(unknown)}"
    if not sheet.is_exact:
        yield "  packets moved at the last reading: what was between two stages cannot be told from what is missing"
    elif sheet.unexplained is None:
        yield "  what came to it nobody counts: balanced from the ring on"
    else:
        yield "  balanced" if not sheet.unexplained else f"  UNEXPLAINED: {sheet.unexplained:,} packets"


def _recorder(sheet: RecorderSheet) -> Iterator[str]:
    if sheet.in_ring is None:
        yield f"ring {sheet.ring} on {sheet.host}, recorder: no reading says what it did"
        return
    parts = {
        "recorded": sheet.recorded, "left out": sheet.left_out, "overrun": sheet.overrun,
        "could not be written": sheet.write_failures, "left in the ring": sheet.backlog or 0,
        "done after the last reading of one that was killed": sheet.uncounted,
        "of these counted twice, since a later recorder took them up again": sheet.taken_up,
    }  # fmt: skip
    told = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    who = "recorder" if sheet.runs == 1 else f"{sheet.runs:,} recorders"
    yield f"ring {sheet.ring} on {sheet.host}, {who}: {sheet.in_ring:,} in the ring: {told}"
    if sheet.rows is not None:
        gone = f", {sheet.deleted:,} deleted by retention" if sheet.deleted else ""
        yield f"  in the archive now: {sheet.rows:,} packets, {sheet.told_lost:,} told as lost{gone}"
    yield "  balanced" if not sheet.unexplained else f"  UNEXPLAINED: {sheet.unexplained:,} packets"


def _channels(channels: list[ChannelSheet]) -> Iterator[str]:
    names = (
        "channel",
        "line",
        "first",
        "last",
        "packets",
        "bytes",
        "seconds",
    )
    table = [
        (
            each.channel, each.line or "-", stamp_text(each.first_ns), stamp_text(each.last_ns), f"{each.packets:,}",
            f"{each.bytes:,}", f"{each.seconds:,}",
        )
        for each in channels
    ]  # fmt: skip
    widths = [max(len(row[at]) for row in (names, *table)) for at in range(len(names))]
    for row in (names, *table):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _verdict(report: AuditReport) -> str:
    if not report.sources and not report.recorders and not report.channels:
        return "nothing was recorded in this time"
    lost = f"{report.lost:,} packets lost by us" if report.lost else "nothing lost by us"
    if wrong := [each for each in report.gaps if each.is_wrong]:
        lost += f"; messages missing on all lines in {sum(each.gaps for each in wrong):,} gaps that may be ours"
    if report.unexplained:
        return f"NOT BALANCED: {report.unexplained:,} packets unexplained; {lost}"
    return f"balanced; {lost}"
