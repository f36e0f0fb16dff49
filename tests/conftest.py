"""Fixtures that several folders of tests share. What a machine lacks becomes a skip that names it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import hugepages as huge
import namespaces
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """However the tests were started - by nohup, or in the background of a script - what they start heeds signals."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked `root` when we are not."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    """The top of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def captures() -> pathlib.Path:
    """The folder of real packet captures, beside the repository."""
    folder = pathlib.Path(os.environ.get("NANOTAPE_CAPTURES", ROOT.parent / "shared" / "captures"))
    if not folder.is_dir():
        pytest.skip("no folder of captures at ../shared/captures (NANOTAPE_CAPTURES names another)")
    return folder


@pytest.fixture(scope="session")
def native_dir() -> pathlib.Path:
    """The installed folder nanotape/native, with the binding and the executables."""
    if importlib.util.find_spec("nanotape") is None:
        pytest.skip("nanotape is not installed: run `make develop`")
    spec = importlib.util.find_spec("nanotape.native")
    if spec is None or spec.origin is None:
        pytest.skip("this build of nanotape has no native part")
    return pathlib.Path(spec.origin).parent


@pytest.fixture
def requires_root() -> None:
    """Skips the test without root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def namespace_pair() -> Iterator[namespaces.NamespacePair]:
    """Two network namespaces joined by a veth pair of one queue; `namespaces.namespace_pair(queues=2)` makes others."""
    reason = namespaces.missing_for_namespaces()
    if reason:
        pytest.skip(reason)
    with namespaces.namespace_pair() as pair:
        yield pair


@pytest.fixture
def hugepages() -> Iterator[Callable[[int], pathlib.Path]]:
    """A function that reserves N huge pages of 2 MiB and returns a hugetlbfs folder; all is restored afterwards."""
    with contextlib.ExitStack() as stack:

        def reserve(count: int) -> pathlib.Path:
            try:
                return stack.enter_context(huge.hugepages(count))
            except huge.Unavailable as reason:
                pytest.skip(str(reason))

        yield reserve
