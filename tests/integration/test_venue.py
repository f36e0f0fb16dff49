"""A venue of five hundred groups out of a CSV file: joined, captured and recorded within seconds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from deadline import wait_for
from joined_groups import joined_groups
from service_rig import Rig

from nanotape.config import load
from nanotape.storage import open_archive

pytestmark = pytest.mark.root

CHANNELS = 250
DEFAULTS = '[channel_defaults]\nfeed = "venue"\nframing = "moldudp64"\n'


def groups(number: int) -> tuple[str, str]:
    return f"239.193.0.{number}", f"239.193.1.{number}"


def venue() -> str:
    rows = ["Channel,Group A,Port A,Group B,Port B"]
    for number in range(1, CHANNELS + 1):
        first, second = groups(number)
        rows.append(f"v-{number},{first},{31000 + number},{second},{31000 + number}")
    return "\n".join(rows) + "\n"


def test_five_hundred_groups_start_in_seconds(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(capacity="64 MiB", descriptors=4096, lines=(), tables=DEFAULTS)
    (rig.folder / "venue.csv").write_text(venue(), encoding="utf-8")
    rig.config.write_text('channels_from = "venue.csv"\n' + rig.config.read_text(encoding="utf-8"), encoding="utf-8")
    begin = time.monotonic()
    rig.settings = load(rig.config)
    with rig.service():
        ready_s = time.monotonic() - begin
        assert len(_joined(rig)) == 2 * CHANNELS
        for number in (1, 125, CHANNELS):
            _send(rig, number)
        expected = {(f"v-{number}", line) for number in (1, 125, CHANNELS) for line in "AB"}
        wait_for(lambda: _recorded(rig) == expected, "packets of both lines of three channels", 30)
    assert ready_s < 30, "some seconds, on a machine that has nothing else to do"


def _joined(rig: Rig) -> set[str]:
    groups = joined_groups(rig.capture_side, "veth-r")
    return {group for group in groups if group.startswith("239.193.")}


def _send(rig: Rig, number: int) -> None:
    first, second = groups(number)
    command = [*rig.exchange_side, sys.executable, "-m", "nanotape.cli.main", "simulate", "--packets", "20"]
    command += ["--rate", "1000", "--interface", rig.exchange_interface]
    command += ["--line", f"A={first}:{31000 + number}", "--line", f"B={second}:{31000 + number}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _recorded(rig: Rig) -> set[tuple[str, str]]:
    packets = open_archive(rig.folder / "archive").packets(columns=["channel", "line"]).read_all()
    return {(row["channel"], row["line"]) for row in packets.to_pylist()}
