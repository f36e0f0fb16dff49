"""What happens between two looks: growth only, by CPU; and what the checks make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_host import RecordedHost, RecordedNics, unpack

from nanotape.capture.host.check import Result
from nanotape.capture.host.facts import Measured
from nanotape.capture.host.measure import disk_speed, interrupt_counts, measure
from nanotape.capture.host.root import HostRoot
from nanotape.capture.host.table import examine

INTERRUPTS = """            CPU0       CPU1       CPU6       CPU7
  42:          9          0          0          0  IR-PCI-MSI-0000:01:00.0    0-edge      nvme0q0
  43:        120         31   {nvme}          0  IR-PCI-MSI-0000:01:00.0    1-edge      nvme0q1
  70:          1          0     199000          0  IR-PCI-MSIX-0000:c1:00.0   1-edge      mlx5_comp0
 LOC:     700000     650000       {ticks}        900   Local timer interrupts
 RES:       1000       9000          0          0   Rescheduling interrupts
"""
SNMP = "Udp: InDatagrams RcvbufErrors\nUdp: 1000 {errors}"


def measured(recorded: RecordedHost, changes: dict[str, str]) -> Measured:
    """Over ten seconds in which these files change."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        for path, text in changes.items():
            recorded.write(path, text)

    nics = RecordedNics(recorded.facts["nics"])
    return measure(HostRoot(recorded.root), ("ens1f0np0",), 10.0, lambda: now[0], sleep, nics=nics)


def found(recorded: RecordedHost, what: Measured) -> dict[str, Result]:
    return {result.id: result for result in examine(replace(recorded.host(), measured=what))}


def test_a_quiet_core_is_ok_whatever_its_own_nic_and_others_do(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    seen = measured(recorded, {"proc/interrupts": INTERRUPTS.format(nvme=0, ticks=910)})
    results = found(recorded, seen)
    assert seen.interrupts["RES"][1] == 8000
    assert (results["irq.delta"].status, results["irq.delta"].found) == ("ok", "1.0 ticks/s on each core")
    assert results["irq.softirqs"].status == results["irq.steal"].status == "ok"
    assert results["limits.socket_losses"].status == "ok"
    assert results["nic.drops:ens1f0np0"].found == "none in 10 s"


@pytest.mark.parametrize(
    ("path", "text", "check", "status", "told"),
    [
        ("proc/interrupts", INTERRUPTS.format(nvme=0, ticks=3400), "irq.delta", "warn", "250.0 ticks/s on each core"),
        ("proc/interrupts", INTERRUPTS.format(nvme=5, ticks=900), "irq.delta", "warn", "nvme0q1 0.5/s"),
        ("proc/softirqs", "  CPU0 CPU1 CPU6 CPU7\n TIMER: 1000 1000 500 0", "irq.softirqs", "warn", "TIMER 50.0/s"),
        ("proc/stat", "cpu6 50 0 50 49900 0 0 0 100 0 0", "irq.steal", "warn", "10.00%"),
        ("proc/net/snmp", SNMP.format(errors=4), "limits.socket_losses", "warn", "4 in sockets"),
        ("proc/net/softnet_stat", "1 00000010 0", "limits.socket_losses", "warn", "16 in the backlog"),
        ("proc/net/softnet_stat", "1 00000000 11", "limits.socket_losses", "ok", "17 rounds cut short"),
        (
            "sys/class/net/ens1f0np0/statistics/rx_missed_errors", "7",
            "nic.drops:ens1f0np0", "fail", "rx_missed_errors +7 in 10 s",
        ),
    ],
)  # fmt: skip
def test_what_grows_turns_its_check(path: str, text: str, check: str, status: str, told: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    result = found(recorded, measured(recorded, {path: text}))[check]
    assert result.status == status
    assert told in result.found


def write_smis(recorded: RecordedHost, cpu: int, count: int) -> None:
    """As the msr driver gives them: a register at each offset, 64 bits; the upper half of this one is reserved."""
    place = recorded.root / f"dev/cpu/{cpu}/msr"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(bytes(0x34) + (0xFFFF_0000_0000_0000 | count).to_bytes(8, "little"))


@pytest.mark.parametrize(("after", "status", "told"), [(40, "ok", "0 in 10 s"), (42, "warn", "2 in 10 s")])
def test_system_management_interrupts_are_counted_on_the_loops_core(
    after: int, status: str, told: str, tmp_path: Path
) -> None:
    recorded = unpack("bare-metal", tmp_path)
    now = [0.0]
    write_smis(recorded, 6, 40)
    result = found(recorded, measured(recorded, {}))["irq.smi"]
    assert (result.status, result.found) == ("info", "40 since the start, when is not known")  # nobody counted on 6

    def sleep(seconds: float) -> None:
        now[0] += seconds
        write_smis(recorded, 6, after)

    seen = measure(HostRoot(recorded.root), (), 10.0, lambda: now[0], sleep, cores={6})
    result = found(recorded, seen)["irq.smi"]
    assert (result.status, result.found) == (status, told)


def test_where_the_firmwares_stops_cannot_be_counted_another_way_is_named(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    result = found(recorded, measured(recorded, {}))["irq.smi"]
    assert result.status == "unknown"
    assert result.found == "/dev/cpu/6/msr: No such file or directory (Intel alone counts them)"
    assert result.fix is not None
    assert "rtla hwnoise -c 6" in result.fix


CAPTURE = "Name:\tnanotape-captur\nCpus_allowed_list:\t{cpus}\nnonvoluntary_ctxt_switches:\t{count}"


@pytest.mark.parametrize(("count", "status"), [(7, "ok"), (9, "warn")])
def test_a_loop_that_was_put_off_its_core_is_told(count: int, status: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write("proc/900/task/900/status", CAPTURE.format(cpus="6", count=7))
    recorded.write("proc/900/task/901/status", CAPTURE.format(cpus="0-5", count=70))  # its helper
    changes = {
        "proc/900/task/900/status": CAPTURE.format(cpus="6", count=count),
        "proc/900/task/901/status": CAPTURE.format(cpus="0-5", count=99),
    }
    assert found(recorded, measured(recorded, changes))["irq.preemptions"].status == status


def test_what_a_driver_counts_as_lost_turns_its_check_and_what_it_was_told_to_drop_does_not(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    seen = measured(recorded, {})
    assert set(seen.driver) == {("ens1f0np0", "rx_out_of_buffer"), ("ens1f0np0", "rx_discards_phy")}
    assert found(recorded, seen)["nic.driver_drops:ens1f0np0"].found == "none of 2 counters"
    grown = replace(seen, driver={("ens1f0np0", "rx_out_of_buffer"): 5})
    result = found(recorded, grown)["nic.driver_drops:ens1f0np0"]
    assert (result.status, result.found) == ("fail", "rx_out_of_buffer +5")


@pytest.mark.parametrize(("speed", "status"), [(2e6 * 242, "ok"), (2e6 * 242 - 1, "warn"), (None, "unknown")])
def test_the_disk_is_held_against_the_configured_rate(speed: float | None, status: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    seen = replace(measured(recorded, {}), disk_bytes_s=speed, disk_reason="a capture runs")
    assert found(recorded, seen)["disk.speed"].status == status


def test_rows_of_no_cpu_are_left_out() -> None:
    counts, names = interrupt_counts(
        " CPU0 CPU3\n 5: 1 2 PCI 1-edge eth0-rx\nERR: 0\n NMI: 3 4 Non-maskable interrupts"
    )
    assert counts == {"5": {0: 1, 3: 2}, "NMI": {0: 3, 3: 4}}
    assert names == {"5": "eth0-rx", "NMI": "NMI"}


def test_the_disk_is_tried_beside_the_archive_and_nothing_is_left(tmp_path: Path) -> None:
    ticks = iter(range(100))
    speed, reason = disk_speed(tmp_path / "not" / "there", 2.0, lambda: float(next(ticks)))
    assert reason == ""
    assert speed is not None
    assert speed > 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_says_why() -> None:
    speed, reason = disk_speed(Path("/proc/nanotape"), 1.0, lambda: 0.0)
    assert speed is None
    assert reason.startswith("/proc: ")
