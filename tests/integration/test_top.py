"""`nanotape top` over a real service: its figures are the counters', and what befalls the service is on the screen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from command_line import as_nobody, call
from deadline import wait_for
from pictures import driven, screen_text
from running_service import running
from service_rig import NOBODY, RING_GID, Rig
from textual.pilot import Pilot

from nanotape.capture.conservation import RingBooks, ring_books
from nanotape.tui.app import Top
from nanotape.tui.channel_rows import channel_rows
from nanotape.tui.gather import Gatherer
from nanotape.tui.settings_file import SettingsFile

pytestmark = pytest.mark.root
LINES_S, SECONDS = 500, 5


async def until(condition: Callable[[], Any], what: str, app: Top, pilot: Pilot[None], seconds: float = 60.0) -> Any:
    """Lets the app go on until something is so; fails with its screen when the time is over."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}; on the screen:\n{screen_text(app)}"
        await pilot.pause(0.05)
    return answer


async def until_seen(words: str, app: Top, pilot: Pilot[None], seconds: float = 60.0) -> str:
    """Until they are on the screen."""
    found = await until(lambda: words in (seen := screen_text(app)) and seen, repr(words), app, pilot, seconds)
    return str(found)


def watched(rig: Rig, play: Callable[[Top, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (160, 50)) -> None:
    driven(Gatherer(SettingsFile(rig.config)).look, play, size, refresh_s=0.2)


def books(rig: Rig) -> RingBooks:
    with rig.ring() as ring:
        return ring_books(ring)


def writer(rig: Rig) -> int:
    with rig.ring() as ring:
        assert ring.writer_pid is not None
        return ring.writer_pid


def lost_on(screen: str, stage: str) -> tuple[int, int]:
    """In the last minute, and since the ring was made."""
    row = next(line for line in screen.splitlines() if line.startswith(f"  {stage} "))
    minute, since = row.split()[2:4]
    return int(minute.replace(",", "")), int(since.replace(",", ""))


def test_its_figures_are_what_was_sent_counted_and_recorded(wired: Rig) -> None:
    """Rates while it sends; at the end each count, of the ring, of its lines, and of the gap that was made."""

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until_seen("test  capturing", app, pilot)
        exchange = wired.exchange("--rate", str(LINES_S), "--seconds", str(SECONDS), "--gap", "A:900:7")
        rates = []
        while exchange.running():
            await pilot.pause(0.1)
            rates += re.findall(r"capturing ([\d,]+) packets/s", screen_text(app).splitlines()[0])
        sent = exchange.result()
        shown = [rate for each in rates if (rate := int(each.replace(",", ""))) > LINES_S / 2]
        assert statistics.median(shown) == pytest.approx(2 * LINES_S, rel=0.25), "a busy sender catches up in bursts"
        total = sum(line.sent for line in sent.lines)
        screen = await until_seen(f"test  capturing  {total:,} packets", app, pilot)
        counted = books(wired)
        assert counted.in_ring == total
        assert app.picture is not None
        assert (app.picture.rings[0].look.books.in_ring, app.picture.rings[0].health.lost) == (total, {})
        assert "losing nothing" in screen.splitlines()[0]
        assert lost_on(screen, "rx_dropped") == (0, 0)

        def told() -> bool:
            rows = channel_rows(app.picture) if app.picture else ()
            return [row.told.packets for row in rows] == [line.sent for line in sent.lines]

        await until(told, "the recorder to have told of all packets", app, pilot)
        rows = {row.line: row.told for row in channel_rows(app.picture)}
        assert (rows["A"].gaps, rows["B"].gaps) == (1, 0)
        assert rows["A"].missing == sent.line("B").messages - sent.line("A").messages
        await pilot.press("2")
        screen = await until_seen("channel-0", app, pilot)
        for line in ("A", "B"):
            row = next(each for each in screen.splitlines() if re.search(rf"channel-0\S*\s+{line}\s", each))
            assert f"{rows[line].last_seq:,}" in row or str(rows[line].last_seq) in row, row

    with running(wired):
        watched(wired, play)


def test_what_is_lost_while_the_loop_stands_still_is_on_the_screen_by_stage(wired: Rig) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until_seen("test  capturing", app, pilot)
        stopped = writer(wired)
        os.kill(stopped, signal.SIGSTOP)
        try:
            exchange = wired.exchange("--rate", "20000", "--seconds", "1")
            screen = await until_seen("NOT CAPTURING test", app, pilot)
            assert f"process {stopped} lives, but its loop stood still" in screen
            exchange.result()
        finally:
            os.kill(stopped, signal.SIGCONT)
        await until_seen("test  capturing", app, pilot)
        await until(lambda: books(wired).lost > 0 and not books(wired).sources[0].waiting, "the loss", app, pilot)
        counted = books(wired).sources[0]
        await until_seen(f"test  capturing  {counted.in_ring:,} packets", app, pilot)
        screen = screen_text(app)
        for stage in ("rx_dropped", "rx_ring_full"):
            assert lost_on(screen, stage) == (getattr(counted, stage), getattr(counted, stage))
        await until_seen("packets lost before the ring since it was made", app, pilot)
        await until_seen("in the last minute", app, pilot)

    with running(wired):
        watched(wired, play)


@pytest.mark.slow
def test_a_service_that_is_restarted_stopped_removed_and_started_again(wired: Rig) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        with running(wired):
            await until_seen("test  capturing", app, pilot)
            assert app.picture is not None
            recorder = app.picture.rings[0].health.recorders[0].pid
            os.kill(recorder, signal.SIGKILL)
            await until_seen("RECORDER DIED", app, pilot)
            await until_seen("DISK keeps up", app, pilot)
            os.kill(writer(wired), signal.SIGKILL)
            await until_seen("the capture was started anew", app, pilot)
            await until_seen("test  capturing", app, pilot)
        await until_seen("NOT CAPTURING test", app, pilot)
        await asyncio.to_thread(remove, wired)
        await until_seen("There is nothing to watch", app, pilot)
        for key in "2345678":
            await pilot.press(key)
            await pilot.pause()
        await pilot.press("1")
        with running(wired):
            await until_seen("test  capturing", app, pilot)

    watched(wired, play)


def remove(rig: Rig) -> None:
    status, _, errors = call("rings", "--remove", "test", "--config", rig.config)
    assert status == 0, errors


@pytest.fixture
def small_disk(wired: Rig) -> Iterator[Rig]:
    """The archive on a file system of 24 MiB."""
    folder = wired.folder / "archive"
    folder.mkdir()
    options = f"size=24m,uid={NOBODY},gid={RING_GID},mode=750"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "nt-test", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield wired
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_is_full_is_told_and_a_disk_with_room_again_too(small_disk: Rig) -> None:
    filler = small_disk.folder / "archive" / "filler"

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await until_seen("test  capturing", app, pilot)
        exchange = small_disk.exchange("--rate", "1000", "--seconds", "60")
        try:
            await until_seen("DISK keeps up", app, pilot)
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))
            full = ("DISK FILLS UP", "DISK DOES NOT KEEP UP")  # as soon as the recorder has failed to write
            await until(lambda: any(words in screen_text(app) for words in full), "a full disk", app, pilot)
            screen = await until(lambda: "0.0% of its file system is free" in screen_text(app), "the room", app, pilot)
            assert screen
            filler.unlink()
            await until_seen("DISK keeps up", app, pilot)
        finally:
            exchange.stop()

    with running(small_disk):
        watched(small_disk, play)


def test_its_first_line_is_that_of_status_on_a_quiet_service(wired: Rig) -> None:
    with running(wired):
        wait_for(lambda: call("status", "--config", wired.config, "--interval", "0.2")[0] == 0, "a fine service")
        _, once, _ = call("top", "--once", "--config", wired.config)
        _, status, _ = call("status", "--config", wired.config, "--interval", "0.2")
    assert once.splitlines()[0] == status.splitlines()[0]


@pytest.mark.parametrize("is_member", [True, False])
def test_whoever_may_read_the_ring_sees_it_without_any_privilege(wired: Rig, is_member: bool) -> None:
    with running(wired), as_nobody(gid=RING_GID if is_member else NOBODY) as (prefix, _):
        command = [*prefix, "top", "--json", "--config", str(wired.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(done.stdout)
    assert len(told["rings"]) == is_member
    assert len(told["unreadable"]) == (not is_member) or any("cannot be listed" in each for each in told["troubles"])
    assert done.stderr == ""
