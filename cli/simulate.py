"""`nanotape simulate`: a synthetic exchange that multicasts MoldUDP64 with ITCH 5.0 messages, and says what it sent.

The report goes to stdout, progress and errors to stderr; exit status 0 sent, 1 failed, 2 usage.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import signal
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from nanotape.capture.errors import SimulationError, SimulationUsageError
from nanotape.capture.exchange import ExchangeParameters, Restart
from nanotape.capture.sent_log import NOT_VISIBLE, SentLine, SentLog
from nanotape.capture.simulate import SimulatedExchange
from nanotape.capture.simulated_line import Duplicate, Gap, Line, LineFault, Reorder

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
    duplicate: Annotated[
        list[str] | None,
        typer.Option("--duplicate", metavar="LINE:FIRST:COUNT", help="Packets sent twice. Repeatable."),
    ] = None,
    reorder: Annotated[
        list[str] | None,
        typer.Option("--reorder", metavar="LINE:PACKET:BY", help="A packet sent after the next BY ones. Repeatable."),
    ] = None,
    reset: Annotated[
        list[int] | None,
        typer.Option("--reset", metavar="PACKET", help="From this packet on sequences begin at 1 again. Repeatable."),
    ] = None,
    new_session: Annotated[
        list[int] | None,
        typer.Option("--new-session", metavar="PACKET", help="The same, in a new MoldUDP64 session. Repeatable."),
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
    """A synthetic exchange: MoldUDP64 multicast with ITCH 5.0 messages, A and B lines, bursts and faults on purpose."""
    try:
        parameters = ExchangeParameters(
            seed=seed,
            rate=rate,
            packets=_packets(packets, rate, seconds),
            symbols=symbols,
            burst=burst,
            session=session,
            end_of_session=end_of_session,
            restarts=_restarts(reset or [], new_session or []),
        )
        lines = _lines(line or DEFAULT_LINES, interface, delay or [], ttl, loop)
        faults = _faults(gap or [], duplicate or [], reorder or [])
        with SimulatedExchange(parameters, lines, faults, log) as exchange:
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


def _faults(gaps: Sequence[str], duplicates: Sequence[str], reorders: Sequence[str]) -> list[LineFault]:
    return [
        *(Gap.parse(text) for text in gaps),
        *(Duplicate.parse(text) for text in duplicates),
        *(Reorder.parse(text) for text in reorders),
    ]


def _restarts(resets: Sequence[int], sessions: Sequence[int]) -> tuple[Restart, ...]:
    both = [Restart(packet) for packet in resets] + [Restart(packet, new_session=True) for packet in sessions]
    return tuple(sorted(both, key=lambda restart: restart.packet))


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
        rows += [f"   {text}" for text in _told(line)]
    return "\n".join([*rows, NOT_VISIBLE])


def _told(line: SentLine) -> Iterator[str]:
    for gap in line.gaps:
        done = f"{gap.withheld}{_cut(gap.withheld, gap.packets)} withheld"
        yield f"gap at packet {gap.first_packet}: {_reached(done, gap.messages, gap.first_sequence)}"
    for double in line.duplicates:
        done = f"{double.repeated}{_cut(double.repeated, double.packets)} sent twice"
        yield f"duplicate at packet {double.first_packet}: {_reached(done, double.messages, double.first_sequence)}"
    for late in line.reorders:
        done = f"sent after {late.passed}{_cut(late.passed, late.packets)} that follow it"
        yield f"reorder of packet {late.first_packet}: {_reached(done, late.messages, late.first_sequence)}"
    for restart in line.restarts:
        what = f"new session {restart.session}" if restart.new_session else f"reset in session {restart.session}"
        done = "not reached" if restart.expected_sequence is None else f"before sequence {restart.expected_sequence}"
        yield f"{what} at packet {restart.packet}: {done}"


def _cut(done: int, asked: int) -> str:
    return "" if done == asked else f" of {asked}"


def _reached(done: str, messages: int, first_sequence: int | None) -> str:
    if first_sequence is None:
        return "not reached"
    return f"{done}, {messages} messages from sequence {first_sequence}"
