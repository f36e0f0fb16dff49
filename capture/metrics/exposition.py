"""Prometheus' text format, version 0.0.4: families of samples as a page. What is unknown is not on it.

Source: prometheus.io, "Exposition formats". Written here because a capture host needs nothing else of a client library.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Number = int | float | None


@dataclass(slots=True)
class Family:
    """One metric: its samples differ in their labels."""

    name: str
    """With its unit: `nanotape_ring_packets_total`."""
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    samples: list[str] = field(default_factory=list)

    def add(self, labels: Mapping[str, str], value: Number, suffix: str = "") -> None:
        """Adds a sample, unless it is unknown."""
        if value is not None:
            self.samples.append(f"{self.name}{suffix}{_labels(labels)} {_number(value)}")

    def add_histogram(self, labels: Mapping[str, str], counts: Iterable[int], bounds: Iterable[float]) -> None:
        """Adds a histogram.

        Args:
            labels: Of all its buckets.
            counts: By bucket; the last is open-ended.
            bounds: Upper bounds of all buckets but the last.
        """
        total, limits = 0, (*map(_number, bounds), "+Inf")
        for limit, count in zip(limits, counts, strict=True):
            total += count
            self.add({**labels, "le": limit}, total, "_bucket")
        self.add(labels, total, "_count")


class Page:
    """Families in the order of their first sample."""

    def __init__(self) -> None:
        """Empty."""
        self._families: dict[str, Family] = {}

    def counter(self, name: str, meaning: str) -> Family:
        """What only grows; its name ends in `_total`."""
        return self._family(name, "counter", meaning)

    def gauge(self, name: str, meaning: str) -> Family:
        """What goes up and down."""
        return self._family(name, "gauge", meaning)

    def histogram(self, name: str, meaning: str) -> Family:
        """What is counted by size."""
        return self._family(name, "histogram", meaning)

    def text(self) -> str:
        """The page; families without a sample are left out."""
        lines: list[str] = []
        for family in self._families.values():
            if family.samples:
                meaning = family.meaning.replace("\\", "\\\\").replace("\n", "\\n")
                lines += [f"# HELP {family.name} {meaning}", f"# TYPE {family.name} {family.kind}", *family.samples]
        return "".join(f"{line}\n" for line in lines)

    def _family(self, name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str) -> Family:
        return self._families.setdefault(name, Family(f"nanotape_{name}", kind, meaning))


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: int | float) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value)
