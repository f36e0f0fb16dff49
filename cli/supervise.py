"""Runs services in the foreground until a signal, for `run` and `capture`, and reports their books at the end."""

import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import typer

from nanotape.capture.clock.parts import clock_service
from nanotape.capture.conservation import RingBooks, SourceBooks, ring_books
from nanotape.capture.control.listening import control_server
from nanotape.capture.control.steering import Steering
from nanotape.capture.counters import SourceCounters
from nanotape.capture.errors import CaptureError
from nanotape.capture.footprint import Footprint
from nanotape.capture.inheritance import InheritedRing, take
from nanotape.capture.notify import Notifier
from nanotape.capture.places import Places
from nanotape.capture.progress import Watchdog
from nanotape.capture.reload import Reload
from nanotape.capture.restart import Restart
from nanotape.capture.ring import Ring
from nanotape.capture.service import ServiceOptions, StopSignals
from nanotape.capture.services import RingRun, Services
from nanotape.config import ConfigError, Settings
from nanotape.storage.clock import SystemClock
from nanotape.storage.line_pipe import LinePipe
from nanotape.storage.log import Error, Info
from nanotape.storage.service_log import ServiceLog, is_journal, passed_on, service_log

_TICK_S = 1.0
_PRIORITIES = "NANOTAPE_PRIORITIES"
"""In the environment: programs in C put the level before each line (native/process.h)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ring."""

    sound: bool
    report: dict[str, Any]
    """For programs."""
    lines: list[str]
    """For people."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """All is let go of, for this very command to be executed anew."""

    restart: Restart
    rings: dict[str, InheritedRing]
    environment: dict[str, str]


class HeldTalk:
    """Lines that nobody wants to read before it is known whether anything starts at all; from several threads."""

    def __init__(self, talk: Callable[[str], None]) -> None:
        """Holds what comes."""
        self._talk, self._lock = talk, threading.Lock()
        self._held: list[str] | None = []

    def talk(self, line: str) -> None:
        """Passes a line on, or holds it."""
        with self._lock:
            if self._held is None:
                self._talk(line)
            else:
                self._held.append(line)

    def release(self) -> None:
        """Passes on what was held, and from now on all."""
        with self._lock:
            for line in self._held or ():
                self._talk(line)
            self._held = None


def supervise(reread: Callable[[], Sequence[Settings]], options: ServiceOptions, as_json: bool) -> None:
    """Starts, watches, stops, reports; status 1 when packets are unexplained or unrecorded, or a file is damaged.

    Args:
        reread: Gives each ring's settings, as they are now.
        options: What to start for each.
        as_json: Whether to report one object: of one ring its own, else all of them in `rings`.

    Raises:
        ConfigError: The configuration is wrong.
        CaptureError: A service could not start, or the holder of the only ring died.
    """
    rings = reread()
    with _logged(rings, options) as (log, options):
        outcomes = _run(rings, reread, options, log)
    if isinstance(outcomes, Leaving):
        outcomes.restart.execute(outcomes.rings, outcomes.environment)
    if as_json:
        reports = [outcome.report for outcome in outcomes]
        sys.stdout.write(json.dumps({"rings": reports} if len(reports) > 1 else reports[0]) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for outcome in outcomes for line in outcome.lines))
    raise typer.Exit(0 if all(outcome.sound for outcome in outcomes) else 1)


def _run(
    rings: Sequence[Settings], reread: Callable[[], Sequence[Settings]], options: ServiceOptions, log: ServiceLog
) -> list[Outcome] | Leaving:
    services, watchdog = (
        Services(rings, options, log, take()),
        Watchdog(Notifier.of_environment(), rings[0].paths.shm_dir),
    )
    made, held = Footprint(), HeldTalk(log)
    clock, is_started = clock_service(rings, held.talk, options.wrap), False
    left: dict[str, InheritedRing] | None = None
    # A terminal that goes away ends what it runs; a service has none.
    with StopSignals(hangup_reloads=not os.isatty(2)) as signals, contextlib.ExitStack() as stack:
        reload = Reload(services, reread, held.talk)
        restart = Restart(services, reread, signals.wake)
        control = control_server(rings, Steering(services, reload, signals.stop, restart), held.talk)
        try:
            if clock:
                clock.start(made)
            services.start(signals.fileno(), lambda run: _say_so(run, options, log))
            is_started = True
            held.release()
            watchdog.notifier.ready(f"capturing: {', '.join(run.name for run in services.runs)}")
            control.start()
            stack.callback(control.stop)
            _serve_metrics(services, stack, log)
            while not (signals.caught or restart.is_asked) and services.wait(_TICK_S, signals.fileno()):
                watchdog.look([run.name for run in services.runs if not run.has_ended])
                # Needed at the end, when an upgrade may have put another in its place; at the start it would cost time.
                importlib.import_module("nanotape.storage.settlement")
                if signals.take_reload():
                    # Beside the watchdog, which has to be fed meanwhile.
                    threading.Thread(target=_reload, args=(reload, log), name="nanotape-reload", daemon=True).start()
            if restart.is_asked and not signals.caught:
                log(Info("restart: this program is executed anew; holders and captures go on"))
                watchdog.notifier.reloading()
                left = services.leave()
        finally:
            if left is None:
                watchdog.notifier.stopping()
            services.stop()
            if clock:
                clock.stop()
            if not is_started:
                made.undo()
    services.raise_of_one()
    if left is not None:
        return Leaving(restart, left, watchdog.notifier.environment)
    return [_outcome(run, options, log) for run in services.runs]


@contextlib.contextmanager
def _logged(rings: Sequence[Settings], options: ServiceOptions) -> Iterator[tuple[ServiceLog, ServiceOptions]]:
    """The log of a supervisor; with JSON the lines of the programs that it starts go into it too."""
    chosen = rings[0].log
    fields = {"process": "supervisor", **({"ring": rings[0].ring.name} if len(rings) == 1 else {})}
    log = service_log(chosen.format, chosen.repeats, fields, SystemClock())
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        if chosen.format == "json" and options.talk is None:
            pipe = LinePipe(lambda line: passed_on(line, log))
            stack.callback(pipe.close)
            options = replace(options, talk=pipe.writer)
            os.environ[_PRIORITIES] = "1"
        elif is_journal(os.environ):
            os.environ[_PRIORITIES] = "1"
        yield log, options


def _serve_metrics(services: Services, stack: contextlib.ExitStack, log: ServiceLog) -> None:
    chosen = services.runs[0].settings.metrics
    if chosen.port is not None:
        from nanotape.capture.metrics.collector import Collector  # a start without them need not wait for the library
        from nanotape.capture.metrics.server import MetricsServer

        collector = Collector(lambda: [run.settings for run in services.runs])
        server = MetricsServer(chosen.address, chosen.port, collector.text, log)
        server.start()
        stack.callback(server.stop)


def _reload(reload: Reload, log: ServiceLog) -> None:
    """As SIGHUP asks for: nobody is there to be told but whoever reads the log."""
    try:
        found = reload()
    except (CaptureError, ConfigError) as error:
        for line in str(error).splitlines():
            log(Error(f"reload: {line}"))
    else:
        if not any(each["changed"] for each in found["rings"]):
            log(Info("reload: nothing has changed"))


def _say_so(run: RingRun, options: ServiceOptions, log: ServiceLog) -> None:
    assert run.service.places is not None  # noqa: S101 - it has started
    log(Info(f"{run.name}: capturing, {_where_to(options, run.service.places)}"))


def _outcome(run: RingRun, options: ServiceOptions, log: ServiceLog) -> Outcome:
    service, source = run.service, run.settings.source
    assert service.places is not None  # noqa: S101 - it has started
    if source.effective_kind == "pcap" and not service.finished:
        log(f"{source.file}: stopped before its end")
    with Ring.open(run.name, service.places.shm) as ring:
        books, sources = ring_books(ring), ring.sources()
        unrecorded = _unrecorded(ring, books, service.places) if options.record else None
    recorder = json.loads(service.recorder_words) if service.recorder_words else None
    failures = recorder["write_failures"] if recorder else 0
    sound = not (books.unexplained or service.damaged or unrecorded or failures or run.error)
    report = {**asdict(books), "lost": books.lost, "unexplained": books.unexplained, "restarts": service.restarts}
    report |= {"recorder": recorder, "unrecorded": unrecorded, "damaged": service.damaged}
    report["error"] = None if run.error is None else str(run.error)
    lines = [*_text(books, recorder, unrecorded), *_remarks(sources)]
    if service.damaged:
        lines.append(f"  DAMAGED: {source.file}: what comes after the damage is not captured")
    if run.error is not None:
        lines.append(f"  ENDED: {run.error}")
    return Outcome(sound, report, lines)


def _where_to(options: ServiceOptions, places: Places) -> str:
    if options.record:
        return f"recording to {places.archive}"
    return "but no reader of this command writes to disk; `nanotape record` does that, or `nanotape run` for both"


def _unrecorded(ring: Ring, books: RingBooks, places: Places) -> int:
    """Records at the ring's end that the archive does not account for: by its own files, whatever the recorder says."""
    from nanotape.storage.settlement import accounted_end  # loaded a second after the start: see _run

    return books.last_seq - accounted_end(places.archive / "segments" / ring.name, ring.ring_id)


def _remarks(sources: Sequence[SourceCounters]) -> Iterator[str]:
    """What of each source is worth a word, though none of it is lost."""
    for source in sources:
        if source.loop.other:
            unparsed = (
                f", {source.loop.unparsed:,} of them with headers that cannot be read" if source.loop.unparsed else ""
            )
            yield f"  {source.name}: {source.loop.other:,} of no channel{unparsed}"
        if source.loop.bad_stamps:
            yield f"  {source.name}: {source.loop.bad_stamps:,} with a stamp that cannot be right"


def _text(books: RingBooks, recorder: dict[str, Any] | None, unrecorded: int | None) -> list[str]:
    verdict = "BALANCED" if not books.unexplained else f"UNEXPLAINED: {books.unexplained:,} packets"
    rows = [
        f"{books.ring}: {books.in_ring:,} packets in the ring since it was made, "
        f"{books.lost:,} lost before it: {verdict}",
        *(_source(source) for source in books.sources),
    ]
    if recorder:
        left_out = f", {recorder['left_out']:,} of no channel left out" if recorder["left_out"] else ""
        rows.append(
            f"  recorder, since its last start: {recorder['recorded']:,} recorded, {recorder['lost']:,} lost, "
            f"{recorder['write_failures']:,} could not be written{left_out}"
        )
    if unrecorded:
        rows.append(
            f"  NOT IN THE ARCHIVE: the newest {unrecorded:,} packets; the next start takes what the ring still has"
        )
    return rows


def _source(source: SourceBooks) -> str:
    stages = {
        name: value for name, value in asdict(source).items() if isinstance(value, int) and name != "in_ring" and value
    }
    checked = "" if source.offered is not None else " (what was sent is not known here: no balance before the ring)"
    return f"  {source.name}: {source.in_ring:,} in ring{checked}" + "".join(
        f", {name} {value:,}" for name, value in stages.items()
    )
