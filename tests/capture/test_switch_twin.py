"""The native decoder of switch stamps against its Python twin, frame after frame, on mutated and cut frames."""

from __future__ import annotations

import random
import struct

import pyarrow as pa
import pytest
from frames import ethernet, ipv4, ipv6, linux_sll, linux_sll2, market_data, raw_ip, udp
from hypothesis import given
from hypothesis import strategies as st
from ring_batch import Row, ring_batch
from switch_frames import (
    TS,
    S,
    arista_keyframe,
    arista_tick,
    exalink_keyframe,
    extension,
    hpt,
    ixia,
    metamako,
    switch_header,
    with_fcs,
)
from switch_layers import LINUX_SLL, LINUX_SLL2, RAW_IP
from switch_model import REBUILT_HEADER, SwitchModel

from nanotape.capture.switch_stamps import FORMS, SwitchStamps
from nanotape.config.switch import SwitchSettings

SECONDS = TS // S
BASES = [
    market_data(b"x" * 40),
    market_data(b"x"),
    market_data(b"x").ljust(60, b"\0"),
    ethernet(ipv4(udp(b"abc" * 10)), (0x8100, 7)),
    ethernet(ipv4(udp(b"abc")), (0x88A8, 7), (0x8100, 8), (0x8100, 9)),
    ethernet(ipv6(udp(b"abc"))),
    ethernet(ipv4(udp(b"abc" * 10, length=12))),
    ethernet(ipv4(udp(b"abc" * 10, length=2))),
    ethernet(ipv4(b"icmp" * 10, protocol=1)),
    ethernet(bytes(46), kind=0x0806),
    ethernet(bytes(46), kind=0x0800),
]
LINKS = {0: bytes, LINUX_SLL: linux_sll, LINUX_SLL2: linux_sll2, RAW_IP: raw_ip, REBUILT_HEADER: bytes}


def stamped(chance: random.Random, ts_ns: int, form: str) -> bytes:
    """A frame of this form mostly; its stamp near `ts_ns`, or about 37 s away, or anywhere."""
    seconds = ts_ns // S + chance.choice([0, 0, 0, 0, 1, -1, 37, -37, 2, 0x10000])
    ns = chance.choice([ts_ns % S, chance.randrange(S), S - 1, S])
    base = chance.choice(BASES)
    ticks = (ts_ns - TS) * 350_000_000 // S + chance.randrange(-700, 700)
    extensions = b"".join(
        bytes(4 * words) + extension(chance.choice([0, 1, 5, 0x1F]), chance.randrange(1 << 24), words, last)
        for words, last in [(chance.randrange(3), True), (0, False)][: chance.randrange(3)]
    )
    keyframe_ns = ts_ns + chance.randrange(1000)
    made = {
        "arista-7130": [base + metamako(seconds, ns, extensions, chance.randrange(1 << 16), 5, chance.randrange(32))],
        "cpacket": [base + metamako(seconds, ns)],
        "exablaze-hpt": [base + hpt(seconds, chance.randrange(1 << 40))],
        "ixia": [base + ixia(seconds, ns, chance.randrange(2, 9))],
        "arista-7280": [switch_header(base, chance.choice([0x10, 0x20, 0x110, 0x121, 0x30, 0x210]), seconds, ns)],
        "exalink": [
            base + struct.pack(">I", ticks & 0xFFFFFFFF),
            exalink_keyframe(keyframe_ns, ticks % (1 << 40), by_ip=chance.random() < 0.5),
            exalink_keyframe(keyframe_ns, ticks % (1 << 40), by_ip=chance.random() < 0.5, head=b"\1"),
        ],
        "arista-7150": [
            base + arista_tick(ticks),
            arista_keyframe(keyframe_ns, ticks % (1 << 40), chance.randrange(3), chance.random() < 0.5),
        ],
        "off": [base],
    }
    frame = chance.choice(made[form if form in made and chance.random() < 0.7 else chance.choice(list(made))])
    return with_fcs(frame) if chance.random() < 0.4 else frame


def spoiled(chance: random.Random, frame: bytes) -> bytes:
    """With some octets changed, or cut, or unchanged."""
    octets = bytearray(frame)
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        octets[chance.randrange(len(octets))] = chance.choice([0, 1, 0x45, 0xFF, 0xFD, chance.randrange(256)])
    return bytes(octets[: chance.randrange(len(octets) + 1)]) if chance.random() < 0.15 else bytes(octets)


def made_row(chance: random.Random, number: int, form: str) -> Row:
    ts_ns = TS + number * chance.choice([1000, 10**6, 2 * 10**9])
    frame = spoiled(chance, stamped(chance, ts_ns, form))
    flags = chance.choice([0] * 20 + list(LINKS))
    frame = LINKS[flags](frame)
    wire = len(frame) + (chance.randrange(1, 9) if chance.random() < 0.05 else 0)
    return Row(frame, ts_ns + chance.randrange(-1000, 1000), wire, flags)


def assert_agree(settings: SwitchSettings, rows: list[Row], cut: int) -> None:
    """Natively in two batches, in the twin one by one."""
    stamps = SwitchStamps({"eth1": settings})
    model = SwitchModel(settings.form, settings.tai_ns, settings.plausible_ns)
    batch = ring_batch(rows)
    found = []
    for part in (batch.slice(0, cut), batch.slice(cut)):
        columns = stamps.columns(part, ["eth1"])
        instants = columns["ts_switch"].cast(pa.int64()).to_pylist()
        rest = (columns[name].to_pylist() for name in ("switch_device", "switch_port", "flags"))
        found += list(zip(instants, *rest, strict=True))
    before = batch.column("flags").to_pylist()
    for row, flags, native in zip(rows, before, found, strict=True):
        twin = model.take(row.frame, row.ts_ns, row.wire_length, flags)
        assert native == (twin.ts_ns, twin.device, twin.port, twin.flags), row
    counts = stamps.counts["eth1"]
    assert counts.form == (None if model.form == "auto" else model.form)
    assert (counts.stamped, counts.implausible) == (model.stamped, model.implausible)
    assert (counts.without_keyframe, counts.tai_like) == (model.without_keyframe, model.tai_like)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "off"])
@given(
    seed=st.integers(0, 2**32), tai_ns=st.sampled_from([0, 37 * S]), plausible_ns=st.sampled_from([10**6, S, 40 * S])
)
def test_decoder_and_twin_agree_on_frames_of_every_switch(form: str, seed: int, tai_ns: int, plausible_ns: int) -> None:
    chance = random.Random(seed)
    mostly = chance.choice(FORMS) if form == "auto" else form
    rows = [made_row(chance, number, mostly) for number in range(30)]
    settings = SwitchSettings(form, tai_ns, plausible_ns)  # type: ignore[arg-type]
    assert_agree(settings, rows, chance.randrange(31))


@pytest.mark.parametrize("form", ["arista-7130", "exalink", "arista-7280", "ixia"])
def test_decoder_and_twin_agree_on_a_frame_however_it_is_cut(form: str) -> None:
    whole = [
        BASES[0] + metamako(SECONDS, 1, extension(1, 5, 0, True)),
        with_fcs(BASES[2] + ixia(SECONDS, 1)),
        switch_header(BASES[0], 0x10, SECONDS, 1),
        switch_header(BASES[3], 0x21, SECONDS, 1),
        exalink_keyframe(TS, 5),
        exalink_keyframe(TS, 5, by_ip=True),
        arista_keyframe(TS, 5),
        with_fcs(BASES[0] + struct.pack(">I", 7)),
    ]
    rows = [
        Row(frame[:length], TS, wire)
        for frame in whole
        for length in range(len(frame) + 1)
        for wire in {length, len(frame)}
    ]
    assert_agree(SwitchSettings(form), rows, 0)  # type: ignore[arg-type]


def test_the_twin_stamps_most_of_what_the_comparison_makes() -> None:
    """Negative control: frames that nobody can read would compare nothing."""
    chance = random.Random(5)
    for form in FORMS[2:]:
        model = SwitchModel(form)
        for number in range(400):
            row = made_row(chance, number % 50, form)
            model.take(row.frame, row.ts_ns, row.wire_length, row.flags)
        assert model.stamped > 40, form
        assert model.implausible > 2, form
