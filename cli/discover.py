"""`nanotape discover IF`: what multicast arrives on an interface, live, then as ready configuration.

Configuration or JSON on stdout, the live table and talk on stderr; 0 something arrived, 1 nothing did, 2 usage or host.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from nanotape.capture.discover import DiscoverOptions, Discovery, parse_network
from nanotape.capture.discovered import Discovered
from nanotape.capture.discovered_toml import Naming, as_toml, caveats, check_feed
from nanotape.capture.errors import DiscoverError
from nanotape.capture.membership import Membership, Memberships
from nanotape.capture.stop_signals import StopSignals
from nanotape.cli.discover_table import table
from nanotape.cli.options import AsJson, talk
from nanotape.config import load
from nanotape.config.checks import FLOWS_MAXIMUM
from nanotape.config.framing import BUILT_IN, Framing

_UNATTENDED_S = 10.0
_REFRESH_S = 0.5
_LAST_S = 0.1


def discover(
    interface: Annotated[str, typer.Argument(metavar="IF", help="Network interface.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            help="How long; 0: until stopped. Default: until Ctrl-C where the live table is seen, else 10.",
            show_default=False,
        ),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option("--join", metavar="[SOURCE@]GROUP", help="Join a group while listening. Repeatable."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="GROUP[/BITS]", help="Only packets to this group or range. Repeatable."),
    ] = None,
    port: Annotated[list[int] | None, typer.Option("--port", help="Only packets to this UDP port. Repeatable.")] = None,
    udp: Annotated[bool, typer.Option("--udp", help="Unicast too.")] = False,
    promiscuous: Annotated[
        bool, typer.Option("--promiscuous/--no-promiscuous", help="Also what is not for this host, as on a tap.")
    ] = True,
    feed: Annotated[str, typer.Option("--feed", help="Feed of the channels in the configuration.")] = "discovered",
    source_specific: Annotated[
        bool, typer.Option("--source-specific", help="Configure `source` where exactly one sender was seen.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", metavar="FILE", help="Its [framing.NAME] are tried too, besides the built-in."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What multicast arrives on an interface: live, then as ready configuration. Joins nothing unless told."""
    check_feed(feed)
    framings = load(config).framings if config else BUILT_IN
    joins = [Membership.parse(text) for text in join or ()]
    options = DiscoverOptions(
        udp=udp,
        promiscuous=promiscuous,
        groups=tuple(parse_network(text, unicast=udp) for text in group or ()),
        ports=tuple(_port(number) for number in port or ()),
    )
    found = _listen(interface, options, joins, _duration(seconds), framings)
    _report(found)
    if as_json:
        sys.stdout.write(json.dumps(found.as_json()) + "\n")
    else:
        sys.stdout.write(as_toml(found, Naming(feed, source_specific, [str(each) for each in joins])))
    raise typer.Exit(0 if found.flows else 1)


def _port(number: int) -> int:
    if not 0 <= number <= 65535:
        raise DiscoverError(f"--port: expected 0 to 65535, found {number}")
    return number


def _duration(seconds: float | None) -> float:
    """Seconds to listen, infinity for ever."""
    if seconds is None:
        return math.inf if sys.stderr.isatty() else _UNATTENDED_S
    if not 0 <= seconds < 1e9:
        raise DiscoverError(f"--seconds: expected 0 (until stopped) or more, found {seconds:g}")
    return seconds or math.inf


def _listen(
    interface: str,
    options: DiscoverOptions,
    joins: Sequence[Membership],
    seconds: float,
    framings: Mapping[str, Framing],
) -> Discovered:
    with ExitStack() as stack:
        stop = stack.enter_context(StopSignals())
        # Before the joins: what they bring is seen from its first packet on.
        discovery = stack.enter_context(Discovery(interface, options))
        stack.enter_context(Memberships(interface, joins))
        show = _display(stack)
        if show is None:
            talk(f"{interface}: listening {'until stopped' if math.isinf(seconds) else f'for {seconds:g} s'}")
        while not stop.caught and discovery.seconds < seconds:
            discovery.listen(min(seconds - discovery.seconds, _REFRESH_S), lambda: stop.caught)
            if show is not None:
                show(discovery)
        if stop.caught:
            discovery.listen(_LAST_S)  # what waits in the socket, and its count of drops
        if not discovery.can_hear:
            talk(f"{interface}: went down or away meanwhile, and nothing was seen since; bring it up and start again")
        return discovery.snapshot(guesses=FLOWS_MAXIMUM, framings=framings)


def _display(stack: ExitStack) -> Callable[[Discovery], None] | None:
    """What draws the live table, until the stack is unwound; None where nobody would see it."""
    if not sys.stderr.isatty():
        return None
    console = Console(stderr=True)
    live = stack.enter_context(Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False))
    return lambda discovery: live.update(table(discovery.snapshot(max(console.height - 4, 1))), refresh=True)


def _report(found: Discovered) -> None:
    for line in caveats(found):
        talk(f"{found.interface}: {line}")
    if not found.flows:
        what = "UDP" if found.select == "udp" else "multicast"
        talk(
            f"{found.interface}: no {what} arrived in {found.seconds:.1f} s; "
            "where nobody has joined a switch may send nothing: try --join GROUP"
        )
