"""`nanotape tail`: shows packets of rings as they come, merged by time, as text, JSON, or live pcapng for Wireshark."""

import contextlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from nanotape.capture.errors import OutputFailed
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.json_format import JsonFormat
from nanotape.capture.line_format import Dump, LineFormat
from nanotape.capture.live_output import LiveOutput, OutputClosed, OutputStopped
from nanotape.capture.merge import MergedReader
from nanotape.capture.merged_tail import Chooser, MergedFilter, MergedText
from nanotape.capture.packet_filter import BatchFilter, PacketFilter, address
from nanotape.capture.reader import RingReader, Start
from nanotape.capture.ring import Ring
from nanotape.capture.stop_signals import StopSignals
from nanotape.capture.tail import Batches, Sink, Tail, TailTotals, TextSink
from nanotape.cli.options import talk
from nanotape.config import DEFAULT_FILE, Settings, load
from nanotape.storage.live_pcapng import LivePcapng


def tail(
    rings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RING]...", help="Name or file of a ring; several are merged by time. Default: all configured."
        ),
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
    """Show packets of rings as they come, in tcpdump's line format, until Ctrl-C. Needs to be able to read the ring."""
    if sum((as_hex or as_ascii, as_json, pcapng is not None)) > 1:
        raise typer.BadParameter("expected one of -x/-X, --json and --pcapng; choose one")
    if pcapng == "-" and sys.stdout.isatty():
        raise typer.BadParameter("standard output is a terminal; pipe it: nanotape tail --pcapng - | wireshark -k -i -")
    begin = _start(start)
    wanted = _filter(channel, line, group, port, source)
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    words = rings or list(settings.rings)
    if len(words) > 1 and isinstance(begin, int):
        raise typer.BadParameter("--start: a ring sequence is of one ring; with several expected latest or oldest")
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignals())  # first: who is told to stop leaves no status file behind
        opened = _opened(words, settings.paths.shm_dir, stack)
        readers = {
            name: stack.enter_context(ring.reader(begin, reader_name=reader_name, run_directory=settings.paths.run_dir))
            for name, ring in opened.items()
        }
        tables = {name: FlowTable(ring) for name, ring in opened.items()}
        _tell_unknown(wanted, tables)
        output = LiveOutput(stack.enter_context(_target(pcapng)), stop, pcapng or "standard output")
        totals = TailTotals()
        with contextlib.suppress(OutputClosed, OutputStopped), _told(totals):
            sink: Sink
            if pcapng is not None:
                sink = LivePcapng(list(opened.values()), output.write, _application(), from_now=begin == "latest")
            else:
                dump: Dump | None = "ascii" if as_ascii else "hex" if as_hex else None
                sink = TextSink(_text(opened, tables, dump, as_json), output.write)
            chosen = {name: BatchFilter(wanted, flows) for name, flows in tables.items()}
            with _followed(readers, chosen) as (reader, chooser):
                Tail(reader, chooser, sink, talk, totals, count).run(lambda: stop.caught, output.nap)


def _opened(words: Sequence[str], shm_directory: str, stack: contextlib.ExitStack) -> dict[str, Ring]:
    """The rings by their names; by what the user wrote where two of other folders have the same name."""
    rings = [stack.enter_context(Ring.open(word, shm_directory)) for word in words]
    if len({ring.ring_id for ring in rings}) < len(rings):
        raise typer.BadParameter(f"expected different rings, found one twice in {' '.join(words)}; name each once")
    names = [ring.name for ring in rings]
    return dict(zip(names if len(set(names)) == len(names) else words, rings, strict=True))


def _tell_unknown(wanted: PacketFilter, tables: Mapping[str, FlowTable]) -> None:
    """What no ring has is waited for."""
    flows = [flow for table in tables.values() for flow in table.all()]
    have = f"ring {next(iter(tables))} has" if len(tables) == 1 else f"rings {', '.join(tables)} have"
    for name in wanted.unknown(flows):
        talk(f"{have} no {name} yet; waiting for it")


def _text(
    rings: Mapping[str, Ring], tables: Mapping[str, FlowTable], dump: Dump | None, as_json: bool
) -> Callable[[pa.RecordBatch], str]:
    """What makes text of batches: of one ring, or of several merged."""

    def of(name: str) -> JsonFormat | LineFormat:
        if as_json:
            return JsonFormat(rings[name], tables[name])
        return LineFormat(tables[name], dump, name if len(rings) > 1 else None)

    formats = {name: of(name) for name in rings}
    if len(formats) > 1:
        return MergedText(formats).text
    (alone,) = formats.values()
    return alone.text


@contextlib.contextmanager
def _followed(
    readers: Mapping[str, RingReader], chosen: Mapping[str, BatchFilter]
) -> Iterator[tuple[Batches, Chooser]]:
    """What to follow, and what chooses of it; says at the end how many packets of several rings came out of order."""
    if len(readers) == 1:
        (reader,), (chooser,) = readers.values(), chosen.values()
        yield reader, chooser
        return
    merged = MergedReader(readers)
    try:
        yield merged, MergedFilter(chosen)
    finally:
        if merged.late:
            parts = ", ".join(f"{late:,} of ring {name}" for name, late in merged.late_by_ring.items() if late)
            talk(f"packets that came too late for their place in time, and stand behind it: {parts}")


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
