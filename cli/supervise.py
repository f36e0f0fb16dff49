"""Runs a service in the foreground until a signal, for `run` and `capture`, and reports the books at its end."""

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.capture.ring import Ring
from nanotape.capture.service import Service, ServiceOptions, StopSignals
from nanotape.cli.options import talk
from nanotape.config import Settings

_TICK_S = 1.0


def supervise(settings: Settings, options: ServiceOptions, as_json: bool) -> None:
    """Starts, watches, stops, reports; exit status 1 when packets are unexplained.

    Raises:
        CaptureError: The service could not start, or its holder died.
    """
    service = Service(settings, options, talk)
    with StopSignals() as signals:
        with service:
            assert service.places is not None  # noqa: S101 - it has started
            talk(
                f"{settings.ring.name}: capturing"
                + (f", recording to {service.places.archive}" if options.record else "")
            )
            while not signals.caught and not service.finished:
                service.wait(_TICK_S, signals.fileno())
        with Ring.open(settings.ring.name, service.places.shm) as ring:
            books = ring_books(ring)
    report = {**asdict(books), "lost": books.lost, "unexplained": books.unexplained, "restarts": service.restarts}
    sys.stdout.write((json.dumps(report) if as_json else _text(books)) + "\n")
    raise typer.Exit(1 if books.unexplained else 0)


def _text(books: RingBooks) -> str:
    verdict = "BALANCED" if not books.unexplained else f"UNEXPLAINED: {books.unexplained:,} packets"
    rows = [
        f"{books.ring}: {books.in_ring:,} packets in the ring since it was made, "
        f"{books.lost:,} lost before it: {verdict}"
    ]
    for source in books.sources:
        stages: dict[str, Any] = {
            name: value
            for name, value in asdict(source).items()
            if isinstance(value, int) and name != "in_ring" and value
        }
        rows.append(
            f"  {source.name}: {source.in_ring:,} in ring"
            + "".join(f", {name} {value:,}" for name, value in stages.items())
        )
    return "\n".join(rows)
