"""What the runs of the part `wire` come to, and the search for lost numbers in a capture file."""

from __future__ import annotations

import pathlib
import struct
from typing import Any

import pytest

from nanotape.cli.bench.numbers import Tally, of_pcap
from nanotape.cli.bench.recorder_memory import Memory
from nanotape.cli.bench.wire_part import packets_at
from nanotape.cli.bench.wire_verdict import PLAIN, VARIED, ZSTD, highest_lossless_pps, losses, targets

NANOSECONDS = 0xA1B23C4D


def pcap(path: pathlib.Path, numbers: list[int], magic: int = NANOSECONDS, frame_bytes: int = 242) -> pathlib.Path:
    """A file of such frames."""
    head = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262144, 1)
    frames = (number.to_bytes(8, "big").rjust(50, b"\0").ljust(frame_bytes, b"\x5a") for number in numbers)
    path.write_bytes(head + b"".join(struct.pack("<IIII", 0, 0, frame_bytes, frame_bytes) + frame for frame in frames))
    return path


@pytest.mark.parametrize(
    ("numbers", "packets", "good"),
    [
        ([], 0, True),
        (list(range(1, 70_001)), 70_000, True),
        ([1, 2, 5, 70_000], 4, True),
        ([1, 2, 2], 3, False),
        ([2, 1], 2, False),
        ([1, 70_001], 2, False),
        ([0, 1], 2, False),
    ],
)
def test_a_capture_file_is_searched_for_its_numbers(
    numbers: list[int], packets: int, good: bool, tmp_path: pathlib.Path
) -> None:
    tally = of_pcap(pcap(tmp_path / "a.pcap", numbers))
    assert (tally.packets, tally.is_within(70_000)) == (packets, good)


def test_half_a_record_at_the_end_is_none(tmp_path: pathlib.Path) -> None:
    path = pcap(tmp_path / "a.pcap", [1, 2, 3])
    path.write_bytes(path.read_bytes()[:-1])
    assert of_pcap(path) == Tally(packets=2, repeated=0, last=2)


@pytest.mark.parametrize("places", [(0,), (1,), (70_000,), (0, 0, 40_000, 65_536, 70_000)])
@pytest.mark.parametrize("cut", [0, 1, 20])
def test_igmp_among_the_frames_is_passed_over(places: tuple[int, ...], cut: int, tmp_path: pathlib.Path) -> None:
    """What the kernel says late of a capture that has ended."""
    whole = pcap(tmp_path / "a.pcap", list(range(1, 70_001))).read_bytes()
    leave = b"\x01\x00\x5e\x00\x00\x16".ljust(12, b"\x02") + b"\x08\x00\x46".ljust(11, b"\0") + b"\x02".ljust(31, b"\0")
    record = struct.pack("<IIII", 0, 0, len(leave), len(leave)) + leave
    for place in reversed(places):
        at = 24 + place * (16 + 242)
        whole = whole[:at] + record + whole[at:]
    path = tmp_path / "b.pcap"
    path.write_bytes(whole[: len(whole) - cut])
    lost = 1 if cut and places[-1] != 70_000 else 0
    assert of_pcap(path) == Tally(packets=70_000 - lost, repeated=0, last=70_000 - lost)
    path.write_bytes(whole.replace(leave, leave.replace(b"\x08\x00\x46", b"\x86\xdd\x60")))
    with pytest.raises(ValueError, match="and IGMP; found one of 54 bytes"):
        of_pcap(path)


def test_a_file_of_something_else_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="expected a pcap file, found magic 0xa0d0d0a"):
        of_pcap(pcap(tmp_path / "a.pcapng", [1], magic=0x0A0D0D0A))
    with pytest.raises(ValueError, match="expected frames of 242 bytes only"):
        of_pcap(pcap(tmp_path / "b.pcap", list(range(1, 10)), frame_bytes=258))


def run(contender: str, rate: int = 0, **figures: Any) -> dict[str, Any]:
    """One run, as the part tells it."""
    return {
        "contender": contender,
        "rate": rate,
        "sent": 10_000_000,
        "lost": 0,
        "lost_at": {},
        "pps": rate or 2.5e6,
        "cpu_us": 0.5,
        "stolen_s": 0.0,
    } | figures


def target(name: str, *runs: dict[str, Any]) -> tuple[float | None, bool | None, str]:
    """What came of one."""
    found = next(each for each in targets(runs) if each.name == name)
    return found.value, found.met, found.why


def test_the_worst_repetition_at_the_maximum_counts() -> None:
    lossy = run(ZSTD, lost=7, lost_at={"recorder_overrun": 7})
    assert target("wire", run(ZSTD), lossy, run("tcpdump", lost=9)) == (
        7,
        False,
        f"{ZSTD} lost 7 of 10,000,000 at 2.50 Mpps (recorder_overrun 7)",
    )
    plain = run(PLAIN, lost=8, lost_at={"recorder_overrun": 8})
    assert target("wire", run(ZSTD), plain) == (0, True, "uncompressed up to 8 were lost")
    varied = run(VARIED, lost=9, lost_at={"recorder_overrun": 9})
    assert target("wire", run(ZSTD), varied) == (0, True, "with varied payload up to 9 were lost")
    assert target("wire", run(ZSTD), run(PLAIN)) == (0, True, "")
    assert target("wire", run(ZSTD), run(ZSTD, 1_000_000, lost=7, lost_at={"link": 7}))[0] == 0


def test_only_loss_at_the_rx_ring_is_excused_by_steal() -> None:
    stalled = run(ZSTD, lost=7, lost_at={"rx_ring_full": 7}, stolen_s=0.2)
    assert target("wire", stalled, run(ZSTD)) == (
        0,
        True,
        "1 of 2 runs with a steal stall beyond the RX ring are left out",
    )
    assert target("wire", stalled)[0] is None
    assert target("wire", stalled | {"stolen_s": 0.05})[0] == 7
    assert target("wire", stalled | {"lost_at": {"recorder_overrun": 7}})[0] == 7


@pytest.mark.parametrize("contender", [ZSTD, PLAIN, VARIED])
@pytest.mark.parametrize(
    ("wrong", "value"),
    [({"unexplained": 3}, 3), ({"exact": False}, 1), ({"exact": False, "lost": -5}, 1)],
    ids=["missing", "changed", "twice"],
)
def test_what_nobody_accounts_for_is_a_loss_at_any_rate(contender: str, wrong: dict[str, Any], value: int) -> None:
    for rate in (0, 250_000):
        found = target("wire", run(ZSTD), run(contender, rate, **wrong))
        assert found == (value, False, f"up to {value} of a run nobody accounts for")
    assert target("wire", run(ZSTD), run("tcpdump", exact=False))[1] is True


def test_steal_does_not_excuse_what_nobody_accounts_for() -> None:
    stalled = run(ZSTD, lost=7, lost_at={"rx_ring_full": 7}, stolen_s=0.2, exact=False)
    assert target("wire", stalled)[:2] == (1, False)


def test_the_cost_of_varied_payload_is_told_beside_that_of_the_same() -> None:
    runs = [run(ZSTD, cpu_us=0.3), run(VARIED, cpu_us=0.6), run("tcpdump", cpu_us=0.4)]
    ratio, met, why = target("cpu zstd 1", *runs)
    assert (ratio, met) == (pytest.approx(0.75), True)
    assert why == (
        "0.30 us a packet, tcpdump 0.40, at the generator's maximum; 1.50 x where a third of the payload differs"
    )


def test_cpu_is_compared_where_nobody_loses() -> None:
    runs = [run(ZSTD, cpu_us=0.3), run("tcpdump", lost=5, cpu_us=0.1)]
    slower = [run(ZSTD, 1_000_000, cpu_us=0.6), run("tcpdump", 1_000_000, cpu_us=0.8), run("dumpcap", 1_000_000)]
    ratio, met, why = target("cpu zstd 1", *runs, *slower, run("dumpcap"))
    assert (ratio, met) == (1.2, False)
    assert why == "0.60 us a packet, dumpcap 0.50, at 1 Mpps; 3.00 x at the generator's maximum"
    ratio, met, why = target("cpu zstd 1", *runs)
    assert ratio == pytest.approx(3.0)
    assert why.endswith("at the generator's maximum, where packets were lost")


def test_without_another_tool_there_is_nothing_to_compare_with() -> None:
    assert target("cpu zstd 1", run(ZSTD)) == (None, None, "none of the other tools is installed")


def test_the_highest_rate_without_loss_ends_at_the_first_loss() -> None:
    runs = [run("dumpcap", 500_000), run("dumpcap", 1_000_000), run("dumpcap", 1_000_000, lost=1), run("dumpcap", 0)]
    assert highest_lossless_pps(runs) == 500_000
    assert highest_lossless_pps(runs[:2] + runs[3:]) == 2.5e6
    assert highest_lossless_pps(runs[2:3]) is None


def test_what_the_worst_run_lost_at_each_rate_is_said() -> None:
    runs = [run(ZSTD), run("dumpcap", lost=3_700_000), run("dumpcap"), run("dumpcap", 1_500_000, lost=100)]
    assert losses(runs) == (
        f"Lost at each rate in the worst run: {ZSTD}: nothing; dumpcap: 0.001% at 1.5 Mpps, 37.000% at the maximum."
    )


def test_slow_rates_have_fewer_packets_not_more_minutes() -> None:
    rates = (250_000, 1_000_000, 2_000_000, 0)
    assert [packets_at(rate, quick=False) for rate in rates] == [750_000, 10_000_000, 10_000_000, 10_000_000]


def test_memory_that_grows_is_seen() -> None:
    looks = [(float(at), (100 + at) << 20) for at in range(60)]
    assert Memory(looks).growth_mib_a_minute == pytest.approx(60)
    assert Memory(looks).peak_mib == 159
    assert (Memory(looks[:10]).growth_mib_a_minute, Memory().peak_mib) == (None, None)
