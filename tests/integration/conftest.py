"""Fixtures of the integration tests: a service between two namespaces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import namespaces
import pytest
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
