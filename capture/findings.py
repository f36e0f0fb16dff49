"""What is wrong with a ring, how badly, and what to do: one line each. Also the one sentence that answers it all.

Pure: from the figures of `health.py`. An error is what loses data now, or will soon; what was lost long ago is a
warning.
"""

from collections.abc import Sequence

from nanotape.capture.finding import Finding, Rule, Severity
from nanotape.capture.health import ReaderHealth, RingHealth
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.recorder_findings import LAG_WARNING, recording, stands_still
from nanotape.capture.service_state import HOLDER_DIED, STOPPED

__all__ = [
    "Finding",
    "Severity",
    "headline",
    "is_behind",
    "never_started",
    "nothing_there",
    "ring_findings",
    "space_rule",
    "unreadable",
]

FREE_WARNING, FREE_ERROR = 0.10, 0.02
"""What is free of the archive's file system."""
FULL_SOON_S = 3600.0
"""Warn when the archive's file system will be full within this time."""
SILENT_AFTER_S = 60.0
"""Warn when no packet came for this time."""

_ADVICE = {
    "passed_no_socket": "restart the capture: the NIC has queues that it does not serve (ethtool -l)",
    "rx_dropped": "raise source.descriptors; for frames above 1,792 bytes set source.frame_size = 4096",
    "rx_ring_full": "give the loop an isolated core of its own (loop.core)",
    "socket_drops": "raise source.receive_buffer and net.core.rmem_max; of a packet source: source.descriptors",
    "lost_with_holder": "find out why the holder died (its last words, dmesg)",
    "oversize": "a ring takes frames up to 128 KiB, one below 4 MiB less: then make it larger (ring.capacity)",
}
_LISTENERS_TOLD = 5
_DEATHS = 3


def ring_findings(health: RingHealth) -> tuple[Finding, ...]:
    """All findings of a ring, errors first; one that says so when all is well."""
    rules = (
        _capture,
        _links,
        _deaths,
        _losses,
        _books,
        _calls,
        _listeners,
        recording,
        _readers,
        space_rule,
        _feed,
        _memory,
    )
    found = [Finding(severity, health.name, what, do) for rule in rules for severity, what, do in rule(health)]
    found.sort(key=lambda finding: (Severity.ERROR, Severity.WARNING, Severity.OK).index(finding.severity))
    return tuple(found) or (Finding(Severity.OK, health.name, "all is well", ""),)


def unreadable(ring: UnreadableRing) -> Finding:
    """Of a ring that cannot be opened."""
    do = "mend what the line says; to read a ring be in its group, to be rid of one: nanotape rings --remove NAME"
    return Finding(Severity.ERROR, ring.name, f"cannot be read: {ring.error}", do)


def nothing_there(ring: str | None, folder: str) -> Finding:
    """Of a host without a ring, or without the one that was asked for."""
    what = "there is no ring" if ring is None else f"there is no ring {ring}"
    return Finding(Severity.ERROR, None, f"nothing is captured: {what} in {folder}", "start it: nanotape run")


def never_started(ring: str) -> Finding:
    """Of a configured ring that is not there, beside others that are."""
    what = "not capturing: it is configured, and there is no ring of this name"
    return Finding(Severity.ERROR, ring, what, f"start it: nanotape run --ring {ring}")


def _capture(health: RingHealth) -> Rule:
    if health.capturing:
        if health.restarted:
            yield Severity.WARNING, "the capture was started anew during this look", "see its log for why it ended"
    elif health.writer_alive:
        what = (
            f"not capturing: process {health.writer_pid} lives, but its loop stood still for {health.interval_s:.1f} s"
        )
        yield Severity.ERROR, what, "see whether it is stopped (SIGCONT), or its core taken by another process"
    elif health.writer_pid is not None:
        do = "nanotape run restarts it; if that is gone too, start it again: the ring goes on with its sequence"
        yield Severity.ERROR, f"not capturing: the capture, process {health.writer_pid}, died", do
    elif health.reads_files:
        yield _end_of_files(health)
    else:
        why = f", since {HOLDER_DIED}" if health.service and health.service.ended == HOLDER_DIED else ""
        do = f"start it: nanotape run --ring {health.name}"
        yield Severity.ERROR, f"not capturing: the capture was ended{why}", do


def _end_of_files(health: RingHealth) -> tuple[Severity, str, str]:
    if health.service and health.service.damaged:
        what = "not capturing: its file was read up to where it is damaged; what comes after is not captured"
        return Severity.WARNING, what, "get a sound copy, and capture it into another ring"
    if health.service and health.service.ended == STOPPED:
        what = "not capturing: it was stopped before the end of its file"
        return Severity.WARNING, what, "start it again: nanotape run reads the file from its beginning"
    return Severity.WARNING, "not capturing: its files have been read to their end", ""


def _links(health: RingHealth) -> Rule:
    for line in health.service.links if health.service else ():
        yield Severity.ERROR, f"nothing comes in: {line}", "see cable, switch port and ip link; it goes on by itself"
    for line in health.service.notes if health.service else ():
        yield Severity.WARNING, line, "or set source.interface and start anew"


def _deaths(health: RingHealth) -> Rule:
    """One that dies now and then is started anew and loses nothing; one that dies again and again soon will."""
    for process, count in health.deaths.items():
        if count >= _DEATHS:
            what = f"the {process} died {count} times in the last 10 minutes"
            yield Severity.WARNING, what, "see its last words in the service's log"


def _losses(health: RingHealth) -> Rule:
    for stage, count in health.lost.items():
        now = health.lost_now.get(stage, 0)
        if now:
            what = f"losing packets before the ring: {stage} {now:,} in {health.interval_s:.1f} s, {count:,} in all"
            yield Severity.ERROR, what, _ADVICE[stage]
        else:
            what = f"{count:,} packets lost before the ring since it was made ({stage}), none now"
            yield Severity.WARNING, what, _ADVICE[stage]


def _books(health: RingHealth) -> Rule:
    if health.unexplained:
        what = f"{health.unexplained:,} packets are unexplained: the counters before the ring and in it do not agree"
        yield Severity.ERROR, what, "keep nanotape rings --json and report it: a counter lies, or packets vanish unseen"


def _listeners(health: RingHealth) -> Rule:
    if health.service is None or health.service.delivery == "steal":
        return
    told = health.service.listeners
    for line in told[:_LISTENERS_TOLD]:
        what, _, do = line.rpartition("; ")
        yield Severity.ERROR, f"somebody goes blind: {what}", do
    if len(told) > _LISTENERS_TOLD:
        what = f"{len(told) - _LISTENERS_TOLD:,} more sockets of this host go blind"
        yield Severity.ERROR, what, "the service's log names them all, nanotape status --json too"


def _readers(health: RingHealth) -> Rule:
    for reader in health.readers:
        if reader.lost_now and not reader.records:
            what = f"reader {reader.name} is too slow: it was lapped over {reader.lost_now:,} packets"
            yield Severity.WARNING, what, "only this reader misses them; make it faster"


def space_rule(health: RingHealth) -> Rule:
    """Whether there is room where it is recorded to."""
    space = health.space
    if space is None:
        if health.recorders:
            yield Severity.WARNING, "the archive's file system cannot be asked how much room it has", ""
        return
    where = f"{space.path}: {space.free_share:.1%} of its file system is free, {space.free_bytes / 2**30:,.1f} GiB"
    do = "delete or move what is old, or put paths.archive on a larger disk"
    if space.kept_bytes:
        if space.free_bytes < space.kept_bytes // 2:  # it makes room every few seconds
            where += f"; retention is to keep {space.kept_bytes / 2**30:,.1f} GiB"
            do = "the recorder's log says why it cannot: something else fills the disk, or only what must stay is left"
            yield Severity.ERROR if space.free_share < FREE_ERROR else Severity.WARNING, where, do
    elif space.free_share < FREE_WARNING:
        yield Severity.ERROR if space.free_share < FREE_ERROR else Severity.WARNING, where, do
    elif health.full_in_s is not None and health.full_in_s < FULL_SOON_S:
        yield Severity.WARNING, f"{where}; full in {health.full_in_s / 60:.0f} min at this rate", do


def _feed(health: RingHealth) -> Rule:
    if not health.capturing or health.reads_files:
        return
    do = "outside trading hours that is right; else see joins, cable and switch: nanotape discover IF"
    if health.packets == 0:
        yield Severity.WARNING, "no packet has come since the ring was made", do
    elif health.last_packet_s is not None and health.last_packet_s > SILENT_AFTER_S and health.packets_s:
        what = f"packets come, but their stamps are {health.last_packet_s:,.0f} s behind this host's clock"
        yield Severity.WARNING, what, "see which of the two is wrong: the NIC's clock (ptp4l, phc2sys) or the host's"
    elif health.last_packet_s is not None and health.last_packet_s > SILENT_AFTER_S:
        yield Severity.WARNING, f"silent: the last packet came {health.last_packet_s:,.0f} s ago", do


def _memory(health: RingHealth) -> Rule:
    if health.fallback_reason:
        what = f"the ring is not on huge pages: {health.fallback_reason}"
        yield Severity.WARNING, what, 'reserve them (docs/operation.md), or set ring.hugepages = "off"'


def _calls(health: RingHealth) -> Rule:
    """They cost time, not yet packets: what they cost in packets, the losses say."""
    calls = health.system_calls
    if calls.made:
        what = "a defect: its loop made system calls, and must make none while it captures: "
        what += (
            f"{health.system_calls_now:,} in {health.interval_s:.1f} s, {calls.made:,} in all, the last {calls.last}"
        )
        yield Severity.WARNING, what, "report it with nanotape rings --json: each delays packets"
    if calls.reason and health.capturing:
        what = f"nobody sees whether its loop makes system calls: {calls.reason}"
        yield Severity.WARNING, what, 'mend what it says, or set loop.seccomp = "off"'


def headline(rings: Sequence[RingHealth], findings: Sequence[Finding], absent: Sequence[str] = ()) -> str:
    """One sentence: are we losing data, is the disk keeping up?

    Args:
        rings: Those that are there.
        findings: All that was found.
        absent: Names of configured rings that are not there.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not rings:
        return (errors[0].what if errors else "nothing is captured") + "."
    going = [health for health in rings if health.writer_pid is not None or not health.reads_files]
    if not (going or absent):
        return f"{_read(rings)}{_more(errors)}."
    rings = going or rings
    stopped = [*(health.name for health in going if not health.capturing), *absent]
    if stopped:
        first = f"NOT CAPTURING {', '.join(stopped)}"
    else:
        lost, interval_s = _lost_now(rings), max(health.interval_s for health in rings)
        rate = f"capturing {sum(health.packets_s for health in rings):,.0f} packets/s"
        first = f"LOSING DATA: {lost:,} packets in {interval_s:.1f} s, {rate}" if lost else f"{rate}, losing nothing"
        if not any(health.is_compared for health in rings):
            first = "capturing; what comes and what is lost is known with the next look"
    return f"{first}; {_disk(rings)}{_more(errors)}."


def _read(rings: Sequence[RingHealth]) -> str:
    """How far the files of these rings were read."""
    names: dict[str, list[str]] = {}
    for health in rings:
        service = health.service
        how = "read to the end of the files"
        if service and (service.damaged or service.ended == STOPPED):
            how = "read only up to the DAMAGE" if service.damaged else "stopped before the end of the file"
        names.setdefault(how, []).append(health.name)
    return "; ".join(f"{how}: {', '.join(each)}" for how, each in names.items())


def _lost_now(rings: Sequence[RingHealth]) -> int:
    before = sum(sum(health.lost_now.values()) for health in rings)
    return before + sum(each.lost_now + each.write_failures_now for health in rings for each in health.recorders)


def _disk(rings: Sequence[RingHealth]) -> str:
    recorders = [recorder for health in rings for recorder in health.recorders]
    if not recorders:
        return "nobody records"
    lags = [recorder.lag_share for recorder in recorders if recorder.lag_share is not None]
    lag = f"lag {max(lags):.1%} of the ring" if lags else "lag unknown"
    rooms = [health.space.free_bytes for health in rings if health.space]
    room = f", {min(rooms) / 2**30:,.1f} GiB free" if rooms else ""
    return f"the disk {'DOES NOT KEEP UP' if is_behind(recorders) else 'keeps up'}: {lag}{room}"


def is_behind(recorders: Sequence[ReaderHealth]) -> bool:
    """Whether one of them does not keep up: it died, stands still, loses, cannot write, or lags far."""
    return any(
        not each.alive
        or stands_still(each)
        or each.lost_now
        or each.write_failures_now
        or (each.lag_share or 0.0) > LAG_WARNING
        for each in recorders
    )


def _more(errors: Sequence[Finding]) -> str:
    return f"; {len(errors)} errors" if len(errors) > 1 else "; 1 error" if errors else ""
