"""What a configuration comes to in the plan, as the native side reads it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nanotape.capture.accounts import Accounts
from nanotape.capture.errors import NothingToCapture
from nanotape.capture.places import places
from nanotape.capture.plan import NicClock, write_plan
from nanotape.config import loads
from nanotape.native import ffi, lib

OWNERS = Accounts(1000, 1001, 1002, switches=False)
CHANNEL = '[[channel]]\nname = "c"\nfeed = "f"\nline = [{{ group = "239.0.0.1", port = 30001{0} }}]\n'
ETH1 = 'interface = "eth1"\n'


class Planner:
    """Writes plans into a folder and reads them as the native side does."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._plans: list[Any] = []

    def plan(
        self, source: str, channel: str = "", records: bool = True, nic_clocks: Mapping[str, NicClock] | None = None
    ) -> Any:
        text = f'[paths]\nrun_dir = "{self.folder}"\nshm_dir = "{self.folder}"\n[ring]\nhugepages = "off"\n'
        settings = loads(f"{text}[source]\n{source}\n{channel}")
        where = places(settings)
        where.folder.mkdir(exist_ok=True)
        self.interfaces = write_plan(settings, where, OWNERS, records=records, nic_clocks=nic_clocks or {})
        plan, fault = ffi.new("struct nt_plan *"), ffi.new("struct nt_fault *")
        assert lib.nt_plan_load(plan, bytes(where.plan), fault) == 0, ffi.string(fault.text)
        self._plans.append(plan)
        return plan

    def close(self) -> None:
        for plan in self._plans:
            lib.nt_plan_unload(plan)


@pytest.fixture
def planner(tmp_path: pathlib.Path) -> Iterator[Planner]:
    made = Planner(tmp_path)
    yield made
    made.close()


def text(field: Any) -> str:
    return bytes(ffi.string(field)).decode()


def test_a_configuration_of_before_comes_to_what_it_was(planner: Planner) -> None:
    plan = planner.plan(ETH1, CHANNEL.format(""))
    (source,) = plan.sources[0 : plan.header.source_count]
    assert (source.kind, source.select, source.promiscuous, source.steal) == (3, lib.NT_SELECT_CHANNELS, 0, 0)
    assert text(plan.header.holder_socket) == f"{planner.folder}/main/holder.sock"
    assert (text(source.file), text(source.follow)) == ("", "")
    assert plan.flows[0].vlan == 0xFFFF


@pytest.mark.parametrize(("vlan", "number"), [("", 0xFFFF), (", vlan = 7", 7), (', vlan = "any"', 0xFFFE)])
def test_a_flow_has_its_tag(vlan: str, number: int, planner: Planner) -> None:
    assert planner.plan(ETH1, CHANNEL.format(vlan)).flows[0].vlan == number


@pytest.mark.parametrize(("delivery", "kind", "steal"), [("exclusive", 3, 0), ("steal", 3, 1), ("sniff", 4, 0)])
def test_a_delivery_decides_on_the_kind_of_source(delivery: str, kind: int, steal: int, planner: Planner) -> None:
    plan = planner.plan(f'{ETH1}delivery = "{delivery}"', CHANNEL.format(""))
    assert (plan.sources[0].kind, plan.sources[0].steal) == (kind, steal)
    assert text(plan.header.holder_socket)


def test_a_packet_source_needs_no_channel_when_it_selects_more(planner: Planner) -> None:
    plan = planner.plan(f'{ETH1}kind = "packet"\nselect = "all"\nfanout = 3\npromiscuous = true')
    (source,) = plan.sources[0 : plan.header.source_count]
    assert plan.header.flow_count == 0
    assert (source.kind, source.select, source.fanout, source.promiscuous) == (4, lib.NT_SELECT_ALL, 3, 1)
    assert planner.interfaces == ["eth1"]


def test_what_is_selected_besides_is_taken_from_every_interface(planner: Planner) -> None:
    channel = CHANNEL.format(', interface = "eth2"')
    plan = planner.plan(f'{ETH1}kind = "packet"\nselect = "udp"', channel)
    found = [(text(each.interface), each.select) for each in plan.sources[0 : plan.header.source_count]]
    assert found == [("eth2", lib.NT_SELECT_UDP), ("eth1", lib.NT_SELECT_UDP)]


@pytest.mark.parametrize(("speed", "ppm"), [("recorded", 10**6), ("max", 0), ("0.25x", 250_000)])
def test_a_file_has_its_name_and_speed_and_waits_for_the_recorder(speed: str, ppm: int, planner: Planner) -> None:
    plan = planner.plan(f'kind = "pcap"\nfile = "/data/a b.pcap"\nspeed = "{speed}"')
    source = plan.sources[0]
    assert (source.kind, source.select, source.pace_ppm) == (5, lib.NT_SELECT_ALL, ppm)
    assert (text(source.interface), text(source.file)) == ("pcap", "/data/a b.pcap")
    assert text(source.follow) == f"{planner.folder}/main/readers/recorder.status"
    assert text(plan.header.holder_socket) == ""


def test_without_a_recorder_a_file_waits_for_nobody(planner: Planner) -> None:
    assert text(planner.plan('kind = "pcap"\nfile = "/f"', records=False).sources[0].follow) == ""


@pytest.mark.parametrize(
    "source", ["", 'kind = "packet"', 'kind = "socket"', 'kind = "pcap"\nfile = "/f"\nselect = "channels"']
)
def test_channels_alone_need_a_channel(source: str, planner: Planner) -> None:
    with pytest.raises(NothingToCapture, match=r"expected at least one \[\[channel\]\].* or set source.select"):
        planner.plan(source)


def test_a_synthetic_source_needs_none(planner: Planner) -> None:
    assert planner.plan('kind = "synthetic"').sources[0].kind == 1


def test_a_nics_clock_is_what_was_measured_of_it_and_else_unknown(planner: Planner) -> None:
    channel = CHANNEL.format(', interface = "eth2"')
    measured = {"eth1": NicClock("tai", 37), "eth2": NicClock("utc")}
    plan = planner.plan(f'{ETH1}kind = "packet"\nselect = "udp"', channel, nic_clocks=measured)
    found = {text(each.interface): (each.nic_domain, each.nic_tai_offset_s) for each in plan.sources[0:2]}
    assert found == {"eth1": (lib.NT_CLOCK_TAI, 37), "eth2": (lib.NT_CLOCK_UTC, -1)}
    plan = planner.plan(f'{ETH1}kind = "packet"', CHANNEL.format(""), nic_clocks={"eth9": NicClock("free")})
    assert (plan.sources[0].nic_domain, plan.sources[0].nic_tai_offset_s) == (lib.NT_CLOCK_UNKNOWN, -1)


@pytest.mark.parametrize(("clock", "bound_ns"), [("", 10**9), ('[clock]\nstamp_bound = "5ms"\n', 5_000_000)])
def test_the_bound_of_stamps_is_the_clocks(clock: str, bound_ns: int, planner: Planner) -> None:
    assert planner.plan(ETH1, CHANNEL.format("") + clock).header.stamp_bound_ns == bound_ns
