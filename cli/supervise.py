"""Runs a service in the foreground until a signal, for `run` and `capture`, and reports the books at its end."""

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from nanotape.capture.conservation import RingBooks, SourceBooks, ring_books
from nanotape.capture.places import Places
from nanotape.capture.ring import Ring
from nanotape.capture.service import Service, ServiceOptions, StopSignals
from nanotape.cli.options import talk
from nanotape.config import Settings
from nanotape.storage.resume import archive_end

_TICK_S = 1.0


def supervise(settings: Settings, options: ServiceOptions, as_json: bool) -> None:
    """Starts, watches, stops, reports; exit status 1 when packets are unexplained, or not in the archive.

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
    with Ring.open(settings.ring.name, service.places.shm) as ring:
        books = ring_books(ring)
        unrecorded = _unrecorded(ring, books, service.places) if options.record else None
    recorder = json.loads(service.recorder_words) if service.recorder_words else None
    sound = not books.unexplained and (unrecorded == 0 if options.record else True)
    if as_json:
        report = {**asdict(books), "lost": books.lost, "unexplained": books.unexplained, "restarts": service.restarts}
        sys.stdout.write(json.dumps({**report, "recorder": recorder, "unrecorded": unrecorded}) + "\n")
    else:
        sys.stdout.write(_text(books, recorder, unrecorded) + "\n")
    raise typer.Exit(0 if sound else 1)


def _where_to(options: ServiceOptions, places: Places) -> str:
    if options.record:
        return f"recording to {places.archive}"
    return "but no reader of this command writes to disk; `nanotape record` does that, or `nanotape run` for both"


def _unrecorded(ring: Ring, books: RingBooks, places: Places) -> int:
    """Records at the ring's end that the archive does not reach: by its own files, whatever the recorder says."""
    directory = places.archive / "segments" / ring.name
    end = archive_end(directory, ring.ring_id) if directory.is_dir() else None
    return books.last_seq - ((end.last_seq if end else None) or 0)


def _text(books: RingBooks, recorder: dict[str, Any] | None, unrecorded: int | None) -> str:
    verdict = "BALANCED" if not books.unexplained else f"UNEXPLAINED: {books.unexplained:,} packets"
    rows = [
        f"{books.ring}: {books.in_ring:,} packets in the ring since it was made, "
        f"{books.lost:,} lost before it: {verdict}",
        *(_source(source) for source in books.sources),
    ]
    if recorder:
        rows.append(
            f"  recorder, since its last start: {recorder['recorded']:,} recorded, {recorder['lost']:,} lost, "
            f"{recorder['write_failures']:,} could not be written"
        )
    if unrecorded:
        rows.append(
            f"  NOT IN THE ARCHIVE: the newest {unrecorded:,} packets; the next start takes what the ring still has"
        )
    return "\n".join(rows)


def _source(source: SourceBooks) -> str:
    stages = {
        name: value for name, value in asdict(source).items() if isinstance(value, int) and name != "in_ring" and value
    }
    checked = "" if source.offered is not None else " (what was sent is not known here: no balance before the ring)"
    return f"  {source.name}: {source.in_ring:,} in ring{checked}" + "".join(
        f", {name} {value:,}" for name, value in stages.items()
    )
