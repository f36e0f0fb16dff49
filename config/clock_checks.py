"""What of `[clock]` no single value can be wrong about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nanotape.config.problem import Problem
from nanotape.config.quantity import duration_text
from nanotape.config.rings import several
from nanotape.config.rules import quoted

if TYPE_CHECKING:  # settings calls this module
    from nanotape.config.settings import Settings

CLOCK_FOLDER = "clock"
"""Below `paths.run_dir`, beside the folders of rings."""


def clock(settings: Settings) -> Iterator[Problem]:
    """Each thing that does not fit together."""
    chosen = settings.clock
    if chosen.mode == "manage" and not chosen.interfaces:
        advice = 'name where the master is heard: interfaces = ["eth1"]'
        yield Problem(("clock", "interfaces"), "an interface for ptp4l to manage", "none", advice)
    if chosen.pps == "nmea" and chosen.nmea_port is None:
        advice = 'name its serial port: nmea_port = "/dev/ttyS0"'
        yield Problem(("clock", "nmea_port"), "the serial port of the nmea source", "none", advice)
    if chosen.locked_within is not None and chosen.lost_beyond is not None:
        if chosen.lost_beyond < chosen.locked_within:
            expected = f"at least clock.locked_within, {duration_text(chosen.locked_within)}"
            found = duration_text(chosen.lost_beyond)
            yield Problem(("clock", "lost_beyond"), expected, found, "make it larger", ("clock", "locked_within"))
    tables = several(settings)
    for number, name in enumerate(settings.rings):
        if name == CLOCK_FOLDER:
            found = f"{quoted(name)}, where the state of clocks lies"
            yield Problem(("ring", number, "name") if tables else ("ring", "name"), "another name", found, "rename it")
