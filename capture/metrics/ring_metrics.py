"""The metrics of one ring, from a look at it and, where there was one before, from what came between the two."""

from collections.abc import Iterator, Mapping

from nanotape.capture.counters import LoopGaps, SourceCounters
from nanotape.capture.health import STAGES, Look, ReaderHealth, RingHealth
from nanotape.capture.metrics.exposition import Page

_NS = 1e-9
_Labels = Mapping[str, str]


def add_ring(page: Page, look: Look, health: RingHealth | None) -> None:
    """Puts all that is known of a ring on a page.

    Args:
        page: Where to.
        look: The newest.
        health: What it says together with an earlier one; None: there was none, and what takes two is unknown.
    """
    facts = look.facts
    labels = {"host": facts.host, "ring": facts.name}
    page.counter("ring_packets_total", "Packets put into the ring since it was made").add(labels, facts.packets)
    page.counter("ring_published_bytes_total", "Bytes of the ring that were published since it was made").add(
        labels, facts.published_bytes
    )
    page.gauge("ring_capacity_bytes", "Bytes that the ring holds").add(labels, facts.capacity_bytes)
    page.gauge("ring_writer_up", "Whether the capture process lives").add(labels, facts.writer_alive)
    page.gauge("ring_epoch", "How often a writer began with this ring").add(labels, facts.epoch)
    page.gauge("ring_created_timestamp_seconds", "When the ring was made, UTC").add(labels, facts.created_ns * _NS)
    _add_losses(page, labels, look)
    for source in facts.sources:
        _add_source(page, {**labels, "source": source.name}, source)
    if facts.gaps is not None:
        _add_gaps(page, labels, facts.gaps)
    page.counter("loop_system_calls_total", "System calls of the capture loop, each a defect").add(
        labels, facts.system_calls.made
    )
    _add_space(page, labels, look)
    if health is not None:
        _add_health(page, labels, health)


def _add_losses(page: Page, labels: _Labels, look: Look) -> None:
    lost = page.counter("lost_packets_total", "Packets that this host lost, by the stage that lost them")
    for stage in STAGES:
        lost.add({**labels, "stage": stage}, _known_sum(getattr(source, stage) for source in look.books.sources))
    for reader in look.facts.readers:
        if reader.recorded is not None and reader.current:
            lost.add({**labels, "stage": "recorder_lapped"}, reader.lost)
            lost.add({**labels, "stage": "recorder_write"}, reader.write_failures)
    offered = page.counter("offered_packets_total", "Packets of the selection that the network interface brought")
    for source in look.books.sources:
        offered.add({**labels, "source": source.name}, source.offered)


def _known_sum(values: Iterator[int | None]) -> int | None:
    """None where nobody counts."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _add_source(page: Page, labels: _Labels, source: SourceCounters) -> None:
    loop = source.loop
    counters = {
        "source_packets_total": ("Packets of the source that are in the ring", loop.packets),
        "source_bytes_total": ("Bytes of frames of the source that are in the ring", loop.bytes),
        "source_other_packets_total": ("Packets of no configured channel", loop.other),
        "source_unparsed_packets_total": ("Packets whose headers cannot be read", loop.unparsed),
        "source_bad_stamp_packets_total": ("Packets with a stamp that cannot be right", loop.bad_stamps),
        "source_unselected_packets_total": ("Packets left out because they are not selected", loop.unselected),
    }
    for name, (meaning, value) in counters.items():
        page.counter(name, meaning).add(labels, value)
    if loop.last_packet_ns is not None:
        page.gauge("source_last_packet_timestamp_seconds", "Stamp of the newest packet, UTC").add(
            labels, loop.last_packet_ns * _NS
        )
    if any(loop.delay_histogram):
        page.histogram("rx_delay_seconds", "From a packet's stamp to its place in the ring").add_histogram(
            labels, loop.delay_histogram, _bounds(len(loop.delay_histogram))
        )


def _add_gaps(page: Page, labels: _Labels, gaps: LoopGaps) -> None:
    page.counter("loop_late_rounds_total", "Times that the capture loop came late to its sources").add(
        labels, gaps.count
    )
    page.counter("loop_late_seconds_total", "Time that the capture loop was late").add(labels, gaps.total_ns * _NS)
    page.gauge("loop_late_longest_seconds", "The longest that the capture loop was late").add(
        labels, gaps.longest_ns * _NS
    )


def _bounds(buckets: int) -> list[float]:
    """Bucket b of a histogram of nanoseconds ends below 2^b."""
    return [(1 << bucket) * _NS for bucket in range(buckets - 1)]


def _add_space(page: Page, labels: _Labels, look: Look) -> None:
    if look.space is None:
        return
    of_disk = {**labels, "path": look.space.path}
    page.gauge("archive_free_bytes", "Room on the archive's file system").add(of_disk, look.space.free_bytes)
    page.gauge("archive_size_bytes", "Size of the archive's file system").add(of_disk, look.space.total_bytes)
    page.gauge("archive_kept_free_bytes", "Room that is kept free by deleting").add(of_disk, look.space.kept_bytes)


def _add_health(page: Page, labels: _Labels, health: RingHealth) -> None:
    page.gauge("ring_capturing", "Whether the capture lives and its loop goes round").add(labels, health.capturing)
    page.gauge(
        "unexplained_packets", "Packets that the books cannot account for; absent: cannot be judged just now"
    ).add(labels, health.unexplained)
    page.gauge("archive_full_in_seconds", "Until the archive's file system is full, at this rate").add(
        labels, health.full_in_s
    )
    deaths = page.gauge("recent_process_deaths", "How often a process ended unasked in the last ten minutes")
    for process in ("holder", "capture", "recorder"):
        deaths.add({**labels, "process": process}, health.deaths.get(process, 0) if health.service else None)
    if health.service is not None:
        page.gauge("links_down", "Links of the ring that are down").add(labels, len(health.service.links))
        page.gauge("deprived_listeners", "Who listens to what AF_XDP takes, and receives nothing").add(
            labels, len(health.service.listeners)
        )
    for reader in health.readers:
        _add_reader(page, {**labels, "reader": reader.name}, reader)


def _add_reader(page: Page, labels: _Labels, reader: ReaderHealth) -> None:
    page.gauge("reader_up", "Whether the reader lives").add(labels, reader.alive)
    page.gauge("reader_lag_bytes", "Published and not read").add(labels, reader.lag_bytes)
    page.gauge("reader_lag_ratio", "Of the ring: at 1 the reader is being lapped").add(labels, reader.lag_share)
    page.gauge("reader_lapped_if_stopped_in_seconds", "Until the reader is lapped, should it stop now").add(
        labels, reader.holds_s
    )
    page.gauge("reader_lapped_in_seconds", "Until the reader is lapped, if all goes on as it does").add(
        labels, reader.lapped_in_s
    )
    page.counter("reader_lost_packets_total", "Packets that the ring overwrote before they were read").add(
        labels, reader.lost
    )
    page.counter("recorder_recorded_packets_total", "Packets on disk, since the recorder began").add(
        labels, reader.recorded
    )
    page.counter("recorder_unwritten_packets_total", "Packets read that the disk refused").add(
        labels, reader.write_failures
    )
