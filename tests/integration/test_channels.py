"""`nanotape channels` beside a whole service: what arrives, what is silent, and what it says about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from command_line import call
from deadline import wait_for
from service_rig import RING, Rig
from simulated_channel import BOTH_LINES

pytestmark = pytest.mark.root

CHANNELS = (
    BOTH_LINES
    + """
[[channel]]
name = "nobody"
feed = "simulated"
framing = "moldudp64"
[[channel.line]]
group = "239.192.7.77"
port = 31001
"""
)


@pytest.fixture
def rig(make_service_rig: Callable[..., Rig]) -> Rig:
    """A service with two lines that are sent and one that is not."""
    return make_service_rig(kind="packet", descriptors=16_384, capacity="64 MiB", channels=CHANNELS)


def asked(rig: Rig, *options: str) -> tuple[int, str, str]:
    return call("channels", "-c", rig.config, "--interval", "1", *options, wrap=rig.capture_side)


def lines(rig: Rig) -> dict[tuple[str, str], dict[str, Any]]:
    status, output, said = asked(rig, "--json")
    assert status in (0, 1), said
    report = json.loads(output)
    assert report["fine"] is (status == 0)
    return {(line["channel"], line["line"]): line for line in report["lines"]}


def test_arriving_and_silent_lines_are_told_with_rates_sequences_and_gaps(rig: Rig) -> None:
    with rig.service() as service:
        exchange = rig.exchange("--rate", "1000", "--seconds", "30", "--gap", "B:500:4")
        try:
            path = rig.folder / "run" / RING / "readers" / "recorder.feeds.json"
            wait_for(path.exists, "the recorder to tell of its lines", 30)
            wait_for(
                lambda: any(line["gaps"] for line in json.loads(path.read_text())["lines"]), "the gap to be found", 30
            )
            found = lines(rig)
            status, page, _ = asked(rig)
        finally:
            exchange.stop()
            service.stop()
    for name, gaps in (("A", 0), ("B", 1)):
        line = found["itch", name]
        assert line["state"] == "arriving"
        assert line["rate_pps"] == pytest.approx(1000, rel=0.3)
        assert (line["session"], line["counted"], line["gaps"]) == ("NT00000001", "recorder", gaps)
        assert line["last_seq"] > 1000
        assert line["look_at"] == []
    silent = found["nobody", "A"]
    assert (silent["state"], silent["packets"], silent["last_packet_ns"]) == ("silent", 0, None)
    assert "239.192.7.77 is joined and nothing to 239.192.7.77:31001 arrives" in silent["look_at"][0]
    assert status == 1
    assert "look at: 239.192.7.77 is joined" in page
    assert "3 lines, looked at for 1 s: should arrive and do not: 1" in page


def test_lines_that_have_ended_are_stale_within_their_session_and_quiet_where_that_is_no_alarm(
    make_service_rig: Callable[..., Rig],
) -> None:
    channels = CHANNELS.replace('name = "nobody"', 'name = "nobody"\nstale_after = "0s"')
    tables = '[feeds]\nstale_after = "2s"\n'
    rig = make_service_rig(kind="packet", descriptors=16_384, capacity="64 MiB", channels=channels, tables=tables)
    with rig.service() as service:
        rig.exchange("--rate", "1000", "--packets", "500").result()
        found = wait_for(lambda: stale_lines(rig), "both lines to be stale", 30)
        service.stop()
    for name in "AB":
        line = found["itch", name]
        assert (line["packets"], line["counted"]) == (0, "recorder")
        assert line["last_packet_ns"] > 0
        assert line["last_seq"] > 500
        assert "is joined and nothing to" in line["look_at"][0]
    assert (found["nobody", "A"]["state"], found["nobody", "A"]["look_at"]) == ("quiet", [])


def stale_lines(rig: Rig) -> dict[tuple[str, str], dict[str, Any]] | None:
    found = lines(rig)
    return found if all(found["itch", name]["state"] == "stale" for name in "AB") else None


def test_without_a_recorder_it_works_and_says_so(rig: Rig) -> None:
    with rig.service(record=False) as service:
        exchange = rig.exchange("--rate", "1000", "--seconds", "30")
        try:
            wait_for(lambda: service.wait(0.1) or rig_has_packets(rig), "packets in the ring", 30)
            status, output, said = asked(rig, "--json")
        finally:
            exchange.stop()
            service.stop()
    assert status == 1
    assert "no recorder tells of its lines" in said
    first = json.loads(output)["lines"][0]
    assert (first["state"], first["counted"], first["gaps"]) == ("arriving", "meanwhile", 0)
    assert first["last_seq"] > 0


def test_a_line_whose_packets_come_from_another_sender_says_from_whom(make_service_rig: Callable[..., Rig]) -> None:
    channels = CHANNELS.replace('group = "239.192.7.2"', 'group = "239.192.7.2"\nsource = "203.0.113.9"')
    rig = make_service_rig(
        kind="packet", descriptors=16_384, capacity="64 MiB", channels=channels, source='select = "multicast"'
    )
    with rig.service(record=False) as service:
        exchange = rig.exchange("--rate", "1000", "--seconds", "30")
        try:
            wait_for(lambda: service.wait(0.1) or rig_has_packets(rig), "packets in the ring", 30)
            found = lines(rig)
        finally:
            exchange.stop()
            service.stop()
    assert found["itch", "A"]["state"] == "arriving"
    wrong = found["itch", "B"]
    assert wrong["state"] == "silent"
    assert "239.192.7.2:31001 comes from " in wrong["look_at"][0]
    assert "configured is source 203.0.113.9" in wrong["look_at"][0]


def rig_has_packets(rig: Rig) -> bool:
    with rig.ring() as ring:
        return ring.tail > 0
