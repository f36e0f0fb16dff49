"""Guessing framings: of every real capture the right one or none, of made packets the right one, of noise none."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import real_flows

from nanotape.capture.exchange import ExchangeParameters, ExchangeStream
from nanotape.capture.framing_guess import guess_framing
from nanotape.capture.framing_reading import PayloadSample, read_header
from nanotape.config.framing import BUILT_IN, Framing

NOW_NS = 1_790_000_000_000_000_000
STEP_NS = 1_000_000
KEPT = 48
PITCH_OR_MITCH = ("cboe-pitch", "mitch")

EXPECTED = {  # below captures/: what may be guessed of each flow
    "bats/": PITCH_OR_MITCH,
    "omi/Cboe/": PITCH_OR_MITCH,
    "omi/Cme/": ("cme-mdp3",),
    "omi/Iex/": ("iex-tp",),
    "omi/Nasdaq/": ("moldudp64",),
    "omi/Nyse/": ("nyse-pillar",),
    "omi/Siac/Cqs": ("cta",),
    "omi/Siac/Opra": ("opra",),
}
UNCLEAR = {  # nothing but heartbeats, or packets without a sequence
    "omi/Cboe/Options.DepthOfBook.Pitch.v2.39.4/Heartbeat.pcap",
    "bats/mcastpitch_realtime_useq.pcap 239.39.62.191:32001",
}


def sampled(payloads: list[bytes], start_ns: int = NOW_NS) -> list[PayloadSample]:
    """As discover keeps them."""
    return [
        PayloadSample(start_ns + place * STEP_NS, len(payload), payload[:KEPT])
        for place, payload in enumerate(payloads[:8])
    ]


def named(payloads: list[bytes]) -> tuple[str, ...] | None:
    guess = guess_framing(sampled(payloads))
    return None if guess is None else guess.framings


def test_every_real_capture_is_recognised(captures: Path) -> None:
    seen = 0
    for path in sorted(captures.rglob("*.pcap")):
        name = str(path.relative_to(captures))
        expected = next((framings for start, framings in EXPECTED.items() if name.startswith(start)), None)
        for flow, samples in real_flows(path, KEPT):
            guess = guess_framing(samples[:8])
            if expected is None or name in UNCLEAR or f"{name} {flow}" in UNCLEAR:
                assert guess is None, (name, flow)
                continue
            assert guess is not None, (name, flow)
            assert guess.framings == expected, (name, flow)
            seen += 1
    assert seen > 50


def test_the_simulated_exchange_is_certain() -> None:
    payloads = [packet.payload for packet in ExchangeStream(ExchangeParameters(packets=8, rate=100))]
    guess = guess_framing(sampled(payloads))
    assert guess is not None
    assert (guess.framings, guess.sure, guess.packets) == (("moldudp64",), "certain", 8)


def _mold_heartbeat(place: int) -> bytes:
    return struct.pack(">10sQH", b"NT00000001", 77, 0)


def _pitch(place: int) -> bytes:
    messages = bytes([6, 0x20, 1, 2, 3, 4]) + bytes([14, 0x21, *range(12)])
    return struct.pack("<HBBI", 8 + len(messages), 2, 3, 100 + 2 * place) + messages


def _mitch(place: int) -> bytes:
    """What follows the header is not as PITCH has it."""
    return struct.pack("<HBBI", 40 + place, 2, 3, 100 + 2 * place) + bytes(32 + place)


def _eobi(place: int) -> bytes:
    send_ns = NOW_NS + place * STEP_NS
    return struct.pack("<HHIIiBBBB4xQ", 32, 13002, 0xFFFFFFFF, 7 + place, -5, 1, 1, 0, 0, send_ns) + bytes(24)


def _optiq(place: int) -> bytes:
    return struct.pack("<QIHH", NOW_NS + place * STEP_NS, 7 + place, 0x10, 12) + bytes(range(place, 30))


def _b3(place: int) -> bytes:
    return struct.pack("<BxHIQ", 70, 1, 7 + place, NOW_NS + place * STEP_NS) + bytes(range(place, 30))


def _impact(place: int) -> bytes:
    return struct.pack(">HIHQ", 4, 7 + 3 * place, 3, NOW_NS // 10**6 + place) + bytes(range(place, 90))


def _memoir(place: int) -> bytes:
    return struct.pack(">BBQQH", 2, 18, 0x20250102, 7 + 2 * place, 2) + bytes(range(place, 40))


def _miax(place: int) -> bytes:
    return struct.pack("<QHBB", 7 + place, 32 + place, 3, 1) + bytes(20 + place)


def _omd(place: int) -> bytes:
    return struct.pack("<HBBIQ", 60, 2, 0, 7 + 2 * place, NOW_NS + place * STEP_NS) + bytes(44)


def _cme(place: int) -> bytes:
    return struct.pack("<IQH", 7 + place, NOW_NS + place * STEP_NS, 40) + bytes(38)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (_pitch, PITCH_OR_MITCH),
        (_mitch, ("mitch",)),
        (_eobi, ("eurex-eobi",)),
        (_optiq, ("euronext-optiq",)),
        (_b3, ("b3-umdf",)),
        (_impact, ("ice-impact",)),
        (_memoir, ("memoir",)),
        (_miax, ("miax-mach",)),
        (_omd, ("hkex-omd",)),
        (_cme, ("cme-mdp3",)),
        (_mold_heartbeat, ("moldudp64",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_made_packets_of_each_framing_are_recognised(made: Callable[[int], bytes], expected: tuple[str, ...]) -> None:
    assert named([made(place) for place in range(8)]) == expected


def test_one_packet_that_does_not_fit_takes_the_guess_away() -> None:
    payloads = [_omd(place) for place in range(8)]
    assert named(payloads) == ("hkex-omd",)
    payloads[5] = payloads[5] + b"\0"
    assert named(payloads) is None


def test_send_times_of_another_year_still_count_where_they_go_on_as_arrivals_do() -> None:
    payloads = [_b3(place) for place in range(8)]
    years = 9 * 365 * 86_400 * 10**9
    guess = guess_framing(sampled(payloads, NOW_NS + years))
    assert guess is not None
    assert guess.framings == ("b3-umdf",)
    assert guess_framing(sampled(payloads, NOW_NS - years)) is None, "sent years after it came"


def test_a_framing_of_ones_own_is_tried_too() -> None:
    """A length, then a sequence in three bytes, then a magic number."""
    own = Framing.model_validate(
        {
            "endian": "big",
            "header": 9,
            "length": {"offset": 0, "width": 2},
            "sequence": {"offset": 2, "width": 3},
            "expect": [{"offset": 5, "width": 4, "values": [0x56454E55]}],
        }
    )
    payloads = [struct.pack(">HBH4s", 9 + n, 0, 300 + n, b"VENU") + bytes(n) for n in range(8)]
    assert named(payloads) is None
    guess = guess_framing(sampled(payloads), {**BUILT_IN, "venue-x": own})
    assert guess is not None
    assert (guess.framings, guess.sure) == (("venue-x",), "certain")


def test_nothing_and_less_than_a_header_are_no_framing() -> None:
    assert guess_framing([]) is None
    assert named([b""] * 8) is None
    assert named([b"\0" * 48] * 8) is None
    assert named([b"\1\2\3"] * 8) is None


@given(st.lists(st.binary(max_size=120), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_noise_is_never_guessed(payloads: list[bytes]) -> None:
    assert named(payloads) is None


@given(st.sampled_from(sorted(BUILT_IN)), st.binary(max_size=48), st.integers(0, 70_000))
@settings(max_examples=500, deadline=None)
def test_reading_takes_any_bytes(name: str, data: bytes, payload_bytes: int) -> None:
    header = read_header(BUILT_IN[name], PayloadSample(NOW_NS, payload_bytes, data))
    if header is not None:
        assert header.sequence >= 0
        assert header.count >= 0


def other_protocols() -> Iterator[list[bytes]]:
    """What else is sent to groups: RTP, mDNS, SSDP, a counter with text."""
    yield [struct.pack(">BBHII", 0x80, 33, 500 + n, 90_000 * n, 0x1234) + bytes([0x47] * 188) for n in range(8)]
    yield [b"\0\0\x84\0\0\0\0\1\0\0\0\0\5_http\4_tcp\5local\0\0\x0c\0\1\0\0\x11\x94\0\2\xc0\x0c"] * 8
    yield [b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\r\n"] * 8
    yield [f"sequence {n} of a heartbeat that somebody wrote".encode() for n in range(8)]
    yield [struct.pack("<I", n) + bytes(60) for n in range(8)]
    yield [struct.pack(">Q", n) + bytes(60) for n in range(8)]


@pytest.mark.parametrize("payloads", list(other_protocols()), ids=["rtp", "mdns", "ssdp", "text", "u32", "u64"])
def test_other_protocols_are_no_framing(payloads: list[bytes]) -> None:
    assert named(payloads) is None
