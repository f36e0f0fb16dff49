"""The clock screen follows a real ptp4l: locked, its master dead, itself killed; its figures are those of the state.

Software stamps and `free_running`: no clock is touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import NANOTAPE
from pictures import driven, screen_text
from ptp_net import PtpNet, missing_for_ptp, ptp_net
from service_rig import Rig, Wanted, make_rig
from textual.pilot import Pilot

from nanotape.capture.clock.journal import read_state
from nanotape.tui.app import Top
from nanotape.tui.gather import Gatherer
from nanotape.tui.words import nanoseconds

pytestmark = pytest.mark.root

CLOCK = """
[clock]
mode = "manage"
interfaces = ["{interface}"]
domain = 24
time_stamping = "software"
free_running = true
locked_within = "20ms"
lost_beyond = "1s"
locked_after = "2s"
"""


@pytest.fixture
def net() -> Iterator[PtpNet]:
    reason = missing_for_ptp()
    if reason:
        pytest.skip(reason)
    with ptp_net() as made:
        yield made


@pytest.fixture
def rig(net: PtpNet) -> Iterator[Rig]:
    interface = net.pair.right.interface
    with make_rig(Wanted(interface=interface, tables=CLOCK.format(interface=interface)), net.pair) as made:
        yield made


@pytest.fixture
def service(net: PtpNet, rig: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """Looks after the clocks alone, inside the slave's namespace."""
    with rig.talk.open("ab") as talk:
        command = [*net.wrap, *NANOTAPE, "clock", "run", "--config", str(rig.config)]
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


async def until(app: Top, pilot: Pilot[None], pattern: str, seconds: float = 40.0) -> re.Match[str]:
    for _ in range(int(seconds / 0.05)):
        found = re.search(pattern, " ".join(screen_text(app).split()))
        if found:
            return found
        await pilot.pause(0.05)
    raise AssertionError(f"expected {pattern}, found:\n{screen_text(app)}")


async def until_figures_are_those_of(app: Top, pilot: Pilot[None], run: Path) -> None:
    """Offset, bound and path delay on the screen are those of the state that stands there, soon after it was told."""
    for _ in range(200):
        [system] = [each for each in (read_state(run) or {"clocks": ()})["clocks"] if each["clock"] == "system"]
        offset = nanoseconds(system["offset_ns"], signed=True)
        rest = f"{nanoseconds(system['error_ns'])} {nanoseconds(system['path_delay_ns'])}"
        await pilot.pause(0.2)
        if f" locked ptp4l {offset} {rest} " in " ".join(screen_text(app).split()):
            return
    raise AssertionError(f"expected the figures of {run}, found:\n{screen_text(app)}")


@pytest.mark.slow
def test_the_screen_follows_the_clock_from_lock_to_holdover_and_names_who_runs(
    net: PtpNet, rig: Rig, service: subprocess.Popen[bytes]
) -> None:
    master = net.master("gm-a")
    run = Path(rig.settings.paths.run_dir)

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until(app, pilot, r"system \(\S+\) locked ptp4l")
        await until(app, pilot, f"master {re.escape(master.identity)}, class 6, domain 24")
        await until(app, pilot, r"ptp4l process \d+, restarted 0 times")
        await until_figures_are_those_of(app, pilot, run)
        lowest = screen_text(app)
        assert "Offset of system to its master" in lowest
        assert "█" in lowest

        master.kill()
        await until(app, pilot, r"system \(\S+\) holdover ptp4l")
        await until(app, pilot, "no master heard in domain 24")
        [ptp4l] = (read_state(run) or {})["processes"]
        os.kill(ptp4l["pid"], signal.SIGKILL)
        await until(app, pilot, r"ptp4l process \d+, restarted 1 times")
        service.kill()
        service.wait()
        await until(app, pilot, "The clock service has told nothing for .* its last word")

    driven(Gatherer(rig.settings).look, play, (140, 50), refresh_s=0.1)
