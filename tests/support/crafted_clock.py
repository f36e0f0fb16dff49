"""What a clock service that never was tells: a system clock behind the clock of a NIC, both locked."""

from __future__ import annotations

from typing import Any

from crafted_looks import NOW_NS, SECOND_NS

from nanotape.capture.clock.status import ClockStatus

PHC = {
    "clock": "ptp0", "interface": "eth8", "at_ns": NOW_NS + SECOND_NS, "state": "locked", "source": "ptp4l",
    "offset_ns": -17, "path_delay_ns": 4321, "phc_sys_ns": 5, "grandmaster": "001122.fffe.334455", "gm_class": 6,
    "domain": 24, "steps_removed": 1, "utc_offset_s": 37, "utc_offset_source": "ptp", "error_ns": 312,
    "why": "offset within 1 us for 60 s", "budget": {"offset": 17, "grandmaster": 100, "asymmetry": 0}, "notes": (),
}  # fmt: skip
SYSTEM = {**PHC, "clock": "system", "interface": None, "source": "phc2sys", "offset_ns": 250, "error_ns": 1204}


def status(*clocks: dict[str, Any], at_ns: int = NOW_NS + SECOND_NS, **changes: Any) -> ClockStatus:
    """Told at that moment; without clocks named, of the two."""
    told = [{**each, "at_ns": at_ns} for each in (clocks or (SYSTEM, PHC))]
    given: dict[str, Any] = {"interfaces": (), "processes": (), "findings": ()}
    return ClockStatus(at_ns=at_ns, is_told=True, mode="watch", clocks=told, **{**given, **changes})
