"""The hugetlbfs of a ring is unmounted under a running service: it goes on, and gets over the death of its capture."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import hugepages as huge
import pytest
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.errors import CaptureError
from nanotape.capture.service import CAPTURE, Service

pytestmark = [pytest.mark.root, pytest.mark.shared]

PACKETS = 1000


@pytest.fixture
def place() -> Iterator[pathlib.Path]:
    """Pages for the ring, and for one that is made anew while readers hold the old one."""
    try:
        with huge.hugepages(72) as mounted:
            mounted.chmod(0o755)
            yield mounted
    except huge.Unavailable as reason:
        pytest.skip(str(reason))


def send(rig: Rig, service: Service) -> None:
    """Until all of it is in the ring."""
    before = in_ring(rig)
    exchange = rig.exchange(
        "--rate", "5000", "--packets", str(PACKETS - 1), lines=["A"]
    )  # and one that ends the session
    assert exchange.result().line("A").sent == PACKETS
    wait_for(lambda: service.wait(0.02) is not None and in_ring(rig) == before + PACKETS, "all that was sent")


def in_ring(rig: Rig) -> int:
    with rig.ring() as ring:
        return sum(source.loop.packets for source in ring.sources())


def test_a_hugetlbfs_that_is_unmounted_and_mounted_again_costs_no_packet_that_came(place: pathlib.Path) -> None:
    """Lazily: the kernel refuses it otherwise. The ring cannot be opened any more, but who has it goes on with it."""
    wanted = Wanted(kind="socket", interface="lo", capacity="64 MiB", descriptors=4096, hugepages=place)
    with make_rig(wanted, None) as rig, rig.service() as service:
        send(rig, service)
        busy = subprocess.run(["umount", place], capture_output=True, text=True, check=False)
        assert "busy" in busy.stderr
        subprocess.run(["umount", "--lazy", place], check=True)
        rig.exchange("--rate", "5000", "--packets", str(PACKETS - 1), lines=["A"]).result()
        os.kill(service.pid(CAPTURE) or 0, signal.SIGKILL)
        wait_for(lambda: service.wait(0.05) is not None and told(rig, "its data is gone"), "the loss to be told", 30)
        assert not told(rig, "to be made anew"), "its place is away still"
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", place], check=True)
        wait_for(lambda: service.wait(0.05) is not None and told(rig, "to be made anew"), "the ring to be removed", 30)
        wait_for(lambda: service.wait(0.05) is not None and is_made(rig), "a new ring", 30)
        send(rig, service)
        service.stop()
        rows = rig.archive().table(["ring_id", "ring_seq"]).to_pylist()
    ids = list(dict.fromkeys(row["ring_id"] for row in rows))
    found = [[row["ring_seq"] for row in rows if row["ring_id"] == each] for each in ids]
    assert found == [list(range(1, 2 * PACKETS + 1)), list(range(1, PACKETS + 1))]


def told(rig: Rig, words: str) -> bool:
    return any(words in line for line in rig.news)


def is_made(rig: Rig) -> bool:
    try:
        with rig.ring() as ring:
            return ring.writer_alive and bool(ring.sources())
    except CaptureError:
        return False
