"""Fixtures of the integration tests: a holder, or a whole service, between two namespaces."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import holder_rig
import namespaces
import pytest
from refusals import SMALL
from service_rig import Rig, Wanted, make_rig


@pytest.fixture
def make_service_rig(namespace_pair: namespaces.NamespacePair) -> Iterator[Callable[..., Rig]]:
    """A function that makes a rig on the pair; all are taken down at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda **wanted: stack.enter_context(make_rig(Wanted(**wanted), namespace_pair))


@pytest.fixture
def rig(make_service_rig: Callable[..., Rig]) -> Rig:
    """A rig as most tests want it."""
    return make_service_rig()


@pytest.fixture(scope="module")
def holder_path(request: pytest.FixtureRequest) -> pathlib.Path:
    """The holder's executable: installed, or of the build folder that NANOTAPE_NATIVE_DIR names."""
    folder = os.environ.get("NANOTAPE_NATIVE_DIR") or request.getfixturevalue("native_dir")
    return pathlib.Path(folder) / "nanotape-holder"


@pytest.fixture(scope="module")
def programs() -> Iterator[holder_rig.Programs]:
    """The borrower and the sender."""
    with holder_rig.make_programs() as made:
        yield made


@pytest.fixture
def holder_rig_on_right(
    namespace_pair: namespaces.NamespacePair, holder_path: pathlib.Path, programs: holder_rig.Programs
) -> Iterator[holder_rig.Rig]:
    """A holder's rig on the right side of the pair."""
    with holder_rig.make_rig(holder_path, namespace_pair.right, programs) as made:
        yield made


@pytest.fixture
def plain() -> Iterator[Rig]:
    """Plain sockets on loopback."""
    with make_rig(Wanted(kind="socket", interface="lo", **SMALL), None) as rig:
        yield rig


@pytest.fixture
def wired(make_service_rig: Callable[..., Rig]) -> Rig:
    """AF_XDP on a veth."""
    return make_service_rig(**SMALL)
