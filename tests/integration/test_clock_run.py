"""`nanotape run` with a managed ptp4l: from the master on the wire to the bound of each packet in the archive.

Software stamps and `free_running`: no clock is touched. The XDP program takes the feed and leaves PTP to the kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.compute as pc
import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from ptp_net import PtpNet, missing_for_ptp, ptp_net
from service_rig import Rig, Wanted, make_rig

from nanotape.storage.reader import open_archive

pytestmark = pytest.mark.root

CLOCK = """
[clock]
mode = "manage"
interfaces = ["{interface}"]
domain = 24
time_stamping = "software"
free_running = true
# Others may take the processor at any moment: what is measured then is far off, and no less a measurement.
locked_within = "20ms"
lost_beyond = "1s"
locked_after = "2s"
holdover_drift = 2000
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
    wanted = Wanted(interface=interface, descriptors=4096, capacity="64 MiB", tables=CLOCK.format(interface=interface))
    with make_rig(wanted, net.pair) as made:
        yield made


@contextlib.contextmanager
def running(net: PtpNet, rig: Rig) -> Iterator[None]:
    """The whole service in the slave's namespace; it ends in order."""
    with rig.talk.open("ab") as talk:
        process = subprocess.Popen([*net.wrap, *NANOTAPE, "run", "-c", str(rig.config)], stdout=talk, stderr=talk)
    try:
        wait_for(lambda: "capturing" in rig.talk.read_text() or process.poll() is not None, "the service", 60)
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, rig.talk.read_text()
    finally:
        process.kill()
        process.wait()


def clock(rig: Rig) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(call("clock", "--config", rig.config, "--json")[1])
    return told


def until(net: PtpNet, rig: Rig, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What `nanotape clock` says once something holds of it."""
    seen: list[dict[str, Any]] = []

    def asked() -> dict[str, Any] | None:
        seen.append(clock(rig))
        return seen[-1] if seen[-1]["is_told"] and holds(seen[-1]) else None

    try:
        return wait_for(asked, what, 60.0)
    except AssertionError as error:
        talk = rig.talk.read_text()
        raise AssertionError(f"{error}; told: {seen[-1]}; {talk}\n{net.logs()}") from None


def test_from_the_master_on_the_wire_to_the_bound_of_each_packet(net: PtpNet, rig: Rig) -> None:
    first = net.master("gm-a")
    with running(net, rig):
        exchange = rig.exchange("--rate", "500", "--seconds", "600")
        try:
            locked = until(net, rig, "a lock", lambda told: told["state"] == "locked" and told["error_ns"] is not None)
            identities = [first.identity]
            assert (locked["source"], locked["grandmaster"], locked["domain"]) == ("ptp4l", identities[0], 24)
            assert abs(locked["offset_ns"]) + 100 <= locked["error_ns"]
            assert locked["is_disciplined"] is False  # free_running: the state is by our own thresholds

            first.kill()
            held = until(net, rig, "holdover", lambda told: told["state"] == "holdover")
            later = until(net, rig, "a later look", lambda told: told["at_ns"] > held["at_ns"] + 2e9)
            grown = (later["at_ns"] - held["at_ns"]) * 2000 / 1e9
            assert later["error_ns"] - held["error_ns"] == pytest.approx(grown, abs=500)
            assert "no master heard in domain 24" in later["why"]

            second = net.master("gm-b")
            again = until(net, rig, "the other master", lambda told: told["state"] == "locked")
            identities.append(second.identity)
            assert again["grandmaster"] == identities[1]

            [ptp4l] = again["processes"]
            os.kill(ptp4l["pid"], signal.SIGKILL)
            restarted = until(
                net, rig, "a new ptp4l", lambda told: told["processes"][0]["pid"] not in (None, ptp4l["pid"])
            )
            assert restarted["processes"][0]["restarts"] == 1
            until(net, rig, "a lock by it", lambda told: told["state"] == "locked")
        finally:
            exchange.stop()
    _check_archive(rig, *identities)


def _check_archive(rig: Rig, first: str, second: str) -> None:
    reader = open_archive([rig.folder / "archive"])
    rows = reader.clock().to_pylist()
    assert len({each["ts"] for each in rows}) == len(rows)
    states = [each["state"] for each in rows]
    for state in ("acquiring", "locked", "holdover"):
        assert state in states
    assert {each["grandmaster"] for each in rows} == {None, first, second}

    events = [each for each in reader.events().to_pylist() if each["kind"] == "clock"]
    told = {each["stage"]: each["detail"] for each in events}
    assert told["grandmaster"] == f"system: grandmaster {first} -> {second}"
    assert {"state", "master", "process"} <= set(told)
    episodes = [each for each in events if each["stage"] == "state" and each["severity"] != "info"]
    assert any("holdover" in each["detail"] for each in episodes)
    ended = {each["id"] for each in episodes if each["ts_end"] is not None}
    assert ended == {each["id"] for each in episodes}

    packets = reader.packets(columns=["ts", "ts_error_ns", "ts_kind"]).read_all()
    known = pc.sum(pc.is_valid(packets.column("ts_error_ns"))).as_py()
    assert known > packets.num_rows / 2
    bounds = [each["error_ns"] for each in rows if each["error_ns"] is not None]
    assert pc.min(packets.column("ts_error_ns")).as_py() >= min(bounds)

    status, output, _ = call("clock", "report", rig.folder / "archive", "--json")
    [total] = json.loads(output)["clocks"]
    assert status == 1  # 100 us is not kept here
    assert (total["holdovers"], total["grandmaster_changes"]) == (1, 1)
