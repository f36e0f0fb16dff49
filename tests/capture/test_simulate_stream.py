"""The simulated exchange's bytes, read by a second decoder, by tshark, and by a book that refuses what cannot be."""

import collections
import itertools
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from frames import market_data
from itch5_model import END_OF_SESSION, LENGTHS, BookModel, read_itch, read_mold
from pcap_file import read_pcap

from nanotape.capture.errors import SimulationUsageError
from nanotape.capture.exchange import ExchangePacket, ExchangeParameters, ExchangeStream, PacketKind

PORT = 31001


def stream(**parameters: object) -> list[ExchangePacket]:
    return list(ExchangeStream(ExchangeParameters(**parameters)))


@pytest.fixture(scope="module")
def packets() -> list[ExchangePacket]:
    return stream(seed=7, packets=20_000, symbols=10)


def udp_payload(frame: bytes) -> bytes:
    at = 12
    while frame[at : at + 2] == b"\x81\x00":
        at += 4
    start = at + 2 + 4 * (frame[at + 2] & 15)
    (length,) = struct.unpack_from(">H", frame, start + 4)
    return frame[start + 8 : start + length]


def test_the_second_decoder_reads_real_nasdaq_packets(captures: Path) -> None:
    kinds = collections.Counter()
    for path in sorted((captures / "omi" / "Nasdaq").rglob("*.pcap")):
        for captured in read_pcap(path).frames:
            for message in read_mold(udp_payload(captured.frame)).messages:
                kind = chr(message[0])
                kinds[kind] += 1
                if kind in LENGTHS:
                    assert len(message) == LENGTHS[kind]
                    assert read_itch(message)["type"] == kind
    assert {"A", "D", "E", "U"} <= kinds.keys()


def test_every_message_has_its_exact_length_and_all_types_occur(packets: list[ExchangePacket]) -> None:
    messages = [message for packet in packets for message in read_mold(packet.payload).messages]
    assert {chr(message[0]) for message in messages} == LENGTHS.keys()
    assert all(len(message) == LENGTHS[chr(message[0])] for message in messages)


def test_sequences_follow_each_other_and_payloads_fit(packets: list[ExchangePacket]) -> None:
    expected = 1
    for packet in packets:
        mold = read_mold(packet.payload)
        assert (mold.session, mold.sequence) == ("NT00000007", expected)
        assert len(packet.payload) <= 1400
        assert len(mold.messages) == packet.messages
        expected += packet.messages
    assert [packet.number for packet in packets] == list(range(1, len(packets) + 1))
    assert read_mold(packets[-1].payload).count == END_OF_SESSION
    assert packets[-1].kind is PacketKind.END_OF_SESSION


def test_a_book_can_follow_every_message(packets: list[ExchangePacket]) -> None:
    book = BookModel()
    stamp = 0
    for packet in packets:
        for message in map(read_itch, read_mold(packet.payload).messages):
            book.apply(message)
            assert stamp <= message["since_midnight_ns"] <= 34_200 * 10**9 + packet.due_ns
            stamp = message["since_midnight_ns"]
    assert book.events == "OSQ"
    assert len(book.stocks) == 10
    assert 10 <= len(book.orders) <= 10 * 64


def test_the_book_refuses_a_stream_that_lost_a_packet(packets: list[ExchangePacket]) -> None:
    book = BookModel()
    # Packet 100 may hold only what nothing refers to later; a lost run of 50 cannot.
    with pytest.raises((KeyError, AssertionError)):  # noqa: PT012
        for packet in packets[:100] + packets[150:]:
            for message in read_mold(packet.payload).messages:
                book.apply(read_itch(message))


def test_the_mix_looks_like_an_equities_feed(packets: list[ExchangePacket]) -> None:
    kinds = collections.Counter(chr(message[0]) for packet in packets for message in read_mold(packet.payload).messages)
    total = kinds.total()
    assert 0.40 < (kinds["A"] + kinds["F"]) / total < 0.55
    assert 0.30 < kinds["D"] / total < 0.45
    assert 0.02 < (kinds["E"] + kinds["C"]) / total < 0.10
    assert all(kinds[kind] / total > 0.0005 for kind in "CXUPF")
    counts = np.array([packet.messages for packet in packets])
    assert 1.8 < counts.mean() < 3
    assert np.median(counts) <= 2
    assert counts.max() > 30


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    first = [packet.payload for packet in stream(seed=3, packets=500, session="X")]
    assert first == [packet.payload for packet in stream(seed=3, packets=500, session="X")]
    assert first[2:] != [packet.payload for packet in stream(seed=4, packets=500, session="X")][2:]
    longer = [packet.payload for packet in stream(seed=3, packets=600, session="X")]
    assert longer[:500] == first[:500]


def test_batches_give_what_single_packets_give() -> None:
    parameters = ExchangeParameters(seed=5, packets=1000, burst=8)
    single = list(ExchangeStream(parameters))
    batches = list(ExchangeStream(parameters).batches(rows=64))
    assert [payload for batch in batches for payload in batch.payloads.to_pylist()] == [p.payload for p in single]
    assert np.concatenate([batch.facts["due_ns"] for batch in batches]).tolist() == [p.due_ns for p in single]
    for batch in batches:
        batch.payloads.validate(full=True)


def test_a_slow_feed_is_kept_alive_by_heartbeats() -> None:
    packets = stream(seed=1, rate=0.4, packets=3)
    kinds = "".join("DHE"[packet.kind] for packet in packets)
    assert kinds == "DHHDHHDHHE"
    assert all(b.due_ns - a.due_ns <= 10**9 for a, b in itertools.pairwise(packets))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark (apt-get install tshark)")
def test_tshark_agrees_on_session_sequence_count_and_lengths(tmp_path: Path) -> None:
    packets = stream(seed=2, packets=500, rate=0.9, symbols=40)
    path = tmp_path / "simulated.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for packet in packets:
            frame = market_data(packet.payload, PORT)
            file.write(struct.pack("<IIII", *divmod(packet.due_ns, 10**9), len(frame), len(frame)) + frame)
    fields = ["session", "sequence", "count", "msglen"]
    command = ["tshark", "-r", path, "-d", f"udp.port=={PORT},moldudp64", "-T", "fields"]
    command += [word for name in fields for word in ("-e", f"moldudp64.{name}")] + ["-e", "_ws.malformed"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    expected = []
    for packet in packets:
        mold = read_mold(packet.payload)
        lengths = ",".join(str(len(message)) for message in mold.messages)
        expected.append([mold.session, str(mold.sequence), str(mold.count), lengths, ""])
    assert rows == expected
    assert {"0", "65535"} <= {row[2] for row in rows}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"rate": 0}, "rate: expected 0.001 to"),
        ({"rate": float("nan")}, "rate: expected"),
        ({"burst": 0.5}, "burst: expected a factor of 1"),
        ({"symbols": 5000}, "symbols: expected 1 to 4096, found 5000"),
        ({"packets": 0}, "packets: expected at least 1"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"session": "ELEVENCHARS"}, "session: expected up to 10"),
        ({"session": "caf\u00e9"}, "session: expected up to 10"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(SimulationUsageError, match=text):
        ExchangeParameters(**wrong)
