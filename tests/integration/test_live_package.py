"""What the package's scripts and exit statuses come to under a real systemd: a removal, and a ring that is busy."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import namespaces
import pytest
from deadline import wait_for
from live_systemd import EXECUTABLE, LiveSystemd, live_systemd, missing_for_systemd

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAPTURE, RECORD = "nanotape-capture@main.service", "nanotape-record@main.service"
STARTED = (CAPTURE, RECORD, "nanotape.target", "nanotape-compact.timer")
TEXT = """
[ring]
capacity = "4 MiB"
hugepages = "off"
[source]
kind = "synthetic"
synthetic_rate = 5000
[clock]
mode = "none"
"""


@pytest.fixture
def systemd(namespace_pair: namespaces.NamespacePair) -> Iterator[LiveSystemd]:
    """With nanotape's units in place, enabled and not started."""
    missing = missing_for_systemd()
    if missing:
        pytest.skip(missing)
    with live_systemd(namespace_pair.right) as running:
        running.write("/etc/nanotape/nanotape.toml", TEXT)
        told = running.run(EXECUTABLE, "service", "install", "--executable", EXECUTABLE).stdout
        for command in told.splitlines():
            if not command.startswith("udevadm"):
                running.run(*command.replace(" --now", "").split())
        yield running
        running.run("systemctl", "stop", "nanotape.target", check=False)


def states(systemd: LiveSystemd) -> dict[str, str]:
    return {unit: systemd.shown(unit, "ActiveState") for unit in STARTED}


def test_a_ring_that_another_runs_is_waited_for_and_a_removal_stops_and_disables_all(
    systemd: LiveSystemd, tmp_path: pathlib.Path
) -> None:
    by_hand = "nanotape-by-hand.service"  # as whoever started it in a terminal
    words = ("--unit", by_hand, "-p", "User=nanotape", "-p", "Type=notify", "-p", "KillMode=mixed")
    systemd.run("systemd-run", *words, EXECUTABLE, "capture")
    systemd.run("systemctl", "start", "--no-block", "nanotape.target", *STARTED)
    wait_for(lambda: int(systemd.shown(CAPTURE, "NRestarts") or 0) >= 2, "the unit to try again", 60)
    assert any("expected no service that runs it" in each["MESSAGE"] for each in systemd.journalled(CAPTURE))
    systemd.run("systemctl", "stop", by_hand)
    wait_for(lambda: set(states(systemd).values()) == {"active"}, "all units", 60)

    subprocess.run([ROOT / "scripts" / "debian" / "units.sh", tmp_path], check=True, cwd=ROOT)
    systemd.write("/run/prerm", (tmp_path / "DEBIAN" / "prerm").read_text(encoding="ascii"))
    systemd.run("sh", "/run/prerm", "upgrade", "0.2.0")
    assert set(states(systemd).values()) == {"active"}
    systemd.run("sh", "/run/prerm", "remove")
    assert set(states(systemd).values()) == {"inactive"}
    enabled = systemd.run("systemctl", "is-enabled", *STARTED, check=False).stdout.split()
    assert enabled == ["disabled"] * len(STARTED)
    assert systemd.processes("nanotape.cli.main") == []
