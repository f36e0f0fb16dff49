"""`Picture`: all that the terminal UI knows of one moment, frozen. Panes draw it, `top --once` and `--json` print it.

Facts only, made by `gather.py`; None is unknown, never 0.
"""

from dataclasses import dataclass, field

from nanotape.capture.clock.status import ClockStatus
from nanotape.capture.counters import Flow
from nanotape.capture.finding import Finding, Severity
from nanotape.capture.health import Look, RingHealth
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.recorded_feeds import RecordedFeeds
from nanotape.capture.recorded_segments import RecordedSegments
from nanotape.config import Settings


@dataclass(frozen=True, slots=True)
class RateHistory:
    """What came into a ring in each of the last seconds that were looked at, the newest last."""

    packets_s: tuple[float, ...] = ()
    bits_s: tuple[float, ...] = ()
    lost_s: tuple[float, ...] = ()
    """Packets lost before the ring."""
    peak_packets_s: float | None = None
    """Of a whole second, since this UI looks at the ring; None: not a second yet."""
    peak_bits_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceLoad:
    """How busy the loop of a ring was, by one of its sources."""

    name: str
    interface: str
    kind: str
    queue: int
    busy: float | None
    """Polls that found packets, of all polls between the looks; None: it did not poll."""
    line_rate_bps: int | None
    """Of the interface; None: it says none, as a veth or a link that is down."""


@dataclass(frozen=True, slots=True)
class RingPicture:
    """One ring that can be read."""

    name: str
    health: RingHealth
    """Over the last second, or so."""
    look: Look
    """The newest."""
    earlier: Look | None
    """What `health` compares it with; None: this is the first."""
    rates: RateHistory = RateHistory()
    lost_minute: dict[str, int] = field(default_factory=dict)
    """By stage before the ring, in the last minute, or since this UI looks; only what is not 0."""
    lost_minute_s: float = 0.0
    """How long that is."""
    loads: tuple[SourceLoad, ...] = ()
    busy: float | None = None
    """Of the loop's core: polls that found packets, of all; None: unknown."""
    feeds: RecordedFeeds | None = None
    """What its recorder tells of its lines; None: there is none."""
    segments: tuple[tuple[str, RecordedSegments], ...] = ()
    """What its recorders tell of their segments, by the recorder's name."""
    settings: Settings | None = None
    """What its service runs with; None: it cannot be read."""
    is_assumed: bool = False
    """That it is capturing is only assumed: its loop has not gone round since, which may be but a moment."""

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The flow table of the ring."""
        return self.look.facts.flows

    @property
    def fill(self) -> float | None:
        """Of the ring, what its slowest live reader has not read yet; None: nobody reads it."""
        lags = [reader.lag_share for reader in self.health.readers if reader.alive and reader.lag_share is not None]
        return max(lags, default=None)


@dataclass(frozen=True, slots=True)
class Picture:
    """One host at one moment."""

    at_ns: int
    """UTC."""
    monotonic_ns: int
    settings: Settings
    """The configuration, or what was last read of it."""
    headline: str
    """As `nanotape status` says it."""
    rings: tuple[RingPicture, ...] = ()
    unreadable: tuple[UnreadableRing, ...] = ()
    absent: tuple[str, ...] = ()
    """Configured rings that are not there, beside others that are."""
    clock: ClockStatus | None = None
    """None: no clock service tells."""
    findings: tuple[Finding, ...] = ()
    """Of rings, host and clocks, the worst first."""
    troubles: tuple[str, ...] = ()
    """What keeps this UI from seeing all there is, a line each."""
    look_s: float = 0.0
    """How long it took to find all this."""

    @property
    def severity(self) -> Severity:
        """The worst that was found."""
        order = (Severity.ERROR, Severity.WARNING, Severity.OK)
        return min((finding.severity for finding in self.findings), key=order.index, default=Severity.OK)

    def ring(self, name: str | None) -> RingPicture | None:
        """The ring of a name, or the first; None: there is none."""
        return next((each for each in self.rings if name is None or each.name == name), None)
