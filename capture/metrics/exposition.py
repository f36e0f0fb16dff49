"""Families of samples as a page in Prometheus' text format, by its own client library. What is unknown is not on it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

Number = int | float | None


class Family:
    """One metric: its samples differ in the values of their labels."""

    def __init__(self, make: Callable[..., Metric], name: str, meaning: str) -> None:
        """Without a sample.

        Args:
            make: The library's class of its kind.
            name: With its unit: `nanotape_ring_packets_total`.
            meaning: For people.
        """
        self._make, self._name, self._meaning = make, name, meaning
        self.metric: Metric | None = None
        """None: it has no sample."""

    def add(self, labels: Mapping[str, str], value: Number) -> None:
        """Adds a sample, unless it is unknown; all have labels of the same names."""
        if value is not None:
            self._of(labels).add_metric(list(labels.values()), value)

    def add_histogram(self, labels: Mapping[str, str], counts: Iterable[int], bounds: Iterable[float]) -> None:
        """Adds a histogram, which has no sum.

        Args:
            labels: Of all its buckets.
            counts: By bucket; the last is open-ended.
            bounds: Upper bounds of all buckets but the last.
        """
        total, buckets = 0, []
        for limit, count in zip((*map(floatToGoString, bounds), "+Inf"), counts, strict=True):
            total += count
            buckets.append((limit, total))
        self._of(labels).add_metric(list(labels.values()), buckets, None)

    def _of(self, labels: Mapping[str, str]) -> Any:  # each kind takes a sample of its own form
        if self.metric is None:
            self.metric = self._make(self._name, self._meaning, labels=list(labels))
        return self.metric


class Page(Collector):
    """Families in the order in which they were first asked for."""

    def __init__(self) -> None:
        """Empty."""
        self._families: dict[str, Family] = {}

    def counter(self, name: str, meaning: str) -> Family:
        """What only grows; its name ends in `_total`."""
        return self._family(CounterMetricFamily, name, meaning)

    def gauge(self, name: str, meaning: str) -> Family:
        """What goes up and down."""
        return self._family(GaugeMetricFamily, name, meaning)

    def histogram(self, name: str, meaning: str) -> Family:
        """What is counted by size."""
        return self._family(HistogramMetricFamily, name, meaning)

    def collect(self) -> Iterator[Metric]:
        """What the library asks for: families without a sample are left out."""
        return (family.metric for family in self._families.values() if family.metric is not None)

    def text(self) -> str:
        """The page."""
        return generate_latest(self).decode()

    def _family(self, make: Callable[..., Metric], name: str, meaning: str) -> Family:
        return self._families.setdefault(name, Family(make, f"nanotape_{name}", meaning))
