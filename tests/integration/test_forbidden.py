"""Each thing that is forbidden, tried: as nobody, as a member of the ring's group, and as the service's own users."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import service_probe
from ring_probe import DONE
from service_rig import CAPTURE_UID, NOBODY, RING_GID, Rig

from nanotape.capture.service import CAPTURE, HOLDER, RECORDER, Service
from nanotape.config import load

pytestmark = pytest.mark.root

RECORD_UID, OUTSIDE_GID = 64_203, 64_299
PARTS = (HOLDER, CAPTURE, RECORDER)
REFUSED = {"EACCES", "EPERM"}


@pytest.fixture
def running(make_service_rig: Callable[..., Rig]) -> Iterator[tuple[Rig, Service]]:
    """A service whose recorder is not nobody, with some packets recorded."""
    rig = make_service_rig(capacity="64 MiB", descriptors=4096)
    text = rig.config.read_text(encoding="utf-8").replace('record = "nobody"', f'record = "{RECORD_UID}"')
    rig.config.write_text(text, encoding="utf-8")
    rig.settings = load(rig.config)
    with rig.service() as service:
        rig.exchange("--rate", "5000", "--packets", "500", lines=["A"]).result()
        rig.wait_taken(service)
        yield rig, service


def tried(running: tuple[Rig, Service], uid: int, gid: int) -> dict[str, str]:
    rig, service = running
    assert service.places
    pids = {"supervisor": os.getpid()} | {name: service.pid(name) or 0 for name in PARTS}
    assert all(pids.values())
    return service_probe.outcomes(service.places.folder, rig.folder / "archive", "lo", pids, uid, gid)


def allowed(found: dict[str, str]) -> set[str]:
    assert {how for how in found.values() if how != DONE} <= REFUSED, found
    return {what for what, how in found.items() if how == DONE}


def test_nobody_can_do_none_of_it(running: tuple[Rig, Service]) -> None:
    found = tried(running, NOBODY, OUTSIDE_GID)
    assert len(found) == 16 + 5 * 4
    assert allowed(found) == set()


def test_a_member_of_the_rings_group_can_tell_its_position_and_no_more(running: tuple[Rig, Service]) -> None:
    assert allowed(tried(running, NOBODY, RING_GID)) <= {"plan: read", "readers: make a file", "ring's folder: list"}


def test_the_recorder_can_write_its_archive_and_no_more(running: tuple[Rig, Service]) -> None:
    found = allowed(tried(running, RECORD_UID, RING_GID))
    assert {"archive: make a file", "archive: write a file"} < found
    beside = {what for what in found if not what.startswith((f"{RECORDER}:", "archive:"))}
    assert beside <= {"plan: read", "readers: make a file", "ring's folder: list"}


def test_the_captures_user_can_talk_to_the_holder_and_reach_into_nobody_else(running: tuple[Rig, Service]) -> None:
    """Strangers' packets may have taken the capture over: neither archive nor plan is within its reach."""
    found = allowed(tried(running, CAPTURE_UID, RING_GID))
    assert "holder's socket: connect" in found
    beside = {what for what in found if not what.startswith((f"{CAPTURE}:", "readers:"))}
    assert beside <= {"plan: read", "holder's socket: connect", "ring's folder: list"}


def test_root_can_do_all_of_it(running: tuple[Rig, Service]) -> None:
    """Control: it is the permissions that refuse, not the attempts that are wrong."""
    found = tried(running, 0, 0)
    assert {what: how for what, how in found.items() if how != DONE} == {}
