"""`nanotape tail`: shows a ring's packets as they come, as text, JSON, or live pcapng for Wireshark."""

import contextlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.errors import OutputFailed
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.json_format import JsonFormat
from nanotape.capture.line_format import Dump, LineFormat
from nanotape.capture.live_output import LiveOutput, OutputClosed, OutputStopped
from nanotape.capture.packet_filter import BatchFilter, PacketFilter, address
from nanotape.capture.reader import Start
from nanotape.capture.ring import Ring
from nanotape.capture.stop_signals import StopSignals
from nanotape.capture.tail import Sink, Tail, TailTotals, TextSink
from nanotape.cli.options import talk
from nanotape.config import DEFAULT_FILE, Settings, load
from nanotape.storage.live_pcapng import LivePcapng


def tail(
    ring: Annotated[
        str | None, typer.Argument(metavar="RING", help="Name or file of a ring. Default: the configured one.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration.", show_default=False)
    ] = None,
    count: Annotated[int | None, typer.Option("-c", "--count", min=1, metavar="N", help="End after N packets.")] = None,
    as_hex: Annotated[bool, typer.Option("-x", "--hex", help="Print each packet in hexadecimal, too.")] = False,
    as_ascii: Annotated[bool, typer.Option("-X", "--ascii", help="The same, with ASCII beside it.")] = False,
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel; may be repeated, as all five.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Only this line.")] = None,
    group: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Only to this address.")] = None,
    port: Annotated[list[int] | None, typer.Option(min=0, max=65535, help="Only to this UDP port.")] = None,
    source: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Only from this address.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a packet.")] = False,
    pcapng: Annotated[
        str | None, typer.Option(metavar="FILE", help='Write pcapng; "-": to stdout, as for `wireshark -k -i -`.')
    ] = None,
    start: Annotated[
        str, typer.Option(metavar="latest|oldest|SEQ", help="Where to begin: SEQ is a ring sequence.")
    ] = "latest",
    reader_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show this reader's position to others under a name.")
    ] = None,
) -> None:
    """Show a ring's packets as they come, in tcpdump's line format, until Ctrl-C. Needs to be able to read the ring."""
    if sum((as_hex or as_ascii, as_json, pcapng is not None)) > 1:
        raise typer.BadParameter("expected one of -x/-X, --json and --pcapng; choose one")
    if pcapng == "-" and sys.stdout.isatty():
        raise typer.BadParameter("standard output is a terminal; pipe it: nanotape tail --pcapng - | wireshark -k -i -")
    begin = _start(start)
    wanted = _filter(channel, line, group, port, source)
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignals())  # first: who is told to stop leaves no status file behind
        opened = stack.enter_context(Ring.open(ring or settings.ring.name, settings.paths.shm_dir))
        reader = stack.enter_context(
            opened.reader(begin, reader_name=reader_name, run_directory=settings.paths.run_dir)
        )
        flows = FlowTable(opened)
        for name in wanted.unknown(flows.all()):
            talk(f"ring {opened.name} has no {name} yet; waiting for it")
        output = LiveOutput(stack.enter_context(_target(pcapng)), stop, pcapng or "standard output")
        dump: Dump | None = "ascii" if as_ascii else "hex" if as_hex else None
        text = JsonFormat(opened, flows).text if as_json else LineFormat(flows, dump).text
        totals = TailTotals()
        with contextlib.suppress(OutputClosed, OutputStopped), _told(totals):
            sink: Sink = TextSink(text, output.write)
            if pcapng is not None:
                sink = LivePcapng(opened, output.write, _application(), from_now=begin == "latest")
            Tail(reader, BatchFilter(wanted, flows), sink, talk, totals, count).run(lambda: stop.caught, output.nap)


def _start(text: str) -> Start:
    if text == "latest" or text == "oldest":
        return text  # type: ignore[return-value]
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f'--start: expected "latest", "oldest" or a ring sequence from 1, found "{text}"')
    return int(text)


def _filter(
    channel: list[str] | None,
    line: list[str] | None,
    group: list[str] | None,
    port: list[int] | None,
    source: list[str] | None,
) -> PacketFilter:
    try:
        groups, sources = (frozenset(map(address, values or ())) for values in (group, source))
    except ValueError as error:
        raise typer.BadParameter(f"--group, --source: {error}") from None
    return PacketFilter(frozenset(channel or ()), frozenset(line or ()), groups, frozenset(port or ()), sources)


@contextlib.contextmanager
def _target(pcapng: str | None) -> Iterator[int]:
    """The descriptor to write to."""
    if pcapng in (None, "-"):
        yield sys.stdout.fileno()
        return
    try:
        file = Path(pcapng).open("wb", buffering=0)
    except OSError as error:
        raise OutputFailed(f"{pcapng}: cannot be made: {error.strerror}; name another file") from None
    with file:
        yield file.fileno()


@contextlib.contextmanager
def _told(totals: TailTotals) -> Iterator[None]:
    """Says at the end what was shown, however it came."""
    try:
        yield
    finally:
        lost = f" in {totals.loss_events:,} losses" if totals.loss_events > 1 else ""
        talk(f"packets: {totals.shown:,} shown, {totals.lost:,} lost by this reader{lost}")


def _application() -> str:
    return f"nanotape {importlib.metadata.version('nanotape')}"
