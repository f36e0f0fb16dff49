"""Each thing that is forbidden, tried: as nobody, as a member of the ring's group, and as the service's own users."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import service_probe
from command_line import call
from deadline import wait_for
from namespaces import missing_for_namespaces, namespace_pair
from ring_probe import DONE
from running_service import running
from service_parts import CAPTURE, HOLDER, RECORDER, parts
from service_rig import CAPTURE_UID, NOBODY, RING_GID, Rig, Wanted, make_rig

pytestmark = pytest.mark.root

RECORD_UID, OUTSIDE_GID = 64_203, 64_299
PARTS = {"supervisor", HOLDER, CAPTURE, RECORDER}
MEMBERS = {"plan: read", "readers: make a file", "ring's folder: list", "control socket: connect"}
REFUSED = {"EACCES", "EPERM"}


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Rig, int]]:
    """One for all tests, which do it no harm."""
    reason = missing_for_namespaces()
    if reason:
        pytest.skip(reason)
    with namespace_pair() as pair, make_rig(Wanted(capacity="64 MiB", descriptors=4096), pair) as rig:
        yield from recording(rig)


def recording(rig: Rig) -> Iterator[tuple[Rig, int]]:
    """The service of a rig, whose recorder is not nobody, with some packets recorded, and its supervisor."""
    text = rig.config.read_text(encoding="utf-8").replace('record = "nobody"', f'record = "{RECORD_UID}"')
    rig.config.write_text(text, encoding="utf-8")
    with running(rig) as supervisor:
        rig.exchange("--rate", "5000", "--packets", "500", lines=["A"]).result()
        wait_for(lambda: any(path.is_file() for path in (rig.folder / "archive").rglob("*")), "a segment")
        wait_for((rig.folder / "run" / "test.control").exists, "the control socket")
        yield rig, supervisor.pid


def tried(service: tuple[Rig, int], uid: int, gid: int) -> dict[str, str]:
    rig, supervisor = service
    found = parts(supervisor)
    assert set(found) == PARTS
    pids = {name: pid for name, (pid,) in found.items()}
    return service_probe.outcomes(rig.folder / "run" / "test", rig.folder / "archive", "lo", pids, uid, gid)


def allowed(found: dict[str, str]) -> set[str]:
    assert {how for how in found.values() if how != DONE} <= REFUSED, found
    return {what for what, how in found.items() if how == DONE}


def test_nobody_can_do_none_of_it(service: tuple[Rig, int]) -> None:
    found = tried(service, NOBODY, OUTSIDE_GID)
    assert len(found) == 17 + 5 * 4
    assert allowed(found) == set()


def test_a_member_of_the_rings_group_can_steer_and_tell_its_position_and_no_more(service: tuple[Rig, int]) -> None:
    """Steer, that is, as long as `control.group` names no other group."""
    assert allowed(tried(service, NOBODY, RING_GID)) == MEMBERS


def test_the_recorder_can_write_its_archive_and_no_more(service: tuple[Rig, int]) -> None:
    found = allowed(tried(service, RECORD_UID, RING_GID))
    assert {"archive: make a file", "archive: write a file"} < found
    beside = {what for what in found if not what.startswith((f"{RECORDER}:", "archive:"))}
    assert beside == MEMBERS


def test_the_captures_user_can_talk_to_the_holder_and_reach_into_nobody_else(service: tuple[Rig, int]) -> None:
    """Strangers' packets may have taken the capture over: neither archive nor plan is within its reach."""
    found = allowed(tried(service, CAPTURE_UID, RING_GID))
    assert "holder's socket: connect" in found
    beside = {what for what in found if not what.startswith((f"{CAPTURE}:", "readers:"))}
    assert beside == (MEMBERS | {"holder's socket: connect"}) - {"readers: make a file"}


def test_a_member_who_takes_the_name_of_the_recorders_receipt_can_neither_forge_nor_prevent_one(
    service: tuple[Rig, int],
) -> None:
    rig, _ = service
    taken = rig.folder / "run" / "test" / "readers" / "recorder.orders.json"
    become = ("setpriv", "--reuid", str(NOBODY), "--regid", str(RING_GID), "--clear-groups")
    forged = '{"done": 9223372036854775807, "failed": {}}'
    subprocess.run([*become, "sh", "-c", f"echo '{forged}' > {taken}"], check=True)
    before = segments(rig)
    status, _, talk = call("ctl", "rotate", "--config", rig.config)
    assert status == 0, talk
    assert segments(rig) > before, "it is done when the receipt says so, and by the recorder's own"
    assert taken.stat().st_uid == NOBODY


def segments(rig: Rig) -> int:
    """Those of packets that are complete."""
    return len(list((rig.folder / "archive" / "segments" / "test").glob("*.arrow")))


def test_root_can_do_all_of_it(service: tuple[Rig, int]) -> None:
    """Control: it is the permissions that refuse, not the attempts that are wrong."""
    found = tried(service, 0, 0)
    assert {what: how for what, how in found.items() if how != DONE} == {}
