"""Who comes second is refused in one clear line, and the first goes on; and what the next start finds."""

from __future__ import annotations

import json
import sys

import pytest
from archive_truth import assert_same_bytes
from command_line import call, processes, refusal, standing
from deadline import wait_for
from refusals import edit, in_ring, refused, running
from service_rig import RING, Rig

pytestmark = [pytest.mark.root, pytest.mark.shared]


def test_a_second_service_of_a_ring_is_refused_and_the_first_goes_on_undisturbed(wired: Rig) -> None:
    plan = wired.folder / "run" / RING / "plan"
    with running(wired) as first:
        # Some seconds after the start the recorder begins the last of its tables.
        clocks = wired.folder / "archive" / "segments" / RING / "clock"
        wait_for(lambda: any(clocks.glob("*.arrow.part")), "a segment of each table")
        before, said = plan.read_bytes(), standing(wired.folder, wired.shm)
        for changed in (False, True):
            if changed:
                edit(wired, "239.192.7.2", "239.192.7.3")
            for verb in ("run", "capture"):
                command = (verb, "--config", wired.config)
                status, _, errors = call(*command, wrap=wired.capture_side)
                line = errors.splitlines()[-1]
                assert status == 1, "it may end, and then this one is to run: systemd tries again"
                assert f"ring test: expected no service that runs it, found process {first.process.pid}; stop" in line
        assert (plan.read_bytes(), standing(wired.folder, wired.shm)) == (before, said)
        log = wired.exchange("--rate", "20000", "--packets", "2000").result()
        wait_for(lambda: in_ring(wired) == sum(line.sent for line in log.lines), "all that was sent")
        assert "BALANCED" in first.stop()
    for line in log.lines:
        assert assert_same_bytes(wired.archive(), log, line.name) == line.sent
    assert "started anew" not in wired.talk.read_text(encoding="utf-8")


def test_a_second_writer_with_another_run_directory_is_refused_too(plain: Rig) -> None:
    with running(plain) as first:
        edit(plain, 'run_dir = "', 'run_dir = "' + str(plain.folder / "second") + '" # "')
        line = refused(plain, status=1)
        assert "ring test has a writer already: process " in line
        assert "stop it first, or use another ring name" in line
        assert in_ring(plain) == 0
        first.stop()


def test_a_second_recorder_is_refused_and_the_first_goes_on_undisturbed(plain: Rig) -> None:
    with running(plain) as first:
        line = refused(plain, status=1, verb="record")
        assert "reader recorder of ring test: expected none of this name, found process " in line
        edit(plain, "[recorder]", '[recorder]\nname = "second"')
        line = refused(plain, status=1, verb="record")
        assert "already recorded by process " in line
        assert "stop it, or record into another archive" in line
        log = plain.exchange("--rate", "5000", "--packets", "500").result()
        wait_for(lambda: in_ring(plain) == sum(line.sent for line in log.lines), "all that was sent")
        first.stop()
    for line in log.lines:
        assert assert_same_bytes(plain.archive(), log, line.name) == line.sent


def test_a_ring_of_another_layout_version_is_refused_until_it_is_removed(plain: Rig) -> None:
    with running(plain) as first:
        first.stop()
    ring = plain.shm / "test.ring"
    with ring.open("r+b") as file:
        file.seek(8)
        found = int.from_bytes(file.read(4), sys.byteorder)
        file.seek(8)
        file.write((found + 1).to_bytes(4, sys.byteorder))
    for verb in ("run", "record"):
        line = refused(plain, status=1, verb=verb)
        assert f"layout version {found} expected, {found + 1} found" in line
        assert "nanotape rings --remove test" in line
    status, output, errors = call("rings", "--config", plain.config)
    assert (status, errors) == (1, "")
    assert f"layout version {found} expected, {found + 1} found" in " ".join(output.split())
    assert call("rings", "--config", plain.config, "--remove", "test") == (0, "", "")
    assert list(plain.shm.iterdir()) == []


def test_a_killed_service_is_followed_by_the_next_at_once(plain: Rig) -> None:
    """Its processes are still ending when the next one comes."""
    with running(plain) as first:
        first.process.kill()
        first.process.wait()
    with running(plain) as second:
        assert "BALANCED" in second.stop()
    wait_for(lambda: not processes(plain.folder), "the end of all processes")


def test_rings_says_so_when_there_are_none(plain: Rig) -> None:
    status, output, errors = call("rings", "--config", plain.config)
    assert (status, output, errors) == (0, f"no rings in {plain.shm}\n", "")
    assert call("rings", "--config", plain.config, "--json") == (0, "[]\n", "")


def test_rings_names_a_file_that_is_no_ring_and_goes_on(plain: Rig) -> None:
    with running(plain) as first:
        (plain.shm / "junk.ring").write_bytes(b"junk" * 2048)
        (plain.shm / "folder.ring").mkdir()
        status, output, errors = call("rings", "--config", plain.config)
        assert (status, errors) == (1, "")
        assert "junk: " in output
        assert "test: 16 MiB on shm, epoch 1, writer " in output
        status, output, _ = call("rings", "--config", plain.config, "--json")
        facts = {ring["name"]: ring for ring in json.loads(output)}
        assert status == 1
        assert set(facts) == {"folder", "junk", "test"}
        assert facts["test"]["writer_alive"] is True
        assert facts["test"]["readers"][0]["name"] == "recorder"
        assert "error" in facts["junk"]
        line = refusal("rings", "--config", plain.config, "--remove", "test", unchanged=(plain.shm,), status=1)
        assert "ring test has a writer already: process " in line
        first.stop()


def test_removing_what_is_not_there_is_one_line(plain: Rig) -> None:
    line = refusal("rings", "--config", plain.config, "--remove", "none", unchanged=(plain.shm,), status=1)
    assert "none.ring: no such ring; see `nanotape rings`" in line
