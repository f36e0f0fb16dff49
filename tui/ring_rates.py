"""How much comes into a ring: now, in the busiest second, in the busiest millisecond; and what the line would carry.

Pure, from a picture of the ring. The peaks are its recorder's, which sees each packet; without one, the seconds that
this UI saw.
"""

from dataclasses import dataclass

from nanotape.tui.picture import RingPicture

_ON_WIRE_BITS = 24 * 8
"""Of each frame and not in it: preamble, check sequence, and the least gap behind it."""
_SHARING = ("afxdp", "packet", "socket")
"""Kinds of sources whose packets come over an interface."""


@dataclass(frozen=True, slots=True)
class RingRates:
    """Packets a second, bits of frames a second, and the share of the line that they take on the wire."""

    packets_s: float | None
    """None, as the two that follow: there was one look only."""
    bits_s: float | None
    share: float | None
    peak_packets_s: float | None
    """Of the busiest second; not always the same one as that of the bits."""
    peak_bits_s: float | None
    peak_share: float | None
    peak_since: str
    burst_packets: int | None
    """In the busiest millisecond."""
    burst_packets_s: float | None
    """The same, as if it went on for a second."""
    burst_bits_s: float | None
    burst_share: float | None
    line_rate_bps: int | None
    """Of all interfaces of the ring together; None: of one it is not known, or there is none."""


def ring_rates(ring: RingPicture) -> RingRates:
    """The rates of one ring."""
    health, line = ring.health, line_rate_bps(ring)
    told = ring.feeds.traffic if ring.feeds and ring.feeds.is_fresh(ring.look.at_ns) else None
    peak_packets: float | None = ring.rates.peak_packets_s
    peak_bits: float | None = ring.rates.peak_bits_s
    since = "since this screen looks"
    if told and told.peak_packets_per_s is not None:
        peak_packets, peak_bits, since = told.peak_packets_per_s, told.peak_bits_per_s, "since its recorder began"
    burst = told.peak_1ms_packets if told else None
    burst_bits = told.peak_1ms_bits if told else None
    packets_s, bits_s = (health.packets_s, health.bits_s) if health.is_compared else (None, None)
    return RingRates(
        packets_s=packets_s,
        bits_s=bits_s,
        share=_share(packets_s, bits_s, line),
        peak_packets_s=peak_packets,
        peak_bits_s=peak_bits,
        peak_share=_share(peak_packets, peak_bits, line),
        peak_since=since,
        burst_packets=burst,
        burst_packets_s=None if burst is None else burst * 1000.0,
        burst_bits_s=None if burst_bits is None else burst_bits * 1000.0,
        burst_share=None if burst is None or burst_bits is None else _share(burst * 1000.0, burst_bits * 1000.0, line),
        line_rate_bps=line,
    )


def line_rate_bps(ring: RingPicture) -> int | None:
    """Bits a second that all interfaces of the ring carry together; None: of one it is not known, or there is none."""
    rates = {load.interface: load.line_rate_bps for load in ring.loads if load.kind in _SHARING}
    known = [rate for rate in rates.values() if rate is not None]
    return sum(known) if known and len(known) == len(rates) else None


def _share(packets_s: float | None, bits_s: float | None, line_rate: int | None) -> float | None:
    if packets_s is None or bits_s is None or line_rate is None:
        return None
    return (bits_s + packets_s * _ON_WIRE_BITS) / line_rate
