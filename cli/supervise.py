"""Runs a service in the foreground until a signal, for `run` and `capture`, and reports the books at its end."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import typer

from nanotape.capture.conservation import RingBooks, SourceBooks, ring_books
from nanotape.capture.counters import SourceCounters
from nanotape.capture.places import Places
from nanotape.capture.ring import Ring
from nanotape.capture.service import Service, ServiceOptions, StopSignals
from nanotape.cli.options import talk
from nanotape.config import Settings
from nanotape.storage.settlement import accounted_end

_TICK_S = 1.0


def supervise(settings: Settings, options: ServiceOptions, as_json: bool) -> None:
    """Starts, watches, stops, reports; status 1 when packets are unexplained or unrecorded, or the file is damaged.

    Raises:
        CaptureError: The service could not start, or its holder died.
    """
    service = Service(settings, options, talk)
    with StopSignals() as signals:
        try:
            service.start(signals.fileno())
            assert service.places is not None  # noqa: S101 - it has started
            talk(f"{settings.ring.name}: capturing, {_where_to(options, service.places)}")
            while not signals.caught and not service.finished:
                service.wait(_TICK_S, signals.fileno())
        finally:
            service.stop()
    if settings.source.effective_kind == "pcap" and not service.finished:
        talk(f"{settings.source.file}: stopped before its end")
    with Ring.open(settings.ring.name, service.places.shm) as ring:
        books, sources = ring_books(ring), ring.sources()
        unrecorded = _unrecorded(ring, books, service.places) if options.record else None
    recorder = json.loads(service.recorder_words) if service.recorder_words else None
    failures = recorder["write_failures"] if recorder else 0
    sound = not (books.unexplained or service.damaged or unrecorded or failures)
    if as_json:
        report = {**asdict(books), "lost": books.lost, "unexplained": books.unexplained, "restarts": service.restarts}
        report |= {"recorder": recorder, "unrecorded": unrecorded, "damaged": service.damaged}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.write("\n".join([*_text(books, recorder, unrecorded), *_remarks(sources)]) + "\n")
        if service.damaged:
            sys.stdout.write(f"  DAMAGED: {settings.source.file}: what comes after the damage is not captured\n")
    raise typer.Exit(0 if sound else 1)


def _where_to(options: ServiceOptions, places: Places) -> str:
    if options.record:
        return f"recording to {places.archive}"
    return "but no reader of this command writes to disk; `nanotape record` does that, or `nanotape run` for both"


def _unrecorded(ring: Ring, books: RingBooks, places: Places) -> int:
    """Records at the ring's end that the archive does not account for: by its own files, whatever the recorder says."""
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
