"""Capture files with the stamps of switches, imported into an archive."""

from __future__ import annotations

import pathlib
import struct

import pyarrow as pa
import pytest
from import_rig import imported, put
from pcap_file import CapturedFrame, pcap_bytes, read_pcap
from switch_frames import BASE, TS, S, exalink_keyframe, metamako

from nanotape.config import ConfigError
from nanotape.config.switch import SwitchForm, SwitchSettings
from nanotape.storage.archive import Archive
from nanotape.storage.import_options import ImportOptions, chosen_switch


def options(form: SwitchForm, tai_ns: int = 0) -> ImportOptions:
    return ImportOptions(switch=SwitchSettings(form, tai_ns))


def stamps(archive: pathlib.Path) -> list[tuple[int, int | None]]:
    """The file's stamp and the switch's of each packet, in order."""
    table = Archive(archive).table(["ring_seq", "ts", "ts_switch"]).sort_by("ring_seq")
    columns = (table[name].cast(pa.int64()).to_pylist() for name in ("ts", "ts_switch"))
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("form", ["exablaze-hpt", "auto"])
def test_real_frames_stand_in_the_archive_with_their_switch_s_stamps(
    captures: pathlib.Path, tmp_path: pathlib.Path, form: SwitchForm
) -> None:
    path, archive = captures / "cisco" / "fusion_hpt_example.pcap", tmp_path / "archive"
    assert imported([path], archive, options(form)).is_good
    found = stamps(archive)
    assert found == [(frame.ts_ns, frame.ts_ns) for frame in read_pcap(path).frames]
    table = Archive(archive).table(["switch_device", "switch_port", "header", "payload", "trailer"])
    assert set(table["switch_port"].to_pylist()) == {0x2F, 0x30}
    frames = zip(*(table[name].to_pylist() for name in ("header", "payload", "trailer")), strict=True)
    assert [b"".join(parts) for parts in frames] == [frame.frame for frame in read_pcap(path).frames]


def test_keyframes_of_a_real_file_give_its_ticks_a_time(captures: pathlib.Path, tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "archive"
    assert imported([captures / "cisco" / "exa.mode.append.pcap"], archive, options("exalink")).is_good
    distances = [switch - ts for ts, switch in stamps(archive) if switch is not None]
    assert len(distances) == 3
    assert max(distances) - min(distances) < 1000


def test_keyframes_are_kept_from_one_file_to_the_next(tmp_path: pathlib.Path) -> None:
    tick = BASE + struct.pack(">I", 350)
    files = {"1.pcap": exalink_keyframe(TS, 0), "2.pcap": tick}
    paths = [put(tmp_path / name, pcap_bytes([CapturedFrame(frame, len(frame), TS)])) for name, frame in files.items()]
    assert imported(paths, tmp_path / "archive", options("exalink")).is_good
    assert stamps(tmp_path / "archive") == [(TS, None), (TS, TS + 1000)]


def test_stamps_of_tai_are_an_event_that_says_so(tmp_path: pathlib.Path) -> None:
    frame = BASE + metamako(TS // S + 37, TS % S)
    path = put(tmp_path / "tai.pcap", pcap_bytes([CapturedFrame(frame, len(frame), TS + each) for each in range(10)]))
    assert imported([path], tmp_path / "wrong", options("arista-7130")).is_good
    assert {switch for _, switch in stamps(tmp_path / "wrong")} == {None}
    assert set(Archive(tmp_path / "wrong").table(["flags"])["flags"].to_pylist()) == {1 << 13}
    (event,) = (row for row in Archive(tmp_path / "wrong").rows("events").to_pylist() if row["kind"] == "bad_stamp")
    assert "about 37 s ahead of it, which is TAI less UTC" in event["detail"]
    assert imported([path], tmp_path / "right", options("arista-7130", 37 * S)).is_good
    assert {switch for _, switch in stamps(tmp_path / "right")} == {TS}


def test_what_is_asked_for_comes_before_what_is_configured() -> None:
    configured = SwitchSettings("ixia", 37 * S, 5)
    assert chosen_switch(configured, None, None, None) == configured
    assert chosen_switch(configured, "auto", "off", "2ms") == SwitchSettings("auto", 0, 2_000_000)
    with pytest.raises(ConfigError, match=r'switch_stamps: expected one of .*, found "ixa"; did you mean "ixia"'):
        chosen_switch(configured, "ixa", None, None)
