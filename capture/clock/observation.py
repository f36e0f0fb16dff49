"""What one look at one clock says, whoever was asked. Judges nothing: states and bounds are made of it elsewhere.

None is unknown, never 0.
"""

from dataclasses import dataclass

SYSTEM = "system"
"""Name of CLOCK_REALTIME; a PHC has the name of its device, such as `ptp0`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One clock at one moment. Offsets are clock minus master: positive, it is ahead."""

    clock: str
    """`system`, or a PHC's device."""
    at_ns: int
    """UTC."""
    interface: str | None = None
    """Of a PHC, or on which the system clock's master is heard."""
    source: str | None = None
    """Who disciplines it: `ptp4l`, `phc2sys`, `ts2phc`, `chrony`, `sfptpd`, `kernel`; None: nobody is known to."""
    method: str | None = None
    """How that was learned: `pmc`, `log`, `chronyc`, `sfptpd-json`, `adjtimex`."""
    has_master: bool | None = None
    """Whether the source hears somebody to follow now."""
    is_disciplined: bool | None = None
    """Whether the source itself says that the clock follows; False of a `free_running` ptp4l, which only measures."""
    offset_ns: float | None = None
    is_worst_of_many: bool = False
    """Whether that is the largest offset of a time, of which the sign is not told."""
    measured: int | None = None
    """A mark that is another after each measurement, such as ptp4l's ingress_time: one that stays says that the source
    hears nothing, whatever else it says. None: there is none."""
    path_delay_ns: float | None = None
    """Mean path delay to the master."""
    phc_sys_ns: float | None = None
    """PHC minus system clock, with the UTC offset taken off: what phc2sys works on."""
    phc_sys_within_ns: float | None = None
    """How exactly that could be read: half of the time that the reading took."""
    freq_ppb: float | None = None
    """Frequency correction in force."""
    grandmaster: str | None = None
    """Identity as pmc prints it, `001122.fffe.334455`; of NTP the reference's name."""
    gm_class: int | None = None
    """PTP clockClass."""
    gm_accuracy_ns: int | None = None
    """Of PTP clockAccuracy, as a bound; of NTP None."""
    domain: int | None = None
    """PTP domain number."""
    steps_removed: int | None = None
    utc_offset_s: int | None = None
    """TAI minus UTC."""
    utc_offset_source: str | None = None
    """Who says so: `ptp`, `kernel`, `leap-seconds.list`."""
    leap: int | None = None
    """Seconds that the day's end brings: -1, 0 or 1."""
    bound_ns: float | None = None
    """Bound on the error, where the source gives one itself: NTP's root distance, the kernel's maxerror."""
    bound_of: int | None = None
    """A mark that is another after each measurement that this bound rests on; None: there is none."""
    is_hardware: bool | None = None
    """Whether the source's own packets are stamped by the NIC."""
    port_state: str | None = None
    """PTP port state as pmc prints it."""
    notes: tuple[str, ...] = ()
    """What an operator should know, a line each."""
