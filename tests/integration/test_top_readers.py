"""The screens of recorder, latency and clock show what the counters of a running service say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import NANOTAPE
from deadline import wait_for
from pictures import driven, screen_text
from service_rig import RING, Rig
from synthetic_service import synthetic_service
from textual.pilot import Pilot

from nanotape.capture.listing import RingFacts, describe
from nanotape.capture.recorded_segments import RecordedSegments, read_segments
from nanotape.config import load
from nanotape.tui.app import Top
from nanotape.tui.gather import Gatherer
from nanotape.tui.words import short

Running = tuple[Rig, "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One for all of these."""
    with synthetic_service() as (rig, service):
        wait_for(lambda: told(rig) is not None, "what the recorder tells of its segments")
        yield rig, service


def facts(rig: Rig) -> RingFacts:
    with rig.ring() as ring:
        return describe(ring, Path(rig.settings.paths.run_dir))


def told(rig: Rig) -> RecordedSegments | None:
    found = read_segments(Path(rig.settings.paths.run_dir), RING, "recorder")
    return found if found and found.open_name else None


async def until(app: Top, pilot: Pilot[None], pattern: str) -> re.Match[str]:
    """The first time that the screen, its blanks as one, has it."""
    for _ in range(400):
        found = re.search(pattern, " ".join(screen_text(app).split()))
        if found:
            return found
        await pilot.pause(0.025)
    raise AssertionError(f"expected {pattern}, found:\n{screen_text(app)}")


def recorded(rig: Rig) -> int:
    return facts(rig).readers[0].recorded or 0


def test_what_is_recorded_on_the_screen_is_what_the_recorder_counts(running: Running) -> None:
    rig, _ = running
    gatherer = Gatherer(rig.settings)

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(app, pilot, "packets recorded")
        before = recorded(rig)
        wait_for(lambda: recorded(rig) > before, "another second of the recorder's")
        await pilot.pause(0.3)
        shown = await until(app, pilot, r"state ([\d,]+) packets recorded")
        assert before <= int(shown[1].replace(",", "")) <= recorded(rig)
        open_name = str(told(rig) and told(rig).open_name)  # type: ignore[union-attr]
        assert await until(app, pilot, f"open {open_name}")
        assert (rig.folder / "archive" / "segments" / RING / f"{open_name}.arrow.part").exists()
        rate = await until(app, pilot, r"writes ([\d.]+) (KiB|MiB)/s")
        per_packet = 5000 * (facts(rig).readers[0].written_bytes or 0) / max(1, recorded(rig))
        scale = {"KiB": 1 << 10, "MiB": 1 << 20}[rate[2]]
        assert float(rate[1]) * scale == pytest.approx(per_packet, rel=0.6)
        ratio = await until(app, pilot, r"compression ([\d.]+) : 1")
        assert told(rig).ratio == pytest.approx(float(ratio[1]), rel=0.2)  # type: ignore[union-attr]

    driven(gatherer.look, play, (120, 30), refresh_s=0.25)


def test_latency_counts_each_packet_of_the_ring(running: Running) -> None:
    rig, _ = running

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        before = facts(rig).sources[0]
        await pilot.pause(0.5)
        shown = await until(app, pilot, rf"{re.escape(before.name)} start ([\d.]+k?)")
        counts = {short(count) for count in range(sum(before.loop.delay_histogram), facts(rig).packets + 1)}
        assert shown[1] in counts
        now = await until(app, pilot, rf"{re.escape(before.name)} now ([\d.]+)(k?)")
        assert 0 < float(now[1]) * (1000 if now[2] else 1) <= 5000 * 7

    driven(Gatherer(rig.settings).look, play, (120, 30), refresh_s=0.25)


@pytest.mark.slow
def test_a_recorder_that_is_killed_is_shown_anew_with_the_segment_that_it_left(running: Running) -> None:
    rig, _ = running

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(app, pilot, "packets recorded")
        before, reader = told(rig), facts(rig).readers[0]
        assert before is not None
        os.kill(reader.pid, signal.SIGKILL)
        await until(app, pilot, "1 ended since it began; open 2")
        assert facts(rig).readers[0].pid != reader.pid
        assert (rig.folder / "archive" / "segments" / RING / f"{before.open_name}.arrow").exists()
        rate = await until(app, pilot, r"writes ([\d.]+) (KiB|MiB)/s")
        assert float(rate[1]) > 0
        await until(app, pilot, r"last rotation [\d.]+ s ago")

    driven(Gatherer(rig.settings).look, play, (120, 30), refresh_s=0.25)


@pytest.mark.slow
@pytest.mark.root
def test_a_full_disk_is_said_and_the_screen_goes_on() -> None:
    mounted: list[str] = []

    def small_disk(rig: Rig) -> None:
        archive = rig.folder / "archive"
        archive.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "nanotape-test", str(archive)]
        subprocess.run(command, check=True)
        mounted.append(str(archive))

    try:
        with synthetic_service(rate=20_000, prepare=small_disk) as (rig, _):

            async def play(app: Top, pilot: Pilot[None]) -> None:
                await pilot.press("5")
                await until(app, pilot, r"[\d,]+ packets could NOT BE WRITTEN")
                await until(app, pilot, "the disk DOES NOT KEEP UP")
                await until(app, pilot, r"disk 0 B of 1.00 MiB free \(0.0%\)|disk [\d.]+ KiB of 1.00 MiB free")
                before = facts(rig).readers[0].write_failures or 0
                shown = 0
                while shown < before:
                    found = await until(app, pilot, r"([\d,]+) packets could NOT BE WRITTEN")
                    shown = int(found[1].replace(",", ""))
                assert shown <= (facts(rig).readers[0].write_failures or 0)
                await pilot.press("R", "enter")
                await until(app, pilot, "rotate test: ")

            driven(Gatherer(rig.settings).look, play, (120, 30), refresh_s=0.25)
    finally:
        for place in mounted:
            subprocess.run(["umount", "--lazy", place], check=True)
            shutil.rmtree(Path(place).parent, ignore_errors=True)


def test_the_clock_service_is_shown_and_that_it_was_killed_too(tmp_path: Path) -> None:
    config = tmp_path / "nanotape.toml"
    config.write_text(f'[paths]\nrun_dir = "{tmp_path}/run"\nshm_dir = "{tmp_path}/shm"\n', encoding="utf-8")
    command = [*NANOTAPE, "clock", "run", "--config", str(config)]
    service = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((tmp_path / "run" / "clock" / "state.json").exists, "the clock service")

        async def play(app: Top, pilot: Pilot[None]) -> None:
            await pilot.press("4")
            await until(app, pilot, r"system (locked|free-running|unknown|acquiring|holdover) ")
            await until(app, pilot, r"kernel TAI-UTC")
            service.kill()
            service.wait()
            await until(app, pilot, "The clock service has told nothing for .* Below is its last word")
            await pilot.press("5")
            await until(app, pilot, "No ring can be read")

        driven(Gatherer(load(config)).look, play, (120, 40), refresh_s=0.25)
    finally:
        service.kill()
        service.wait()
