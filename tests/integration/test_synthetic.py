"""The synthetic source through the whole service, on ordinary pages, on pages of 2 MiB and of 1 GiB."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow.compute as pc
import pytest
from archive_truth import assert_sequences_once
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.conservation import ring_books
from nanotape.config import load

pytestmark = [pytest.mark.root, pytest.mark.shared]

COUNT = 50_000
PAGES_1G = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages")


def synthetic(rig: Rig, page_size: str = "auto") -> Rig:
    """The rig's configuration turned into one that makes its own packets, a finite number."""
    text = rig.config.read_text(encoding="utf-8").replace('kind = "afxdp"', 'kind = "synthetic"')
    text = text.replace("zerocopy", f'synthetic_count = {COUNT}\nsynthetic_rate = "100kpps"\nzerocopy')
    rig.config.write_text(text.replace("[ring]", f'[ring]\npage_size = "{page_size}"'), encoding="utf-8")
    rig.settings = load(rig.config)
    return rig


def run_to_the_end(rig: Rig) -> str:
    """Runs until the source is done; returns where the ring lay."""
    with rig.service() as service:
        with rig.ring() as ring:
            memory = ring.memory
        wait_for(lambda: service.wait(0.1) is not None and service.finished, "the end of the source", 30)
    with rig.ring() as ring:
        books = ring_books(ring)
    assert books.sources[0].offered == books.in_ring == COUNT
    assert books.unexplained == 0
    assert assert_sequences_once(rig.archive()) == COUNT
    return memory


def test_a_finite_source_ends_the_service_with_every_packet_recorded() -> None:
    with make_rig(Wanted(capacity="64 MiB"), None) as rig:
        assert run_to_the_end(synthetic(rig)) == "shm"
        table = rig.archive().table(["payload", "wire_len"])
    numbers = [int.from_bytes(payload[:8], "big") for payload in table.column("payload").to_pylist()[:1000]]
    assert (np.diff(numbers) == 1).all()
    assert pc.all(pc.equal(table.column("wire_len"), 242)).as_py()


def test_a_ring_lies_on_pages_of_2_mib(hugepages: Callable[[int], pathlib.Path]) -> None:
    with make_rig(Wanted(capacity="64 MiB", hugepages=hugepages(40)), None) as rig:
        assert run_to_the_end(synthetic(rig, "2 MiB")) == "huge_2m"


@pytest.fixture
def gigantic_page() -> Iterator[pathlib.Path]:
    """A hugetlbfs with one free page of 1 GiB; all is restored."""
    if not PAGES_1G.exists():
        pytest.skip("this kernel has no pages of 1 GiB")
    before = int(PAGES_1G.read_text(encoding="ascii"))
    with contextlib.ExitStack() as stack:
        stack.callback(PAGES_1G.write_text, str(before), encoding="ascii")
        PAGES_1G.write_text(str(before + 1), encoding="ascii")
        if int(PAGES_1G.read_text(encoding="ascii")) <= before:
            pytest.skip("no 1 GiB of contiguous memory is free here")
        target = pathlib.Path(tempfile.mkdtemp(prefix=f"nt-test-{os.getpid()}-huge1g-"))
        stack.callback(target.rmdir)
        command = ["mount", "-t", "hugetlbfs", "-o", "pagesize=1G", "none", str(target)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("cannot mount hugetlbfs with pages of 1 GiB")
        stack.callback(subprocess.run, ["umount", "--lazy", str(target)], check=False)
        yield target


def test_a_ring_lies_on_a_page_of_1_gib(gigantic_page: pathlib.Path) -> None:
    with make_rig(Wanted(capacity="1 GiB", hugepages=gigantic_page), None) as rig:
        assert run_to_the_end(synthetic(rig, "1 GiB")) == "huge_1g"
