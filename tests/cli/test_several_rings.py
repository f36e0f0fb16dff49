"""Verbs on a configuration of several rings: which one is meant has to be clear, and none is forgotten."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from counting_ring import CountingRing
from deadline import wait_for
from frames import market_data
from ring_writer import RingWriter, Written
from typer.testing import CliRunner

from nanotape.capture.health import RingHealth
from nanotape.capture.looks import Clocks, healths
from nanotape.capture.readers import status_path
from nanotape.capture.ring import Ring
from nanotape.cli.main import app
from nanotape.config import load
from nanotape.storage.archive import Archive

RUN = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
AS_WE_ARE = ("--user", str(os.geteuid()), "--group", str(os.getegid()))  # the folders are ours
CONFIG = """
[paths]
run_dir = "{0}/run"
archive = "{0}"
shm_dir = "{0}/rings"
[archive]
keep_free = "0"

[recorder]
flush_interval = "50ms"
[[ring]]
name = "test"
[ring.recorder]
name = "of-test"
[[ring]]
name = "second"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two rings, of which none is there yet."""
    file = tmp_path / "nanotape.toml"
    file.write_text(CONFIG.format(tmp_path), encoding="utf-8")
    (tmp_path / "rings").mkdir()
    return file


@pytest.fixture
def writer(config: Path) -> Iterator[RingWriter]:
    """The first of them, with three records."""
    ring = RingWriter.attach(config.parent / "rings")
    ring.write(*(Written(market_data(bytes([number]) * 40)) for number in range(3)))
    yield ring
    ring.close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--ring", "third"), "expected one of the rings test, second, found third; correct the name, or add a"),
        (("capture", "--ring", "test", "--ring", "third"), "expected one of the rings test, second, found third; "),
        (("record", "--ring", "third"), "expected one of the rings test, second, found third; "),
        (("record",), "expected one ring, found several: test, second; say which: --ring NAME"),
    ],
)
def test_a_ring_that_is_not_configured_or_not_named_is_one_line_and_2(
    words: tuple[str, ...], expected: str, config: Path
) -> None:
    status, output, errors = call(*words, "--config", config)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"nanotape: {config}: {expected}")
    assert list((config.parent / "rings").iterdir()) == []


def test_a_holder_lends_to_one_ring(config: Path) -> None:
    status, output, errors = call("capture", "--holder", "/x", "--config", config)
    assert (status, output) == (2, "")
    assert "expected one ring to borrow for, found test, second" in " ".join(errors.replace("│", "").split())


def test_record_takes_the_options_of_the_ring_that_is_named(writer: RingWriter, config: Path) -> None:
    command = [*NANOTAPE, "record", "--config", str(config), "--ring", "test", *AS_WE_ARE, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            archive = Archive(config.parent)
            wait_for(lambda: sum(part.rows for part in archive.segments()) == writer.next_seq - 1, "3 rows")
            assert status_path(config.parent / "run", "test", "of-test").exists()
            process.terminate()
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors, json.loads(output)["recorded"]) == (0, "", 3)


@pytest.fixture
def polling(config: Path) -> Iterator[CountingRing]:
    """The first of them, whose loop goes round and takes packets all the time."""
    ring, done = CountingRing(config.parent / "rings"), threading.Event()

    def go() -> None:
        while not done.wait(0.01):
            ring.poll(3)

    ring.poll(3)
    thread = threading.Thread(target=go)
    thread.start()
    yield ring
    done.set()
    thread.join()
    ring.close()


def test_a_configured_ring_that_is_not_there_is_told_beside_the_one_that_is(
    polling: CountingRing, config: Path
) -> None:
    words = ["status", "--interval", "0.3", "--config", str(config)]
    done = RUN.invoke(app, words)
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT CAPTURING second; ")
    assert "error    second: not capturing: it is configured, and there is no ring of this name" in done.stdout
    assert "do: start it: nanotape run --ring second" in done.stdout
    one = RUN.invoke(app, [*words, "test", "--json"])
    assert one.exit_code == 0
    assert {each["ring"] for each in json.loads(one.stdout)["findings"]} == {"test"}


def test_without_any_ring_one_line_says_so(config: Path) -> None:
    status, output, _ = call("status", "--interval", "0.1", "--config", config)
    assert (status, output.splitlines()[0]) == (1, f"nothing is captured: there is no ring in {config.parent}/rings.")


def test_rings_that_are_recorded_to_one_archive_fill_its_disk_together(config: Path) -> None:
    settings = load(config)
    with contextlib.ExitStack() as stack:
        rings, readers = [], []
        for name in settings.rings:
            rings.append(CountingRing(config.parent / "rings", name))
            stack.callback(rings[-1].close)
            opened = stack.enter_context(Ring.open(name, config.parent / "rings"))
            reader = opened.reader("oldest", reader_name="recorder", run_directory=config.parent / "run")
            readers.append(stack.enter_context(reader))

        def go_on(_seconds: float) -> None:
            for made, reader, packets in zip(rings, readers, (10, 30), strict=True):
                made.poll(packets)
                reader.read()
                reader.publish_status(recorded=reader.records, write_failures=0, written_bytes=reader.records * 50)

        go_on(0)
        both = healths(settings, None, 0.1, Clocks(sleep=go_on))
        alone = [healths(settings, name, 0.1, Clocks(sleep=go_on))[0] for name in settings.rings]
    found = [each for each in (*both, *alone) if isinstance(each, RingHealth)]
    assert len(found) == 4
    for each in found:
        together = found[:2] if each in found[:2] else [each]
        written_s = sum(reader.write_bytes_s or 0 for ring in together for reader in ring.readers)
        assert each.space is not None
        assert written_s > 0
        assert each.full_in_s == pytest.approx(each.space.free_bytes / written_s)
