"""Stamps of switches, decoded natively: real captures, and made frames of every form."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
import switch_model
from frames import ethernet, ipv4, ipv6, market_data, udp
from ring_batch import Row, ring_batch
from switch_frames import (
    BASE,
    TS,
    S,
    exalink_keyframe,
    extension,
    hpt,
    ixia,
    metamako,
    switch_header,
    with_fcs,
)
from switch_rows import captured, counts_of, stamps_of, told

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.switch_stamps import FORMS, SwitchStamps
from nanotape.config.switch import SwitchForm, SwitchSettings
from nanotape.native import ffi, lib


@pytest.mark.parametrize("form", ["exablaze-hpt", "auto"])
def test_cisco_stamps_equal_the_file_s_own_nanoseconds_on_all_24_frames(captures: Path, form: SwitchForm) -> None:
    rows = captured(captures / "cisco" / "fusion_hpt_example.pcap")
    found, _, counts = stamps_of(rows, SwitchSettings(form))
    assert [stamp for stamp, _, _ in found] == [row.ts_ns for row in rows]
    # By hand, from the first two frames: device 0, port 0x2f and 0x30.
    assert found[0] == (1527552589170404442, 0, 0x2F)
    assert found[1] == (1527552589170419172, 0, 0x30)
    assert (len(rows), counts.stamped, counts.implausible, counts.form) == (24, 24, 0, "exablaze-hpt")


@pytest.mark.parametrize("form", ["arista-7280", "auto"])
def test_arista_headers_of_all_eight_forms_give_what_the_bytes_say(captures: Path, form: SwitchForm) -> None:
    rows = captured(captures / "tcpdump" / "arista_ether.pcap")
    found, _, counts = stamps_of(rows, SwitchSettings(form))
    # By hand: 5ceeed57 384f59c8 and 5ceeed7c 1ac227a3; ed95 18152474 of 48 bits, whose higher ones are 5cee.
    assert found[0] == (0x5CEEED57 * S + 0x384F59C8, None, None)
    assert found[0][0] == 1559162199944724424  # 2019-05-29 20:36:39.944724424
    assert found[4][0] == 0x5CEEED7C * S + 0x1AC227A3
    assert found[8][0] == 0x5CEEED95 * S + 0x18152474
    versions = {row.frame[16:18].hex() for row in rows}
    assert versions == {"0010", "0011", "0020", "0021", "0110", "0111", "0120", "0121"}
    assert (len(rows), counts.stamped, counts.form) == (16, 16, "arista-7280")
    assert all(
        -148_000_000 < (stamp or 0) - row.ts_ns < -146_000_000 for (stamp, _, _), row in zip(found, rows, strict=True)
    )


@pytest.mark.parametrize("form", ["exalink", "auto"])
def test_exalink_ticks_keep_a_constant_distance_from_the_file_s_time(captures: Path, form: SwitchForm) -> None:
    rows = captured(captures / "cisco" / "exa.mode.append.pcap")
    found, _, counts = stamps_of(rows, SwitchSettings(form))
    stamped = [(stamp, row) for (stamp, _, _), row in zip(found, rows, strict=True) if stamp is not None]
    distances = [stamp - row.ts_ns for stamp, row in stamped]
    assert (len(stamped), counts.keyframes, counts.form) == (3, 33, "exalink")
    assert max(distances) - min(distances) < 1000
    # By hand: the first tick is f18841ed, counted on from the keyframe before it.
    keyframe = next(row for row in reversed(rows[: rows.index(stamped[0][1])]) if row.frame[12:14] == b"\x88\xb5")
    utc, counter, hz = struct.unpack(">QQQ", keyframe.frame[22:46])
    assert hz == 350_000_000
    assert stamped[0][0] == utc + ((0xF18841ED - counter) % 2**32) * S // hz


def test_captures_without_a_switch_s_stamps_give_none(captures: Path) -> None:
    for path in sorted((captures / "omi").rglob("*.pcap")) + sorted((captures / "bats").rglob("*.pcap")):
        found, _, counts = stamps_of(captured(path), SwitchSettings("auto"))
        assert set(found) <= {(None, None, None)}, path
        assert (counts.stamped, counts.implausible, counts.form, counts.complaint) == (0, 0, None, None)


# What tshark 4.0 says of these very frames: its own dissectors, with `--enable-heuristic metamako_eth`.
TSHARK_7130 = {
    "plain": (b"", None, 0),
    "sequence": (extension(0, 0xCD00, last=True), 52480, 0),
    "sub-ns": (extension(1, 0x800000, last=True), None, 8388608),
    "both": (extension(1, 0x400000, last=True) + extension(0, 0x3400), 13312, 4194304),
    "secondary": (
        b"DATAWORD" + struct.pack(">I", 0x00AA << 16 | 1 << 6 | 1 << 5 | 0x1F) + extension(1, 0x123456),
        None,
        1193046,
    ),
    "words": (b"12345678" + extension(5, 0x777777, words=2, last=True) + extension(0, 0x3400), 13312, 0),
}


@pytest.mark.parametrize("name", TSHARK_7130)
@pytest.mark.parametrize("fcs", [False, True])
def test_arista_7130_trailers_say_what_tshark_says(name: str, fcs: bool) -> None:
    extensions, sequence, sub_ns = TSHARK_7130[name]
    trailer = metamako(1_700_000_000, 123456789, extensions=extensions, device=515, port=7)
    frame = BASE + trailer
    found, flags, _ = stamps_of([Row(with_fcs(frame) if fcs else frame)], SwitchSettings("arista-7130"))
    assert found == [(1_700_000_000_123_456_789, 515, 7)]
    assert flags == [0]
    stamp, buffer = ffi.new("struct nt_switch_stamp *"), ffi.from_buffer("uint8_t[]", trailer)
    assert lib.nt_switch_read_7130(stamp, {"data": buffer, "bytes": len(trailer)})
    assert stamp.valid
    assert (stamp.sequence if stamp.has_sequence else None, stamp.sub_ns) == (sequence, sub_ns)


def test_a_7130_s_flags_become_flags_of_the_row() -> None:
    rows = [Row(BASE + metamako(1_700_000_000, 1, flags=flag)) for flag in (0, 1, 4, 0x10, 0x14)]
    _, flags, _ = stamps_of(rows, SwitchSettings("arista-7130"))
    assert flags == [0, 0, 1 << 12, 1 << 11, 3 << 11]


@pytest.mark.parametrize("extensions", [extension(1, 1), extension(7, 0, words=3, last=True), b"\xff" * 4])
def test_a_chain_of_extensions_that_does_not_end_is_implausible(extensions: bytes) -> None:
    frame = BASE + metamako(1_700_000_000, 1, extensions=extensions)
    assert stamps_of([Row(frame)], SwitchSettings("arista-7130"))[2].implausible == 1
    assert stamps_of([Row(frame)], SwitchSettings("cpacket"))[2].stamped == 1


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 7])
def test_ixia_trailers_are_known_by_their_signature(kind: int) -> None:
    frame = BASE + ixia(1_700_000_000, 987654321, kind=kind)
    for each in (frame, with_fcs(frame)):
        assert stamps_of([Row(each)], SwitchSettings("ixia"))[0] == [(1_700_000_000_987_654_321, None, None)]
    for other in (
        ixia(1_700_000_000, 1, kind=2),
        ixia(1_700_000_000, 1, kind=8),
        ixia(1_700_000_000, 1)[:-4] + b"1234",
    ):
        assert stamps_of([Row(BASE + other)], SwitchSettings("ixia"))[2] == counts_of("ixia")


FRAMES = {
    "plain": BASE,
    "VLAN": ethernet(ipv4(udp(b"x" * 40)), (0x8100, 7)),
    "QinQ": ethernet(ipv4(udp(b"x" * 40)), (0x88A8, 7), (0x8100, 9)),
    "IPv6": ethernet(ipv6(udp(b"x" * 40))),
    "IPv6 in a VLAN": ethernet(ipv6(udp(b"x" * 40)), (0x8100, 7)),
    "short": market_data(b"x").ljust(60, b"\0"),
    "short in a VLAN, untagged behind the switch": market_data(b"x").ljust(56, b"\0"),
    "UDP shorter than IP": ethernet(ipv4(udp(b"x" * 40, length=20))),
    "first fragment": ethernet(ipv4(udp(b"x" * 40), fragment=0x2000)),
    "later fragment": ethernet(ipv4(b"x" * 40, fragment=3)),
    "ICMP": ethernet(ipv4(b"x" * 40, protocol=1)),
}
TRAILERS: dict[SwitchForm, bytes] = {
    "arista-7130": metamako(1_700_000_000, 1),
    "cpacket": metamako(1_700_000_000, 1),
    "exablaze-hpt": hpt(1_700_000_000, 1100),
    "ixia": ixia(1_700_000_000, 1),
}


@pytest.mark.parametrize("form", TRAILERS)
@pytest.mark.parametrize("name", FRAMES)
def test_a_trailer_is_found_behind_ip_whatever_the_frame(name: str, form: SwitchForm) -> None:
    for fcs in (False, True):
        frame = FRAMES[name] + TRAILERS[form]
        frame = with_fcs(frame) if fcs else frame
        ((stamp, _, _),), _, counts = stamps_of([Row(frame)], SwitchSettings(form))
        assert (stamp, counts.stamped) == (1_700_000_000_000_000_001, 1)


@pytest.mark.parametrize("form", [*TRAILERS, "auto"])
@pytest.mark.parametrize("name", FRAMES)
def test_without_a_trailer_padding_and_fcs_are_none(name: str, form: SwitchForm) -> None:
    for frame in (FRAMES[name], with_fcs(FRAMES[name])):
        _, flags, counts = stamps_of([Row(frame)], SwitchSettings(form))
        assert (counts.stamped, counts.implausible, flags[0] >> 11) == (0, 0, 0)


@pytest.mark.parametrize("form", TRAILERS)
def test_payload_that_looks_like_a_trailer_is_none(form: SwitchForm) -> None:
    frame = market_data(b"x" * 40 + TRAILERS[form])
    assert stamps_of([Row(frame)], SwitchSettings(form))[2] == counts_of(form)
    assert stamps_of([Row(frame + b"1234")], SwitchSettings(form))[2] == counts_of(form)


def test_a_frame_that_was_cut_short_has_no_trailer_but_keeps_its_header() -> None:
    trailer, header = BASE + TRAILERS["ixia"], switch_header(BASE, 0x0110, 1_700_000_000, 5)
    rows = [Row(trailer, wire_length=len(trailer) + 1)]
    assert stamps_of(rows, SwitchSettings("ixia"))[2] == counts_of("ixia")
    rows = [Row(header[:90], wire_length=len(header))]
    assert stamps_of(rows, SwitchSettings("arista-7280"))[0] == [(1_700_000_000_000_000_005, None, None)]


def test_what_is_too_far_from_the_capture_is_null_counted_and_flagged() -> None:
    rows = [Row(BASE + metamako(1_700_000_000 + far, 123456789), TS) for far in (-2, -1, 0, 1, 2)]
    settings = SwitchSettings("arista-7130", plausible_ns=S)
    found, flags, counts = stamps_of(rows, settings)
    assert [stamp is not None for stamp, _, _ in found] == [False, True, True, True, False]
    assert [flag >> 13 for flag in flags] == [1, 0, 0, 0, 1]
    assert (counts.stamped, counts.implausible, counts.offset_ns) == (3, 2, 2 * S)
    assert "+2.000000 s from the capture's stamp" in (counts.complaint or "")
    rows = [Row(BASE + metamako(1_700_000_000, S), TS)]
    _, _, counts = stamps_of(rows, settings)
    assert (counts.implausible, counts.offset_ns) == (1, None)


@pytest.mark.parametrize("form", ["arista-7130", "auto"])
def test_a_switch_that_sends_tai_is_told_and_corrected_only_when_that_is_set(form: SwitchForm) -> None:
    rows = [Row(BASE + metamako(1_700_000_037, 123456789), TS)] * 10
    found, _, counts = stamps_of(rows, SwitchSettings(form))
    assert (found[0][0], counts.tai_like, counts.offset_ns) == (None, 10, 37 * S)
    assert 'set switch_tai = "37s"' in (counts.complaint or "")
    found, _, counts = stamps_of(rows, SwitchSettings(form, tai_ns=37 * S))
    assert (found[0][0], counts.stamped, counts.complaint) == (TS, 10, None)
    rows = [Row(BASE + metamako(1_700_000_000, 123456789), TS)] * 10
    _, _, counts = stamps_of(rows, SwitchSettings(form, tai_ns=37 * S))
    assert counts.tai_like == 10
    assert 'set switch_tai = "off"' in (counts.complaint or "")


def test_a_header_that_says_utc_is_not_corrected() -> None:
    rows = [
        Row(switch_header(BASE, 0x0010, 1_700_000_037, 7)),
        Row(switch_header(BASE, 0x0110, 1_700_000_000, 7)),
        Row(switch_header(BASE, 0x0020, 1_700_000_037, 7)),
        Row(switch_header(BASE, 0x0120, 1_700_000_000, 7)),
    ]
    found, _, _ = stamps_of(rows, SwitchSettings("arista-7280", tai_ns=37 * S))
    assert [stamp for stamp, _, _ in found] == [1_700_000_000_000_000_007] * 4


@pytest.mark.parametrize("second", [25938 * 0x10000, 25938 * 0x10000 - 1, 25938 * 0x10000 + 1])
def test_48_bits_are_completed_by_the_host_s_time_across_their_wrap(second: int) -> None:
    rows = [Row(switch_header(BASE, 0x0120, second + away, 0), second * S) for away in (-1, 0, 1)]
    found, _, _ = stamps_of(rows, SwitchSettings("arista-7280"))
    assert [stamp for stamp, _, _ in found] == [(second + away) * S for away in (-1, 0, 1)]


@pytest.mark.parametrize("tai_s", [0, 37])
@pytest.mark.parametrize("second", [2**32 - 1, 2**32, 2**32 + 1, 2**32 + 0xFFFF, 2**33 - 38])
def test_48_bits_are_right_to_the_nanosecond_beyond_32_bits_of_seconds(second: int, tai_s: int) -> None:
    stamp_ns = second * S + 987_654_321
    rows = [Row(switch_header(BASE, 0x0020, second + tai_s, 987_654_321), stamp_ns + late) for late in (-5, 0, 450)]
    found, _, _ = stamps_of(rows, SwitchSettings("arista-7280", tai_ns=tai_s * S))
    assert [stamp for stamp, _, _ in found] == [stamp_ns] * 3


def test_slices_and_empty_batches_are_taken_as_they_are() -> None:
    rows = [Row(BASE + metamako(1_700_000_000, each, port=each), flags=0) for each in range(40)]
    stamps = SwitchStamps({"eth1": SwitchSettings("arista-7130")})
    batch = ring_batch(rows)
    whole = told(stamps.columns(batch, ["eth1"]))
    for begin, count in ((0, 40), (3, 17), (39, 1), (5, 0), (40, 0)):
        assert told(stamps.columns(batch.slice(begin, count), ["eth1"])) == whole[begin : begin + count]
    assert told(stamps.columns(ring_batch([]), ["eth1"])) == []


def test_auto_reports_nothing_before_eight_frames_agree() -> None:
    rows = [Row(BASE + hpt(1_700_000_000, each)) for each in range(8)]
    said: list[str] = []
    stamps = SwitchStamps({"eth1": SwitchSettings("auto")}, said.append)
    for row in (*rows, *rows):
        assert said == []
        stamps.columns(ring_batch([row]), ["eth1"])
        if stamps.counts["eth1"].form:
            break
    stamps.columns(ring_batch(rows), ["eth1"])
    assert said == ["eth1: the frames carry stamps of a switch: exablaze-hpt"]
    assert stamps_of(rows[:7], SwitchSettings("auto"))[2].form is None
    counts = stamps_of(rows, SwitchSettings("auto"))[2]
    assert (counts.form, counts.is_detected, counts.stamped) == ("exablaze-hpt", True, 8)


def test_counts_are_told_in_a_line_and_for_json() -> None:
    rows = [Row(exalink_keyframe(TS, 0), TS), Row(BASE + struct.pack(">I", 350), TS), Row(BASE + b"\x7f\0\0\0", TS)]
    counts = stamps_of(rows, SwitchSettings("exalink", plausible_ns=10**6))[2]
    assert counts.summary == "eth1: exalink stamps: 1 used, 1 implausible, 0 without a keyframe of 1"
    assert json.loads(json.dumps(counts.facts))["complaint"] == counts.complaint
    none = stamps_of([], SwitchSettings("auto"))[2]
    assert none.summary == "eth1: switch (none seen yet) stamps: 0 used, 0 implausible"


def test_a_rebuilt_header_has_no_switch_s_stamp() -> None:
    rows = [Row(BASE + metamako(1_700_000_000, 1), flags=switch_model.REBUILT_HEADER)]
    assert stamps_of(rows, SwitchSettings("arista-7130"))[2] == counts_of("arista-7130")


def test_the_forms_stand_in_the_order_of_the_native_enumeration() -> None:
    names = ["NT_SWITCH_" + form.upper().replace("-", "_") for form in FORMS]
    assert [getattr(lib, name) for name in names] == list(range(len(FORMS)))


def test_the_bits_have_the_names_of_the_native_enumeration() -> None:
    names = {name: bit for name, bit in FLAG_BITS.items() if name.startswith("switch_")}
    assert names == {name: getattr(lib, f"NT_{name.upper()}") for name in names}
    assert len(names) == 3


def test_an_fcs_is_what_ethernet_sends() -> None:
    assert with_fcs(b"123456789")[-4:] == bytes.fromhex("2639f4cb")
    assert zlib.crc32(b"123456789") == 0xCBF43926
