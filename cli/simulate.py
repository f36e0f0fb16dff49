"""`nanotape simulate`: a synthetic exchange that multicasts MoldUDP64 with ITCH 5.0 messages, and says what it sent.

The report goes to stdout, progress and errors to stderr; exit status 0 sent, 1 failed, 2 usage.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import signal
from collections.abc import Sequence
from typing import Annotated

import typer

from nanotape.capture.errors import SimulationError, SimulationUsageError
from nanotape.capture.exchange import ExchangeParameters
from nanotape.capture.sent_log import NOT_VISIBLE, SentGap, SentLine, SentLog
from nanotape.capture.simulate import Gap, Line, SimulatedExchange

DEFAULT_LINES = ("A=239.192.0.1:31001", "B=239.192.1.1:31001")


def simulate(
    interface: Annotated[
        str, typer.Option("--interface", "-i", help="Where lines without @INTERFACE are sent.")
    ] = "lo",
    line: Annotated[
        list[str] | None,
        typer.Option(
            "--line", metavar="NAME=GROUP:PORT[@INTERFACE]", help=f"Repeatable. Default: {' and '.join(DEFAULT_LINES)}."
        ),
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="Packets a second and line, on average.")] = 10_000,
    seconds: Annotated[float, typer.Option("--seconds", help="How long; 0: until stopped.")] = 10,
    packets: Annotated[
        int | None, typer.Option("--packets", help="How many data packets, instead of --seconds.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed and parameters give the same bytes.")] = 1,
    symbols: Annotated[int, typer.Option("--symbols", help="Symbols of the market, 1 to 4096.")] = 50,
    burst: Annotated[float, typer.Option("--burst", help="1: even; 4: sent four times as fast, in bursts.")] = 1,
    gap: Annotated[
        list[str] | None,
        typer.Option(
            "--gap", metavar="LINE:FIRST:COUNT", help="Packets made but not sent, the first packet is 1. Repeatable."
        ),
    ] = None,
    delay: Annotated[
        list[str] | None, typer.Option("--delay", metavar="LINE:MICROSECONDS", help="How far a line lags. Repeatable.")
    ] = None,
    ttl: Annotated[int, typer.Option("--ttl", help="Routers that a packet may pass, and one.")] = 1,
    loop: Annotated[
        bool | None,
        typer.Option("--loop/--no-loop", help="Deliver to receivers on this host too. Default: on lo only."),
    ] = None,
    session: Annotated[str, typer.Option("--session", help="MoldUDP64 session. Default: from the seed.")] = "",
    end_of_session: Annotated[
        bool, typer.Option("--end-of-session/--no-end-of-session", help="Send an end-of-session packet at the end.")
    ] = True,
    log: Annotated[
        pathlib.Path | None, typer.Option("--log", metavar="FILE", help="Write what was sent, for a later check.")
    ] = None,
    every: Annotated[float, typer.Option("--every", help="Seconds between lines of progress; 0: none.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout; progress as JSON on stderr.")
    ] = False,
) -> None:
    """A synthetic exchange: MoldUDP64 multicast with ITCH 5.0 messages, A and B lines, bursts and gaps."""
    try:
        parameters = ExchangeParameters(
            seed=seed,
            rate=rate,
            packets=_packets(packets, rate, seconds),
            symbols=symbols,
            burst=burst,
            session=session,
            end_of_session=end_of_session,
        )
        lines = _lines(line or DEFAULT_LINES, interface, delay or [], ttl, loop)
        with SimulatedExchange(parameters, lines, [Gap.parse(text) for text in gap or []], log) as exchange:
            result = _run(exchange, every, as_json)
    except SimulationError as error:
        typer.echo(f"nanotape simulate: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SimulationUsageError) else 1) from None
    typer.echo(json.dumps(result.as_json()) if as_json else _report(result))


def _packets(packets: int | None, rate: float, seconds: float) -> int | None:
    if packets is not None:
        return packets
    if not 0 <= seconds < 1e9:
        raise SimulationUsageError(f"seconds: expected 0 (until stopped) or more, found {seconds:g}")
    if not seconds or not math.isfinite(rate):  # the parameters refuse such a rate
        return None
    return max(1, round(rate * seconds))


def _lines(texts: Sequence[str], interface: str, delays: list[str], ttl: int, loop: bool | None) -> list[Line]:
    lines = {line.name: line for line in (Line.parse(text, interface) for text in texts)}
    if len(lines) != len(texts):
        raise SimulationUsageError(f"line: a name is given twice in {' '.join(texts)}; each line needs its own name")
    for text in delays:
        name, _, microseconds = text.partition(":")
        if name not in lines or not microseconds.isdigit():
            raise SimulationUsageError(
                f"delay: expected LINE:MICROSECONDS, a line of {', '.join(lines)}, found {text!r}"
            )
        lines[name] = dataclasses.replace(lines[name], delay_ns=int(microseconds) * 1000)
    return [dataclasses.replace(line, ttl=ttl, loop=loop) for line in lines.values()]


def _run(exchange: SimulatedExchange, every: float, as_json: bool) -> SentLog:
    before = {number: signal.signal(number, lambda *_: exchange.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        exchange.start()
        while (result := exchange.wait(every if every > 0 else 1.0)) is None:
            if every > 0:
                _progress(exchange.counters(), as_json)
        return result
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(lines: tuple[SentLine, ...], as_json: bool) -> None:
    if as_json:
        text = json.dumps({"lines": [dataclasses.asdict(line) for line in lines]})
    else:
        text = "  ".join(f"{line.name} {line.sent:,} sent, {line.withheld:,} withheld" for line in lines)
    typer.echo(text, err=True)


def _report(log: SentLog) -> str:
    rows = [f"session {log.parameters.session}, seed {log.parameters.seed}: {log.ended}"]
    for line in log.lines:
        rate = "" if line.rate is None else f", {line.rate:,.0f} a second"
        rows.append(
            f"{line.name}  {line.group}:{line.port} on {line.interface}: {line.sent:,} packets sent{rate}, "
            f"{line.messages:,} messages, {line.bytes:,} bytes, {line.heartbeats:,} heartbeats, "
            f"crc32c {line.crc32c:08x}"
        )
        rows += [f"   gap at packet {gap.first_packet}: {_gap(gap)}" for gap in line.gaps]
    return "\n".join([*rows, NOT_VISIBLE])


def _gap(gap: SentGap) -> str:
    if gap.first_sequence is None:
        return "not reached"
    cut = "" if gap.withheld == gap.packets else f" of {gap.packets}"
    return f"{gap.withheld}{cut} withheld, {gap.messages} messages from sequence {gap.first_sequence}"
