"""A trading application and a whole service on one interface: refused by default, both with sniff, one with steal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deadline import wait_for
from namespaces import NamespacePair
from refusals import SMALL, in_ring, refused, running
from service_rig import Rig
from udp_reader import Socket, send, udp_reader

pytestmark = pytest.mark.root

READER = Socket()
COUNT = 200
QUOTES = [b"quote %d" % number for number in range(COUNT)]


@pytest.fixture
def make_rig(make_service_rig: Callable[..., Rig]) -> Callable[[str], Rig]:
    """A function that makes a rig whose only line the application reads too, with this `delivery`."""
    lines = (("A", f"{READER.bind}:{READER.port}"),)
    return lambda delivery: make_service_rig(**SMALL, lines=lines, source=f'delivery = "{delivery}"')


def payloads(rig: Rig) -> list[bytes]:
    """What was recorded, in order."""
    return [value for batch in rig.archive().packets(["payload"]) for value in batch.column(0).to_pylist()]


def capture_quotes(rig: Rig, pair: NamespacePair) -> None:
    """Sends them while a service runs, and sees them recorded."""
    with running(rig) as service:
        send(pair.left, READER.bind, READER.port, COUNT)
        wait_for(lambda: in_ring(rig) == COUNT, "the ring to have all")
        assert "BALANCED" in service.stop()
    assert payloads(rig) == QUOTES


def test_a_service_that_would_blind_an_application_is_refused(
    make_rig: Callable[[str], Rig], namespace_pair: NamespacePair
) -> None:
    rig = make_rig("exclusive")
    with udp_reader(namespace_pair.right, READER, user=1000, name="quoter") as reader:
        line = refused(rig, status=1, wrap=rig.capture_side)
        assert (
            f"veth-r: 239.1.1.1:15000 is read by quoter (pid {reader.process.pid}, user 1000) through a socket" in line
        )
        assert 'delivery = "sniff"' in line
        assert 'delivery = "steal"' in line
        send(namespace_pair.left, READER.bind, READER.port, COUNT)
        reader.wait_for(COUNT)
    capture_quotes(rig, namespace_pair)


def test_with_sniff_an_application_and_the_capture_both_have_every_packet(
    make_rig: Callable[[str], Rig], namespace_pair: NamespacePair
) -> None:
    with udp_reader(namespace_pair.right, READER) as reader:
        capture_quotes(make_rig("sniff"), namespace_pair)
        assert reader.finish() == COUNT


def test_with_steal_an_application_goes_blind_while_the_service_runs(
    make_rig: Callable[[str], Rig], namespace_pair: NamespacePair
) -> None:
    with udp_reader(namespace_pair.right, READER) as reader:
        capture_quotes(make_rig("steal"), namespace_pair)
        assert reader.received == 0
        send(namespace_pair.left, READER.bind, READER.port, COUNT)
        reader.wait_for(COUNT)


@pytest.mark.parametrize("delivery", ["exclusive", "steal"])
def test_an_application_that_comes_later_is_reported(
    delivery: str, make_rig: Callable[[str], Rig], namespace_pair: NamespacePair
) -> None:
    rig = make_rig(delivery)
    with running(rig) as service, udp_reader(namespace_pair.right, READER, name="latecomer") as reader:
        said = f"veth-r: latecomer (pid {reader.process.pid})"
        wait_for(lambda: said in rig.talk.read_text(encoding="utf-8"), "the report", 20)
        assert "BALANCED" in service.stop()
