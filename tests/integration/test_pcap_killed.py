"""A service that reads a file, and what is killed in the middle of it: each packet of the file is there, once."""

from __future__ import annotations

import os
import pathlib
import signal

import pytest
from deadline import wait_for
from file_rig import (
    COMPRESSIONS,
    assert_recorded,
    expected,
    file_rig,
    in_ring,
    made,
    read_to_the_end,
    recorded,
    waits_for_the_recorder,
)
from pcap_file import write_pcap

from nanotape.capture.commands import Commands
from nanotape.capture.conservation import ring_books
from nanotape.capture.service import CAPTURE, RECORDER, Service

pytestmark = [pytest.mark.root, pytest.mark.shared]


def kill(service: Service, name: str) -> None:
    """Kills a part, and waits until the service has started it anew."""
    before = service.restarts.get(name, 0)
    pid = service.pid(name)
    if pid:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: service.wait(0.02) is not None and service.restarts.get(name, 0) > before, f"{name} anew", 20)


@pytest.mark.parametrize("compression", ["plain", "zstd", pytest.param("gzip", marks=pytest.mark.slow)])
def test_a_capture_that_is_killed_in_the_middle_of_a_file_takes_each_packet_once(
    compression: str, tmp_path: pathlib.Path
) -> None:
    frames = made(30_000, gap_ns=100_000)  # three seconds
    write_pcap(tmp_path / "f", frames)
    (tmp_path / "g").write_bytes(COMPRESSIONS[compression]((tmp_path / "f").read_bytes()))
    with file_rig(tmp_path / "g", speed="recorded", capacity="16 MiB") as rig, rig.service() as service:
        for part in range(1, 5):
            wait_for(lambda part=part: in_ring(rig) > part * 4000, "the next part of the file", 20)  # type: ignore[misc]
            kill(service, CAPTURE)
        assert in_ring(rig) < len(frames)
        read_to_the_end(service)
        service.stop()
        assert service.restarts == {CAPTURE: 4}
        assert_recorded(rig, frames)
        with rig.ring() as ring:
            books = ring_books(ring)
        assert (books.sources[0].offered, books.in_ring, books.unexplained) == (len(frames), len(frames), 0)


def test_a_capture_that_is_killed_flat_out_takes_each_packet_once(tmp_path: pathlib.Path) -> None:
    """While it waits for a stopped recorder, and right after that; once it is asked to end, too."""
    frames = made(40_000)
    write_pcap(tmp_path / "f.pcap", frames)
    with file_rig(tmp_path / "f.pcap") as rig, rig.service() as service:
        for _ in range(4):
            pid = service.pid(RECORDER)
            assert pid
            os.kill(pid, signal.SIGSTOP)
            kill(service, CAPTURE)
            os.kill(pid, signal.SIGCONT)
            service.wait(0.01)
        kill(service, RECORDER)
        read_to_the_end(service)
        service.stop()
        assert_recorded(rig, frames)


def test_a_capture_that_does_not_go_on_takes_packets_twice(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: begun anew, the file is in the ring once more."""
    command_of = Commands.of
    monkeypatch.setattr(Commands, "of", lambda self, name, *, resume=False: command_of(self, name))
    frames = made(40_000)
    write_pcap(tmp_path / "f.pcap", frames)
    with file_rig(tmp_path / "f.pcap") as rig, rig.service() as service:
        pid = service.pid(RECORDER)
        assert pid
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: waits_for_the_recorder(rig, len(frames)), "the capture to hold back")
        taken = in_ring(rig)
        kill(service, CAPTURE)
        os.kill(pid, signal.SIGCONT)
        read_to_the_end(service)
        assert in_ring(rig) == len(frames) + taken


def test_a_decompressor_that_is_killed_is_damage(tmp_path: pathlib.Path) -> None:
    frames = made(30_000, gap_ns=100_000)
    write_pcap(tmp_path / "f", frames)
    (tmp_path / "g").write_bytes(COMPRESSIONS["zstd"]((tmp_path / "f").read_bytes() + bytes(8 << 20)))
    with file_rig(tmp_path / "g", speed="recorded", capacity="16 MiB") as rig, rig.service() as service:
        os.kill(unpacker(), signal.SIGKILL)
        read_to_the_end(service)
        service.stop()
        assert service.damaged
        assert any("its decompressor failed (killed by SIGKILL)" in line for line in rig.news)
        found = recorded(rig.archive())
        assert found == expected(frames[: len(found)])


def unpacker() -> int:
    """The process of ours that decompresses."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    (found,) = (
        int(pid) for pid in children if b"nanotape.capture.unpack" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return found
