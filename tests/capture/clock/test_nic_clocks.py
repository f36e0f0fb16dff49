"""NICs with clocks of their own: no machine here has one, so readings are made up; what is made of them is real."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nanotape.capture.clock.hwtstamp import HwtstampConfig
from nanotape.capture.clock.nic_clocks import DOMAIN_NS, NicAccess, NicClockWatch
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.phc import PhcReading, StampAbility
from nanotape.capture.clock.sample import Change
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.watch import ClockLook, ClockWatch
from nanotape.capture.errors import PhcUnusable

SECOND = 10**9
CHRONY = Observation("system", 0, source="chrony", has_master=True, is_disciplined=True, offset_ns=500.0, bound_ns=9e5)
KERNEL = Observation("system", 0, source="kernel", utc_offset_s=37, utc_offset_source="kernel", is_disciplined=True)
ABLE = StampAbility("ptp0", ("rx-hardware", "raw-hardware"), stamps_all=True)


@dataclass
class Host:
    """One PHC at a distance from the system's clock, and two interfaces that share it."""

    phc_sys_ns: int = 120
    phc: str | None = "ptp0"
    hwtstamp: HwtstampConfig = field(default_factory=lambda: HwtstampConfig("eth1", "on", "all"))
    failure: str = ""
    opened: int = 0
    closed: int = 0
    changes: list[Change] = field(default_factory=list)

    def watch(self, *interfaces: str) -> NicClockWatch:
        access = NicAccess(self.ability, lambda name: replace(self.hwtstamp, interface=name), self.open)
        return NicClockWatch(interfaces or ("eth1",), access=access)

    def ability(self, name: str) -> StampAbility:
        if self.phc is None:
            raise PhcUnusable(f"{name}: no such device")
        return replace(ABLE, phc=self.phc)

    def open(self, _device: str) -> Host:
        self.opened += 1
        return self

    def compare(self) -> PhcReading:
        if self.failure:
            raise PhcUnusable(self.failure)
        return PhcReading(0, self.phc_sys_ns, 50, "PTP_SYS_OFFSET_EXTENDED")

    def close(self) -> None:
        self.closed += 1


def look(nics: NicClockWatch, at_ns: int, *seen: Observation) -> tuple[ClockLook, list[str]]:
    """A look at all clocks, and what the NICs have to tell of it."""
    found = ClockWatch(Thresholds(), {"nics": nics.read, "others": lambda: [*(seen or (CHRONY, KERNEL))]}).look()
    found = replace(found, at_ns=at_ns)
    return found, [each.detail for each in nics.look(found)]


def test_the_domain_of_a_phc_is_measured_at_start_and_each_minute() -> None:
    host = Host(37 * SECOND + 120)
    nics = host.watch()
    assert look(nics, 0)[1] == []
    [told] = nics.as_json()
    assert (told["phc"], told["domain"], told["utc_offset_s"]) == ("ptp0", "tai", 37)
    ptp = replace(CHRONY, clock="ptp0", source="ptp4l", utc_offset_s=36, utc_offset_source="ptp", bound_ns=None)
    assert look(nics, DOMAIN_NS - 1, CHRONY, KERNEL, ptp)[1] == []
    assert "36 s" not in str(nics.findings)
    look(nics, DOMAIN_NS, CHRONY, KERNEL, ptp)
    assert "36 s" in str(nics.findings)


def test_a_domain_is_measured_anew_at_once_when_a_clock_is_not_where_it_was() -> None:
    """As after a leap second: until then all its stamps are off by one, and nobody could tell."""
    host = Host(37 * SECOND + 120)
    nics = host.watch()
    look(nics, 0)
    host.phc_sys_ns = 120
    [changed] = look(nics, 1 * SECOND)[1]
    assert changed.startswith("ptp0 was TAI and is UTC: ")
    assert nics.as_json()[0]["domain"] == "utc"
    host.phc_sys_ns = 5 * SECOND
    assert "free-running" in look(nics, 2 * SECOND)[1][0]
    host.phc_sys_ns = 120
    assert look(nics, 3 * SECOND)[1] == []


def test_a_domain_is_measured_too_when_the_system_s_clock_was_set_back_by_hours() -> None:
    nics = Host(37 * SECOND + 120).watch()
    look(nics, 7200 * SECOND)
    ptp = replace(CHRONY, clock="ptp0", source="ptp4l", utc_offset_s=36, utc_offset_source="ptp", bound_ns=None)
    look(nics, 10 * SECOND, CHRONY, KERNEL, ptp)
    assert "36 s" in str(nics.findings)


def test_a_phc_in_tai_is_as_far_from_the_system_s_clock_as_what_is_left() -> None:
    nics = Host(37 * SECOND + 120).watch()
    look(nics, 0)
    [seen] = nics.read()
    assert (seen.clock, seen.interface, seen.phc_sys_ns) == ("ptp0", "eth1", 120)
    free = Host(5 * SECOND).watch()
    look(free, 0)
    assert free.read()[0].phc_sys_ns is None
    assert free.as_json()[0]["domain"] == "free"


def test_a_phc_where_the_kernel_knows_no_offset_is_measured_by_what_ptp_says() -> None:
    ptp = Observation(
        "ptp0", 0, "eth1", "ptp4l", "pmc", True, True, 5.0, utc_offset_s=37, utc_offset_source="ptp", is_hardware=True
    )
    nics = Host(37 * SECOND).watch()
    look(nics, 0, CHRONY, ptp)
    assert nics.as_json()[0]["domain"] == "tai"
    alone = Host(37 * SECOND).watch()
    look(alone, 0, CHRONY)
    assert alone.as_json()[0]["domain"] == "unknown"


def test_a_phc_that_reads_utc_where_ptp_makes_it_tai_is_found() -> None:
    ptp = Observation("ptp0", 0, "eth1", "ptp4l", "pmc", True, True, 5.0, is_hardware=True)
    nics = Host(40).watch()
    look(nics, 0, CHRONY, KERNEL, ptp)
    [line] = nics.findings
    assert line.startswith("ptp0: whoever disciplines it makes it TAI, but it reads UTC")


def test_interfaces_that_share_a_phc_read_it_as_one_clock() -> None:
    nics = Host().watch("eth1", "eth2")
    found, _ = look(nics, 0)
    assert [each.sample.clock for each in found.clocks] == ["system", "ptp0"]
    assert [each["interface"] for each in nics.as_json()] == ["eth1", "eth2"]


def test_a_phc_that_fails_is_told_of_closed_and_opened_again() -> None:
    host = Host()
    nics = host.watch()
    look(nics, 0)
    host.failure = "ptp0: gone"
    look(nics, 1)
    assert (nics.findings, host.closed) == (["ptp0: gone"], 1)
    [changed] = look(nics, DOMAIN_NS)[1]
    assert changed == "ptp0 was UTC and is unknown: ptp0: gone"
    host.failure = ""
    [changed] = look(nics, DOMAIN_NS + SECOND)[1]  # and not a minute later
    assert changed.startswith("ptp0 was unknown and is UTC: ")
    assert (nics.findings, host.opened) == ([], host.closed + 1)


def test_a_nic_whose_driver_is_loaded_anew_has_another_clock_or_none_for_a_while() -> None:
    host = Host()
    nics = host.watch()
    look(nics, 0)
    for minute, phc in enumerate((None, "ptp1"), start=1):
        host.phc = phc
        look(nics, minute * DOMAIN_NS)
        assert (nics.as_json()[0]["phc"], len(nics.findings)) == (phc, 0 if phc else 1)
    look(nics, 2 * DOMAIN_NS + SECOND)
    look(nics, 3 * DOMAIN_NS)
    [told] = nics.as_json()
    assert (told["phc"], told["domain"]) == ("ptp1", "utc")
    assert host.opened == host.closed + 1


def test_somebody_who_changes_what_the_nic_stamps_is_found_out() -> None:
    host = Host()
    nics = host.watch()
    look(nics, 0)
    host.hwtstamp = HwtstampConfig("eth1", "on", "ptpv2-event")
    [changed] = look(nics, DOMAIN_NS)[1]
    assert changed.endswith("it was rx all, tx on: somebody has set it")
    assert changed.startswith("eth1: hardware stamps: rx ptpv2-event, tx on; ")


def test_an_interface_that_is_not_there_is_a_finding() -> None:
    nics = NicClockWatch(["no-such-if"])
    assert nics.read() == []
    assert nics.findings[0].startswith("no-such-if: ")
    look(nics, 0)
    assert nics.as_json()[0]["phc"] is None
    assert nics.as_json()[0]["words"].startswith("nothing known of its clock")
