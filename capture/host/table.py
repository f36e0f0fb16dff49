"""The whole table of checks, theme by theme, and one call that judges a host by it."""

from __future__ import annotations

from nanotape.capture.host import clocks, cores, disk, interrupts, kernel, limits, memory, nic, nic_queues
from nanotape.capture.host.check import Result, run_checks
from nanotape.capture.host.facts import Host

CHECKS = (
    *cores.CHECKS,
    *interrupts.CHECKS,
    *memory.CHECKS,
    *kernel.CHECKS,
    *nic.CHECKS,
    *nic_queues.CHECKS,
    *limits.CHECKS,
    *clocks.CHECKS,
    *disk.CHECKS,
)


def examine(host: Host) -> tuple[Result, ...]:
    """Every check of a host, in the table's order."""
    return run_checks(CHECKS, host)
