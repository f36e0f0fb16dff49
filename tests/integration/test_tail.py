"""`nanotape tail` of a real capture: read live by tshark, whose fields must be the ring's, to the nanosecond."""

from __future__ import annotations

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from command_line import NANOTAPE
from deadline import wait_for
from pcapng_file import STATISTICS, parse
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.packet import Packet
from nanotape.capture.readers import list_readers
from nanotape.capture.service import CAPTURE, Service

pytestmark = [pytest.mark.root, pytest.mark.shared]

FIELDS = (
    "frame.time_epoch", "frame.interface_name", "frame.interface_description", "frame.len", "ip.src", "ip.dst",
    "udp.srcport", "udp.dstport", "udp.payload", "frame.packet_flags_direction", "frame.drop_count",
)  # fmt: skip
NUMBERS = itertools.count()
QUIET = ("Running as user", "Capturing on", " ** (tshark:", "\r", "tshark: ")


@pytest.fixture
def started(tmp_path: pathlib.Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes; none is left at the end."""
    made: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **options: object) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(command, **options))  # type: ignore[call-overload]
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


def tail(rig: Rig, *options: str) -> tuple[str, ...]:
    name = f"tail-{next(NUMBERS)}"
    return (*NANOTAPE, "tail", "--config", str(rig.config), "test", "--reader-name", name, *options)


def tshark() -> tuple[str, ...]:
    if shutil.which("tshark") is None:
        pytest.skip("no tshark here: the stream is not read by Wireshark")
    return ("tshark", "-l", "-n", "-i", "-", "-T", "fields", *(word for name in FIELDS for word in ("-e", name)))


def as_tshark_says(packet: Packet, interface: str, source: str) -> list[str]:
    seconds, fraction = divmod(packet.ts, 10**9)
    return [
        f"{seconds}.{fraction:09}", interface, source, str(packet.wire_len), packet.src_ip or "", packet.dst_ip or "",
        str(packet.src_port), str(packet.dst_port), packet.payload.hex(), "0x00000001",
        str(packet.lost_before) if packet.lost_before else "",
    ]  # fmt: skip


def in_ring(rig: Rig) -> list[Packet]:
    with rig.ring() as ring:
        return list(ring.packets(start="oldest", idle=0))


def has_begun(rig: Rig, process: subprocess.Popen[bytes]) -> bool:
    """Whether it has taken its place in the ring."""
    with rig.ring() as ring:
        return any(reader.pid == process.pid for reader in list_readers(ring, rig.folder / "run"))


def sent(rig: Rig, service: Service, *options: str) -> int:
    """Has the exchange send, and returns what is in the ring then."""
    exchange = rig.exchange(*options)
    try:
        while exchange.running():
            service.wait(0.05)
        exchange.result()
        return rig.wait_taken(service).last_seq
    finally:
        exchange.stop()


def rows_of(path: pathlib.Path) -> list[list[str]]:
    """Of the lines that are whole."""
    text = path.read_text(encoding="utf-8")
    return [line.split("\t") for line in text[: text.rfind("\n") + 1].splitlines()]


@pytest.mark.parametrize("kind", ["afxdp", pytest.param("socket", marks=pytest.mark.slow)])
def test_tshark_reads_a_live_tail_with_the_rings_own_fields(
    kind: str,
    make_service_rig: Callable[..., Rig],
    started: Callable[..., subprocess.Popen[bytes]],
    tmp_path: pathlib.Path,
) -> None:
    command = tshark()
    if kind == "afxdp":
        rig = make_service_rig(capacity="64 MiB", descriptors=65_536)
        check_live(rig, command, ("veth-r", "afxdp:veth-r:0"), started, tmp_path)
        return
    with make_rig(Wanted(kind="socket", interface="lo", capacity="64 MiB"), None) as rig:
        check_live(rig, command, ("lo", "socket:lo:0"), started, tmp_path)


def check_live(
    rig: Rig,
    command: tuple[str, ...],
    names: tuple[str, str],
    started: Callable[..., subprocess.Popen[bytes]],
    folder: pathlib.Path,
) -> None:
    out, said = (folder / "out").open("wb"), (folder / "said").open("wb")
    copy = folder / "copy.pcapng"
    with out, said, rig.service(record=False) as service:
        source = started(*tail(rig, "--pcapng", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        second = started(*tail(rig, "--pcapng", str(copy)), stderr=subprocess.PIPE)
        reader = started(*command, stdin=source.stdout, stdout=out, stderr=said)
        assert source.stdout
        source.stdout.close()
        wait_for(lambda: has_begun(rig, source) and has_begun(rig, second), "both tails", 30)
        last = sent(rig, service, "--rate", "2000", "--seconds", "1")
        # All runs on: what tshark shows, it shows live.
        wait_for(lambda: len(rows_of(folder / "out")) == last, f"{last} packets in tshark", 30)
        assert source.poll() is None
        for process in (source, second):
            process.terminate()
            assert process.wait(30) == 0
            assert process.stderr
            assert process.stderr.read().decode() == f"nanotape: packets: {last:,} shown, 0 lost by this reader\n"
        assert reader.wait(30) == 0
    packets = in_ring(rig)
    assert rows_of(folder / "out") == [as_tshark_says(packet, *names) for packet in packets]
    said_lines = (folder / "said").read_text(encoding="utf-8").splitlines()
    assert [line for line in said_lines if line and not line.startswith(QUIET) and "packets captured" not in line] == []
    check_file(copy, packets, names)


def check_file(copy: pathlib.Path, packets: list[Packet], names: tuple[str, str]) -> None:
    """The same once more, in a file: by our own reader, and by capinfos, which must not complain."""
    file = parse(copy.read_bytes())
    assert [(interface.text(2), interface.text(3)) for interface in file.interfaces] == [names]
    assert [(block.fields["ts"], block.frame) for block in file.packets] == [(each.ts, each.frame) for each in packets]
    last = file.of(STATISTICS)[-1]
    assert last.number(8) == len(packets)
    assert (last.stamp(3) or 0) > (last.stamp(2) or 0) > 0
    drops = (last.number(5), last.number(7))
    if names[1].startswith("afxdp"):
        assert (last.number(4) or 0) >= len(packets)
        assert drops == (0, 0)  # of the NIC's queue; with a holder that died
    else:
        assert last.number(4) is None  # what comes is not known to a socket
        assert drops == (None, 0)
    done = subprocess.run(["capinfos", str(copy)], capture_output=True, text=True, check=True, timeout=60)
    assert "nanotape " in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith(QUIET)] == []


def test_a_reader_that_is_lapped_on_purpose_shows_its_drops_in_tshark(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: pathlib.Path
) -> None:
    """Nobody takes what it writes until the ring has gone round; the packets and the drops are all that were sent."""
    command = tshark()
    wanted = Wanted(kind="socket", interface="lo", capacity="1 MiB")
    with make_rig(wanted, None) as rig, rig.service(record=False) as service, (tmp_path / "out").open("wb") as out:
        source = started(*tail(rig, "--pcapng", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: has_begun(rig, source), "the tail", 30)
        last = sent(rig, service, "--rate", "20000", "--seconds", "1")
        reader = started(*command, stdin=source.stdout, stdout=out, stderr=subprocess.DEVNULL)
        assert source.stdout
        source.stdout.close()

        def accounted() -> bool:
            return sum(1 + int(row[-1] or 0) for row in rows_of(tmp_path / "out")) == last

        wait_for(accounted, f"{last} packets shown or dropped", 30)
        source.terminate()
        assert source.wait(30) == 0
        assert reader.wait(30) == 0
        assert source.stderr
        lines = source.stderr.read().decode().splitlines()
    drops = [int(row[-1]) for row in rows_of(tmp_path / "out") if row[-1]]
    assert drops
    assert [line.split()[2] for line in lines if line.startswith("nanotape: lost ")] == [f"{drop:,}" for drop in drops]


def test_one_line_of_a_channel_is_shown_and_goes_on_when_the_capture_was_killed(
    wired: Rig, started: Callable[..., subprocess.Popen[bytes]], tmp_path: pathlib.Path
) -> None:
    with wired.service(record=False) as service, (tmp_path / "out").open("wb") as out:
        process = started(*tail(wired, "--line", "B"), stdout=out, stderr=subprocess.PIPE)
        wait_for(lambda: has_begun(wired, process), "the tail", 30)
        sent(wired, service, "--rate", "2000", "--packets", "200")
        writer = service.pid(CAPTURE)
        assert writer
        os.kill(writer, signal.SIGKILL)
        wait_for(lambda: service.wait(0.05) is not None and service.restarts.get(CAPTURE) == 1, "a new capture", 30)
        sent(wired, service, "--rate", "2000", "--packets", "200")
        packets = [packet for packet in in_ring(wired) if packet.dst_ip == "239.192.7.2"]
        wait_for(lambda: len(rows_of(tmp_path / "out")) == len(packets), "line B")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    lines = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 400
    for line, packet in zip(lines, packets, strict=True):
        addresses = f"IP {packet.src_ip}.{packet.src_port} > {packet.dst_ip}.{packet.dst_port}"
        assert line.partition(" ")[2] == f"{addresses}: UDP, length {packet.payload_len} [channel-0/B]"
