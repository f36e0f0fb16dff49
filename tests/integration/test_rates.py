"""Three hundred thousand packets a second through each live source: each of them is in the ring or in the books."""

from __future__ import annotations

import json
from collections.abc import Callable

import holder_rig
import namespaces
import numpy as np
import pytest
from service_rig import LINES, Rig

pytestmark = pytest.mark.root

RATE, SECONDS = 300_000, 3


def dropped_on_the_way(side: namespaces.Side) -> int:
    """Packets that the veth itself did not hand over: its peer's queue was full."""
    listed = json.loads(side.run("ip", "-j", "-s", "link", "show", side.interface).stdout)
    return int(listed[0]["stats64"]["tx"]["dropped"])


@pytest.mark.parametrize("kind", ["socket", pytest.param("packet", marks=pytest.mark.slow), "afxdp"])
def test_a_capture_of_300_000_packets_a_second_accounts_for_every_packet(
    kind: str,
    make_service_rig: Callable[..., Rig],
    namespace_pair: namespaces.NamespacePair,
    programs: holder_rig.Programs,
) -> None:
    """What a plain socket loses, it counts; the other two have room for all that this machine lets in."""
    group, _, port = LINES["A"].partition(":")
    rig = make_service_rig(kind=kind, lines=(("A", LINES["A"]),), capacity="512 MiB")
    with rig.service() as service:
        done = namespace_pair.left.run(programs.blast, group, port, str(RATE * SECONDS), str(RATE))
        books = rig.wait_taken(service)
    sent = int(done.stdout.split()[0])
    arrived = sent - dropped_on_the_way(namespace_pair.left)
    [source] = books.sources
    assert arrived == source.in_ring + source.lost
    assert books.unexplained == 0
    if kind != "socket":
        assert source.offered == arrived
    numbers = recorded_numbers(rig)
    assert len(numbers) == source.in_ring
    assert (np.diff(numbers) > 0).all(), "in order, none twice"
    assert numbers[-1] <= sent


def recorded_numbers(rig: Rig) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The number that each packet carries, in the order of recording."""
    payloads = rig.archive().table(["payload"]).column("payload").to_pylist()
    return np.array([int.from_bytes(payload[:8], "little") for payload in payloads], np.uint64)
