"""A real chronyd that never touches the clock (`-x`), with a reference of ours: signs and bounds as they come.

It listens on no network: its only reference is a socket file, and so is its command socket.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadline import wait_for

from nanotape.capture.clock.chrony import chronyc, observe_chrony
from nanotape.capture.clock.observation import Observation

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: chronyd runs as root only"),
    pytest.mark.skipif(shutil.which("chronyd") is None, reason="needs chronyd (apt-get install chrony)"),
]
AHEAD_NS = 1_000_000


class Reference:
    """A reference clock that says how far true time is ahead of this host's; chronyd's SOCK samples."""

    def __init__(self, place: Path) -> None:
        """Of a chronyd whose files are here."""
        self.command_socket = str(place / "command.sock")
        self._place = str(place / "reference.sock")

    def say(self, ahead_ns: int) -> None:
        """One sample."""
        now = time.time_ns()
        sample = (now // 10**9, now % 10**9 // 1000, ahead_ns / 1e9, 0, 0, 0, 0x534F434B)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(struct.pack("=qqdiiii", *sample), self._place)

    def look(self) -> Observation | None:
        """At chronyd."""
        return observe_chrony(0, lambda: chronyc(self.command_socket)).observation


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    """A chronyd that has just begun."""
    place = tmp_path / "chrony"
    place.mkdir(mode=0o750)  # chronyd makes no command socket where others may look
    (place / "conf").write_text(
        f"refclock SOCK {place}/reference.sock refid TEST poll 0 filter 1\n"
        f"port 0\ncmdport 0\nbindcmdaddress {place}/command.sock\npidfile {place}/pid\n"
    )
    command = ["chronyd", "-x", "-d", "-u", "root", "-f", str(place / "conf")]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Reference(place)
    finally:
        daemon.terminate()
        daemon.wait()


def test_chronyd_is_read_from_its_start_until_it_follows_a_reference(reference: Reference) -> None:
    before = wait_for(reference.look, "an answer of chronyd")
    assert (before.has_master, before.offset_ns, before.bound_ns) == (False, None, None)

    def following() -> Observation | None:
        reference.say(AHEAD_NS)
        seen = reference.look()
        return seen if seen is not None and seen.has_master else None

    seen = wait_for(following, "chronyd following its reference")
    assert seen.offset_ns == pytest.approx(-AHEAD_NS, abs=1000)  # our clock is behind
    assert seen.bound_ns is not None
    assert AHEAD_NS < seen.bound_ns < 2 * AHEAD_NS
    assert (seen.grandmaster, seen.leap, seen.is_disciplined) == ("TEST", 0, True)
    assert seen.freq_ppb == pytest.approx(0, abs=1000)
