"""`nanotape relay`: re-sends chosen channels of a ring to other destinations, and counts what it lost."""

import contextlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.errors import ReaderBusy, ReaderNameInvalid, RelayRefused, RingError
from nanotape.capture.reader import RingReader, Start
from nanotape.capture.relay import Relay, RelayOptions
from nanotape.capture.relay_books import RelayReport
from nanotape.capture.relay_guard import CapturedFlows
from nanotape.capture.relay_outlet import Outlet
from nanotape.capture.relay_target import Routes
from nanotape.capture.ring import Ring
from nanotape.capture.stop_signals import StopSignals
from nanotape.capture.waiting import Spinning, Stepping
from nanotape.cli.options import ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load


def relay(
    ring: Annotated[
        str | None, typer.Argument(metavar="[RING]", help="Name or file of a ring. Default: the configured one.")
    ] = None,
    config: ConfigFile = None,
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel; may be repeated. Default: all.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Only this line; may be repeated. Default: all.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="TARGET", help="239.1.1.1:5000@eth1 or 10.0.0.9:5000; may be repeated."),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="CHANNEL[/LINE]=TARGET", help="This one there; may be repeated."),
    ] = None,
    ttl: Annotated[
        int | None, typer.Option(min=1, max=255, help="Hops. Default: 1 to a group, the host's to others.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop/--no-loop", help="Receivers on this host get a group too.")] = False,
    keep_source: Annotated[
        bool, typer.Option("--keep-source", help="From the original address and port. Needs CAP_NET_RAW.")
    ] = False,
    start: Annotated[
        str, typer.Option(metavar="latest|oldest|SEQ", help="Where to begin: SEQ is a ring sequence.")
    ] = "latest",
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after N packets.")] = None,
    name: Annotated[str, typer.Option("--name", help="Under which `nanotape rings` and `status` show it.")] = "relay",
    interval: Annotated[float, typer.Option(min=0, help="Seconds between reports; 0: none but the last.")] = 10.0,
    spin: Annotated[bool, typer.Option("--spin", help="Never sleep: the least delay, for one whole core.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a report, the last at the end.")
    ] = False,
) -> None:
    """Re-send chosen channels of a ring to other destinations, unicast or multicast, payload by payload."""
    begin = _start(start)
    routes = Routes.of(channel or [], line or [], to or [], maps or [])
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    guard = _guard(settings, routes)
    options = RelayOptions(keep_source, ttl, interval, count)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignals())  # first: who is told to stop leaves no status file behind
        opened = stack.enter_context(Ring.open(ring or _only(settings), settings.paths.shm_dir))
        outlets = [Outlet(target, ttl, loop, keep_source) for target in routes.targets]
        for outlet in outlets:
            stack.callback(outlet.close)
        reader = stack.enter_context(opened.reader(begin))
        for unknown in routes.unknown(opened.flows()):
            talk(f"ring {opened.name} has no {unknown} yet; waiting for it")
        shown = _show(reader, name, settings)
        relaying = Relay(opened, reader, routes, outlets, guard, options, reader_name=shown)
        tell = _teller(as_json)
        try:
            relaying.run(lambda: stop.caught, Spinning() if spin else Stepping(), lambda report: tell(report, False))
        finally:
            report = relaying.report()
            tell(report, True)
    raise typer.Exit(0 if report.is_whole else 1)


def _only(settings: Settings) -> str:
    names = list(settings.rings)
    if len(names) > 1:
        raise typer.BadParameter(f"RING: expected one of {', '.join(names)}; name it")
    return names[0]


def _guard(settings: Settings, routes: Routes) -> CapturedFlows:
    """Refuses what is captured already."""
    guard = CapturedFlows(Path(settings.paths.shm_dir), Path(settings.paths.run_dir), settings)
    found = guard.conflict(routes.targets)
    if found is not None:
        raise RelayRefused(found)
    for ring in guard.unreadable:
        talk(f"{ring}; what it captures is not known, and may be a destination")
    return guard


def _show(reader: RingReader, name: str, settings: Settings) -> str | None:
    """Lets others see the reader. That they do is worth less than that it relays."""
    try:
        reader.show_as(name, settings.paths.run_dir)
    except (ReaderBusy, ReaderNameInvalid):
        raise
    except RingError as error:
        talk(f"{error}; relaying all the same, unseen by `nanotape rings`")
        return None
    return name


def _teller(as_json: bool) -> Callable[[RelayReport, bool], None]:
    def tell(report: RelayReport, is_last: bool) -> None:
        if as_json:
            sums = {"lost": report.lost, "left_out": report.left_out, "failures": report.failures}
            whole = {"is_last": is_last, "is_whole": report.is_whole}
            sys.stdout.write(json.dumps(asdict(report) | sums | whole) + "\n")
            sys.stdout.flush()
            return
        talk(report.line)
        if is_last:
            _tell_all(report)

    return tell


def _tell_all(report: RelayReport) -> None:
    for flow in report.flows:
        lost = "unknown" if flow.lost is None else f"{flow.lost:,}"
        parts = "".join(f", {count:,} {why} left out" for why, count in flow.left_out.items() if count)
        talk(f"  {flow.channel}/{flow.line}: {flow.packets:,} read, {lost} lost{parts}")
    for target in report.targets:
        unfit = f", {target.unfit:,} from another family of addresses" if target.unfit else ""
        why = f" ({target.last_error})" if target.failures else ""
        refused = f", {target.refused:,} answers that nobody listens" if target.refused else ""
        talk(f"  to {target.to}: {target.sent:,} sent, {target.failures:,} refused by the kernel{why}{unfit}{refused}")


def _start(text: str) -> Start:
    if text == "latest" or text == "oldest":
        return text  # type: ignore[return-value]
    if not re.fullmatch("[0-9]{1,20}", text) or not 0 < int(text) < 1 << 64:
        raise typer.BadParameter(f'--start: expected "latest", "oldest" or a ring sequence from 1, found "{text}"')
    return int(text)
