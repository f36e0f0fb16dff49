"""`nanotape status` as a user calls it: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import call
from counting_ring import CountingRing
from typer.testing import CliRunner

from nanotape.capture.health import RingHealth
from nanotape.capture.looks import Clocks, healths
from nanotape.capture.ring import Ring
from nanotape.cli.main import app
from nanotape.config import Settings, load
from nanotape.tui import words

RUN = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
CONFIG = """
[paths]
run_dir = "{0}/run"
archive = "{0}"
shm_dir = "{0}/rings"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nanotape.toml"
    file.write_text(CONFIG.format(tmp_path), encoding="utf-8")
    (tmp_path / "rings").mkdir()
    return file


@pytest.fixture
def settings(config: Path) -> Settings:
    return load(config)


@pytest.fixture
def ring(config: Path) -> Iterator[CountingRing]:
    """With a hundred packets."""
    made = CountingRing(config.parent / "rings")
    made.poll(100)
    yield made
    made.close()


@pytest.fixture
def polling(ring: CountingRing) -> Iterator[CountingRing]:
    """The same, whose loop goes round and takes packets all the time."""
    done = threading.Event()

    def go() -> None:
        while not done.wait(0.01):
            ring.poll(3)

    thread = threading.Thread(target=go)
    thread.start()
    yield ring
    done.set()
    thread.join()


def status(config: Path, *arguments: str, expected: int) -> str:
    done = RUN.invoke(app, ["status", "--config", str(config), "--interval", "0.3", *arguments])
    assert (done.exit_code, done.stderr) == (expected, "")
    return done.stdout


@pytest.fixture
def recorded(polling: CountingRing, config: Path) -> Iterator[CountingRing]:
    """The same, with a reader that says that it records."""
    done = threading.Event()
    with Ring.open("test", config.parent / "rings") as ring:
        reader = ring.reader("oldest", reader_name="recorder", run_directory=config.parent / "run")

        def go() -> None:
            while not done.wait(0.01):
                reader.read()
                reader.publish_status(recorded=reader.records, write_failures=0, written_bytes=reader.records * 50)

        reader.publish_status(recorded=0, write_failures=0, written_bytes=0)
        thread = threading.Thread(target=go)
        thread.start()
        yield polling
        done.set()
        thread.join()


def test_a_host_without_rings_is_status_1_and_told_how_to_start(config: Path) -> None:
    text = status(config, expected=1)
    assert text.startswith(f"nothing is captured: there is no ring in {config.parent}/rings.\n")
    assert "do: start it: nanotape run" in text
    assert "there is no ring west" in status(config, "west", expected=1)


def test_a_sound_ring_is_status_0_on_one_screen(recorded: CountingRing, config: Path) -> None:
    text = status(config, expected=0)
    lines = text.splitlines()
    assert lines[0].startswith("capturing ")
    assert "losing nothing; the disk keeps up: lag " in lines[0]
    rows = {line.split()[0]: line for line in lines[3:] if line.startswith("  ")}
    assert {"capturing", "lost", "books", "recording", "space"} <= set(rows)
    assert "nothing in 0.3 s; nothing since the ring was made" in rows["lost"]
    assert rows["recording"].split()[1:4] == ["recorder", "(process", f"{os.getpid()}):"]
    assert f" {config.parent}: " in rows["space"]
    assert "ok       test: all is well" in lines
    assert len(lines) < 24


def test_json_says_the_same(recorded: CountingRing, config: Path) -> None:
    told = json.loads(status(config, "test", "--json", expected=0))
    assert told["fine"] is True
    assert told["headline"].startswith("capturing ")
    assert told["unreadable"] == []
    [ring] = told["rings"]
    assert (ring["name"], ring["capturing"], ring["lost"], ring["readers"][0]["name"]) == ("test", True, {}, "recorder")
    assert ring["packets_s"] > 0
    assert [(each["severity"], each["what"]) for each in told["findings"]] == [("ok", "all is well")]


def test_a_ring_that_nobody_records_is_a_warning_and_status_0(polling: CountingRing, config: Path) -> None:
    text = status(config, expected=0)
    assert "warning  test: nobody writes to disk" in text
    assert "do: start one: nanotape record" in text


def test_packets_lost_between_the_looks_are_told_from_those_lost_before(ring: CountingRing, settings: Settings) -> None:
    ring.counters.stats.lost_with_holder = 5

    def lose(_seconds: float) -> None:
        ring.counters.stats.lost_with_holder += 4
        ring.poll()

    [before] = healths(settings, None, 0.1, Clocks(sleep=lambda _seconds: ring.poll()))
    [during] = healths(settings, None, 0.1, Clocks(sleep=lose))
    assert isinstance(before, RingHealth)
    assert isinstance(during, RingHealth)
    assert (before.lost, before.lost_now) == ({"lost_with_holder": 5}, {})
    assert (during.lost, during.lost_now) == ({"lost_with_holder": 9}, {"lost_with_holder": 4})


def test_a_ring_that_cannot_be_read_is_status_1_beside_one_that_can(recorded: CountingRing, config: Path) -> None:
    (config.parent / "rings" / "bad.ring").write_bytes(b"no ring at all")
    text = status(config, expected=1)
    assert "error    bad: cannot be read: " in text
    assert "ok       test: all is well" in text
    told = json.loads(status(config, "--json", expected=1))
    assert [each["name"] for each in told["unreadable"]] == ["bad"]
    assert status(config, "test", expected=0)


def test_a_capture_that_has_ended_is_status_1(config: Path) -> None:
    CountingRing(config.parent / "rings").close()
    text = status(config, str(config.parent / "rings" / "test.ring"), expected=1)
    assert text.startswith("NOT CAPTURING test; ")
    assert "error    test: not capturing: the capture was ended" in text


def test_a_loop_that_was_off_its_core_for_a_moment_is_looked_at_again(ring: CountingRing, settings: Settings) -> None:
    slept: list[float] = []

    def late(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            ring.poll(10)

    [found] = healths(settings, None, 1.0, Clocks(sleep=late))
    assert isinstance(found, RingHealth)
    assert found.capturing
    assert slept == [1.0, 2.0]
    [stuck] = healths(settings, None, 1.0, Clocks(sleep=slept.append))
    assert isinstance(stuck, RingHealth)
    assert (stuck.capturing, stuck.writer_alive) == (False, True)


def test_room_is_that_of_the_archive_that_the_running_service_writes(ring: CountingRing, settings: Settings) -> None:
    folder = Path(settings.paths.run_dir) / "test"
    folder.mkdir(parents=True)
    (folder / "nanotape.toml").write_text('[paths]\narchive = "/dev/shm/none-such"\n', encoding="utf-8")
    [found] = healths(settings, "test", 0.1, Clocks(sleep=lambda _seconds: ring.poll()))
    assert isinstance(found, RingHealth)
    assert found.space
    assert found.space.path == "/dev/shm"
    (folder / "nanotape.toml").write_text("[ring]\nnmae = 1\n", encoding="utf-8")
    [found] = healths(settings, "test", 0.1, Clocks(sleep=lambda _seconds: ring.poll()))
    assert isinstance(found, RingHealth)
    assert found.space
    assert found.space.path == settings.paths.archive


def test_what_died_is_looked_at_again_since_it_is_started_anew_at_once(ring: CountingRing, settings: Settings) -> None:
    run = Path(settings.paths.run_dir)
    with Ring.open("test", settings.paths.shm_dir) as opened:
        reader = opened.reader("oldest", reader_name="recorder", run_directory=run)
        reader.publish_status(recorded=0, write_failures=0, written_bytes=0)
        status = run / "test" / "readers" / "recorder.status"
        pid_at = status.read_bytes().index(struct.pack("=I", os.getpid()))
        slept: list[float] = []

        def as_process(pid: int) -> None:
            with status.open("r+b") as file:
                file.seek(pid_at)
                file.write(struct.pack("=I", pid))

        def restarted(seconds: float) -> None:
            slept.append(seconds)
            ring.poll()
            as_process(os.getpid() if len(slept) == 2 else 2**22 + 1)  # none has so high a number

        [found] = healths(settings, None, 1.0, Clocks(sleep=restarted))
        assert isinstance(found, RingHealth)
        assert (slept, [each.alive for each in found.recorders]) == ([1.0, 2.0], [True])
        reader.close()


@pytest.mark.parametrize("words", [["--interval", "0"], ["--interval", "x"], ["one", "two"]])
def test_wrong_words_are_status_2(words: list[str], config: Path) -> None:
    status, output, errors = call("status", "--config", config, *words)
    assert (status, output) == (2, "")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (61, "1 min 1 s"),
        (7260, "2 h 1 min"),
        (200_000, "2 d 7 h"),
        (1e9, "11,574 d 1 h"),
    ],
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    assert words.seconds(seconds) == text
