"""An import that the disk refuses: the archive has a whole beginning, and the next import goes on behind it."""

from __future__ import annotations

import pathlib
import random
import subprocess
from collections.abc import Iterator

import pytest
from file_rig import START_NS, expected, recorded
from pcap_file import CapturedFrame, write_pcap

from nanotape.storage.archive import Archive
from nanotape.storage.import_options import ImportOptions
from nanotape.storage.pcap_import import import_captures
from nanotape.storage.recorder_options import RecorderOptions
from nanotape.storage.verify import verify

pytestmark = pytest.mark.root

OPTIONS = ImportOptions(recorder=RecorderOptions(batch_rows=2000))


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A mounted tmpfs of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "nanotape-test", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_ends_the_import_and_the_next_one_goes_on(small_disk: pathlib.Path, tmp_path: pathlib.Path) -> None:
    noise = random.Random(5)
    frames = [CapturedFrame(noise.randbytes(1000), 1000, START_NS + number) for number in range(40_000)]
    files = [tmp_path / "big.pcap", tmp_path / "small.pcap"]
    write_pcap(files[0], frames[:39_000])
    write_pcap(files[1], frames[39_000:])
    archive = small_disk / "a"
    said: list[str] = []
    report = import_captures(files, archive, OPTIONS, log=said.append)
    assert [each.is_whole for each in report.files] == [False]  # the next file would not fit either
    assert "goes on where it ended" in str(report.files[0].error)
    assert 1000 < report.packets < 39_000
    assert recorded(Archive(archive)) == expected(frames[: report.packets])
    assert verify(Archive(archive)).findings == []
    subprocess.run(["mount", "-o", "remount,size=80m", small_disk], check=True)
    rest = import_captures(files, archive, OPTIONS, log=said.append)
    assert rest.is_good
    assert rest.files[0].packets_before == report.packets
    assert recorded(Archive(archive)) == expected(frames)
