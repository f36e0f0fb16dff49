"""What a configuration asks of its host, in the checks' terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanotape.capture.host.needs import HugePages, Needs
from nanotape.config import load, loads

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "config" / "examples").glob("*.toml"))
TWO = """
[source]
kind = "afxdp"
umem_hugepages = "require"
descriptors = 1024
[[ring]]
name = "a"
hold = "1s at 1Mpps of 100B"
[ring.source]
interface = "eth1"
zerocopy = "require"
[ring.loop]
core = 2
realtime = 10
[[ring]]
name = "b"
hugepages = "require"
page_size = "1 GiB"
capacity = "2 GiB"
[ring.source]
kind = "socket"
interface = "eth2"
receive_buffer = "16 MiB"
[ring.loop]
core = 3
[[channel]]
name = "x"
feed = "f"
framing = "none"
[[channel.line]]
name = "A"
group = "239.1.1.1"
port = 1
ring = "a"
interface = "eth1"
[[channel.line]]
name = "B"
group = "239.1.1.2"
port = 1
ring = "b"
interface = "eth2"
[[channel.line]]
name = "C"
group = "239.1.1.3"
port = 1
ring = "b"
interface = "eth2"
"""


def test_rings_sum_up_each_with_its_own_core_interface_and_pages() -> None:
    found = Needs.of(loads(TWO))
    assert (found.cores, found.fifo_cores) == ({2, 3}, {2})
    assert found.interfaces == ("eth1", "eth2")
    assert (found.afxdp, found.sockets, found.zerocopy_required) == ({"eth1"}, {"eth2"}, {"eth1"})
    assert found.umem_bytes_per_queue == (("eth1", 1024 * 2048),)
    assert found.umem_required
    assert found.receive_buffer == 16 << 20
    assert found.groups == 2
    assert found.disk_bytes_s == 100_000_000
    first, second = found.ring_pages
    assert (first.page_bytes, first.is_required) == (2 << 20, False)
    assert second == HugePages(1 << 30, 2 << 30, True)
    assert second.pages == 2


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_needs(example: Path) -> None:
    found = Needs.of(load(example))
    assert not {"synthetic", "pcap", "lo", ""} & set(found.interfaces)
    assert found.fifo_cores <= found.cores
