"""`nanotape replay`: sends recorded frames out of an interface again, and says how exact the timing was."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from nanotape.capture.errors import ReplayUsageError
from nanotape.capture.frame_rewriting import AddressMap, FrameRewriting
from nanotape.capture.outgoing_frames import OutgoingFrames
from nanotape.capture.replay import CHUNK_FRAMES, LATE_NS, Pace, Replay, ReplayReport, Wire
from nanotape.capture.stop_signals import StopSignals
from nanotape.cli.options import AsJson, talk
from nanotape.config.quantity import parse_factor, parse_rate
from nanotape.storage.errors import FilterError, QueryError
from nanotape.storage.frame_stream import FrameChoice
from nanotape.storage.replay_source import ReplaySource
from nanotape.storage.selection import Selection


def replay(
    recorded: Annotated[
        list[str],
        typer.Argument(metavar="ARCHIVE|PCAP...", help="Archives or globs; or capture files, also .gz and .zst."),
    ],
    interface: Annotated[str, typer.Option("--interface", "-i", help="Where the frames go out.")],
    speed: Annotated[str, typer.Option(metavar="FACTOR", help="2x: twice as fast as they came.")] = "1x",
    rate: Annotated[str | None, typer.Option(metavar="RATE", help="10kpps: evenly, whatever the stamps say.")] = None,
    loop: Annotated[int, typer.Option(min=1, help="How often all of it is sent.")] = 1,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Archives: a condition over the columns of packets.")
    ] = None,
    filter_text: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="As tcpdump takes it: udp port 5000.")
    ] = None,
    feed: Annotated[list[str] | None, typer.Option(help="Archives: only of this feed; may be repeated.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Archives: only of this channel; may be repeated.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Archives: only of this line; may be repeated.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this moment on: 2026-11-20 09:30, or ...Z.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this moment, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of TIMEs that name none. Default: UTC.")] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="GROUP:PORT=GROUP:PORT", help="Send to another group; may be repeated."),
    ] = None,
    source_ip: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Send from this address.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send recorded frames out of an interface again: in their own time, faster, slower, or at a fixed rate."""
    try:
        selection = Selection.of(
            feed=feed or None, channel=channel or None, line=line or None, start=start, end=end, tz=tz
        )
        source = ReplaySource(recorded, FrameChoice(selection, where), filter_text)
        if not source.is_archive and (where or feed or channel or line):
            raise typer.BadParameter("--where, --feed, --channel, --line: an archive expected, found a capture file")
        pace = Pace(_quantity("--speed", speed), None if rate is None else _quantity("--rate", rate), loop)
        rewriting = FrameRewriting([AddressMap.parse(text) for text in maps or []], source_ip)
        wire = Wire(interface)
        with StopSignals() as stop:
            outgoing = OutgoingFrames(lambda: source.chunks(CHUNK_FRAMES), rewriting, wire.mac)
            report = Replay(wire, pace, is_stopped=lambda: stop.caught).run(outgoing.chunks)
    except (ReplayUsageError, FilterError, QueryError) as error:
        talk(str(error))
        raise typer.Exit(2) from None
    left_out = {"truncated": source.truncated, "without_ethernet": outgoing.without_ethernet}
    if as_json:
        sys.stdout.write(json.dumps(asdict(report) | left_out) + "\n")
    else:
        _tell(report, left_out)
    raise typer.Exit(0 if report.sent else 1)


def _quantity(option: str, text: str) -> float:
    try:
        number = parse_rate(text) if option == "--rate" else parse_factor(text) / 1e6
    except ValueError:
        number = 0
    if not number:
        expected = "a rate such as 10kpps" if option == "--rate" else "a factor such as 2x or 0.5x"
        raise typer.BadParameter(f"{option}: {expected} expected, found {text!r}")
    return number


def _tell(report: ReplayReport, left_out: dict[str, int]) -> None:
    rate = f", {report.sent / report.seconds:,.0f} a second" if report.seconds else ""
    talk(f"{report.sent:,} frames, {report.bytes:,} bytes in {report.seconds:,.3f} s{rate}")
    timing = report.timing
    if timing.max_ns is not None:
        talk(
            f"sent after due: p50 {timing.p50_ns:,} ns, p90 {timing.p90_ns:,} ns, p99 {timing.p99_ns:,} ns, "
            f"p99.9 {timing.p999_ns:,} ns, max {timing.max_ns:,} ns; "
            f"{report.late:,} frames more than {LATE_NS // 10**6} ms late"
        )
    drops = "unknown" if report.interface_drops is None else f"{report.interface_drops:,}"
    talk(f"dropped by the interface: {drops}; refused for want of room and sent again: {report.refused:,}")
    if report.too_long or any(left_out.values()):
        talk(
            f"left out: {left_out['truncated']:,} cut short when recorded, {report.too_long:,} too long for the "
            f"interface, {left_out['without_ethernet']:,} without an Ethernet header"
        )
