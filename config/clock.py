"""The table `[clock]`: who disciplines this host's clocks, and from when on they are trusted."""

from typing import Annotated, Literal

from pydantic import Field

from nanotape.config.channel import Section
from nanotape.config.measures import DURATION, Quantity
from nanotape.config.network import Interface
from nanotape.config.rules import Choice, FilePath, Text, Whole

SECOND_NS = 10**9
DAY_NS = 86400 * SECOND_NS


class ClockSettings(Section):
    """Who disciplines this host's clocks, and from when on they are trusted."""

    mode: Annotated[Literal["watch", "manage", "none"], Choice()] = "watch"
    """`watch`: asks who runs already (ptp4l, chrony, sfptpd, the kernel) and touches nothing; `manage`: also writes
    linuxptp's configuration and runs it; `none`: nothing is asked, and the clock's error is unknown."""
    interfaces: Annotated[tuple[Annotated[str, Interface()], ...], Field(strict=False)] = ()
    """manage: where ptp4l listens for its master; with several it takes the best."""
    domain: Annotated[int, Whole(0, 255)] = 0
    """PTP domain number of the venue; in watch mode that of the ptp4l which is asked."""
    transport: Annotated[Literal["UDPv4", "UDPv6", "L2"], Choice()] = "UDPv4"
    """manage: how PTP messages travel."""
    delay_mechanism: Annotated[Literal["E2E", "P2P"], Choice()] = "E2E"
    """manage: how the path's delay is measured, as the network does it."""
    time_stamping: Annotated[Literal["hardware", "software"], Choice()] = "hardware"
    """manage: `hardware`: the NIC's clock is disciplined, and the system clock follows it by phc2sys; `software`: the
    system clock directly, to some tens of microseconds, as on virtual NICs."""
    free_running: bool = False
    """manage: only measure; no clock is stepped or slewed."""
    pps: Annotated[str | None, Text(63)] = None
    """manage: source of a pulse per second for ts2phc: `generic`, `nmea` or an interface; not set: there is none."""
    nmea_port: Annotated[str | None, FilePath()] = None
    """manage: serial port of an `nmea` source; an absolute path."""
    sockets: Annotated[tuple[Annotated[str, FilePath()], ...], Field(strict=False)] = ()
    """watch: sockets of a running ptp4l, read-only ones first; none: where linuxptp puts them."""
    logs: Annotated[tuple[Annotated[str, FilePath()], ...], Field(strict=False)] = ()
    """watch: logs of ptp4l, phc2sys and ts2phc, read where no socket answers."""
    sfptpd_stats: Annotated[str | None, FilePath()] = None
    """watch: file of sfptpd's `json_stats`; not set: sfptpd is not asked."""
    locked_within: Annotated[int | None, Quantity(DURATION, 10, 3600 * SECOND_NS)] = None
    """Offset from the master up to which a clock is locked; not set: `1us` with hardware stamps, `100us` with software
    stamps, `1ms` by NTP; nanoseconds in the code."""
    lost_beyond: Annotated[int | None, Quantity(DURATION, 10, 3600 * SECOND_NS)] = None
    """Offset beyond which a locked clock is not any more; not set: ten times `locked_within`; nanoseconds in the
    code."""
    locked_after: Annotated[int, Quantity(DURATION, 0, 3600 * SECOND_NS)] = 5 * SECOND_NS
    """How long the offset must stay within before a clock counts as locked; nanoseconds in the code."""
    master_timeout: Annotated[int, Quantity(DURATION, SECOND_NS, 3600 * SECOND_NS)] = 5 * SECOND_NS
    """Time without a word of the source after which it is taken for lost; nanoseconds in the code."""
    holdover_drift: Annotated[int, Whole(1, 1_000_000)] = 1000
    """Parts per billion by which a clock without a master is taken to drift, at the worst: some 1000 for a plain
    oscillator, 10 for a good one."""
    holdover_limit: Annotated[int, Quantity(DURATION, SECOND_NS, 30 * DAY_NS)] = 3600 * SECOND_NS
    """Longest holdover: after that a clock is free-running; nanoseconds in the code."""
    grandmaster_accuracy: Annotated[int | None, Quantity(DURATION, 1, SECOND_NS)] = None
    """How far the source of time may be from UTC, where it does not say so itself: a grandmaster that announces no
    accuracy, one that only logs or sfptpd tell of, a pulse per second; not set: the bound is unknown then; nanoseconds
    in the code."""
    asymmetry: Annotated[int, Quantity(DURATION, 0, SECOND_NS)] = 0
    """Half the difference of the path's two directions, as far as it may be: no protocol can measure it, and it goes
    into each bound; nanoseconds in the code."""
    stamp_bound: Annotated[int, Quantity(DURATION, 1_000_000, 3600 * SECOND_NS)] = SECOND_NS
    """How far a packet's stamp may lie outside the time in which the packet can have come, by the host's clock; beyond
    it is flagged and replaced; nanoseconds in the code."""
