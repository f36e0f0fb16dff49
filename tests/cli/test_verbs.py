"""The verbs as a user meets them: help, version, rings, record, and output that nobody reads to its end."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from frames import market_data
from pcapng_file import parse
from ring_writer import RingWriter, Written
from typer.testing import CliRunner

from nanotape.capture.ring import Ring
from nanotape.cli.main import app
from nanotape.storage.archive import Archive

AS_WE_ARE = ("--user", str(os.geteuid()), "--group", str(os.getegid()))  # the folders are ours
RUN = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
HELP = {
    "run": ("Capture and record, supervised", "--config", "--ring", "--json"),
    "capture": ("Capture into the ring only", "--ring", "--holder", "--json"),
    "record": ("Record a ring into the archive", "--ring", "--user", "--json"),
    "demo": ("Capture a simulated exchange on this machine", "--seconds", "--rate", "--archive", "--json"),
    "bench": ("Measure how fast this machine captures", "--quick", "--source", "--sink", "--page", "--from", "--json"),
    "simulate": ("A synthetic exchange", "--rate", "--gap", "--burst", "--log", "--json"),
    "discover": ("What multicast arrives on an interface", "--seconds", "--join", "--json"),
    "rings": ("List the rings of this host", "--remove", "--json"),
    "status": ("Say whether packets are captured, lost and recorded", "--interval", "--json"),
    "clock": ("Say how far the clocks of this host can be trusted", "--follow", "--seconds", "--json", "report", "run"),
    "clock report": ("Report on the clocks of an archive", "--svg", "--start", "--json"),
    "clock run": ("Look after the clocks of this host", "--config"),
    "support-bundle": ("Gather configuration, state, events, logs", "--output"),
    "tail": ("Show packets of rings as they come", "--count", "--channel", "--pcapng", "--start", "--json"),
    "config": ("Check and show the configuration", "check", "schema", "show"),
    "config check": ("Say whether the configuration is fine", "--config", "--json"),
    "config schema": ("Print the JSON Schema",),
    "config show": ("Print the configuration in force", "--config", "--json"),
}
CONFIG = """
[paths]
run_dir = "{0}/run"
archive = "{0}/archive"
shm_dir = "{0}/rings"
[ring]
name = "test"
[recorder]
flush_interval = "50ms"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose places are all in a folder of the test's own."""
    file = tmp_path / "nanotape.toml"
    file.write_text(CONFIG.format(tmp_path), encoding="utf-8")
    (tmp_path / "rings").mkdir()
    return file


@pytest.fixture
def writer(config: Path) -> Iterator[RingWriter]:
    """The ring of that configuration, with three records."""
    ring = RingWriter.attach(config.parent / "rings")
    ring.write(*(Written(market_data(bytes([number]) * 40)) for number in range(3)))
    yield ring
    ring.close()


@pytest.mark.parametrize("verb", HELP)
def test_the_help_of_each_verb_says_what_it_does_and_how(verb: str) -> None:
    done = RUN.invoke(app, [*verb.split(), "--help"])
    assert done.exit_code == 0
    text = re.sub(r"\s+", " ", done.stdout)
    for word in HELP[verb]:
        assert word in text


def test_the_command_alone_lists_its_verbs_and_knows_its_version() -> None:
    text = RUN.invoke(app, ["--help"]).stdout
    for verb in {verb.split()[0] for verb in HELP}:
        assert re.search(rf"^\W*{verb}  ", text, re.MULTILINE), verb
    done = RUN.invoke(app, ["--version"])
    assert (done.exit_code, done.stderr) == (0, "")
    version, built, _, environment = done.stdout.splitlines()
    assert re.fullmatch(r"nanotape \d+\.\d+\.\d+\S*", version)
    assert re.search(r"^built by \w+ \S+ with libbpf \S+ (static|shared), libxdp ", built)
    assert re.search(r"^Python 3\.\d+\.\d+ with pyarrow \d", environment)


@pytest.mark.parametrize("words", [["bogus"], ["run", "--bogus"], ["run", "-c"], ["demo", "--seconds", "0"]])
def test_wrong_words_are_status_2_and_leave_stdout_empty(words: list[str]) -> None:
    status, output, errors = call(*words)
    assert (status, output) == (2, "")
    assert "Traceback" not in errors


def test_rings_tells_of_writer_memory_and_readers(writer: RingWriter, config: Path) -> None:
    with Ring.open("test", config.parent / "rings") as ring:
        with ring.reader("oldest", reader_name="slow", run_directory=config.parent / "run") as reader:
            reader.read(2)
            done = RUN.invoke(app, ["rings", "--config", str(config)])
            assert (done.exit_code, done.stderr) == (0, "")
            assert "test: 1 MiB on shm, epoch 1, writer " in done.stdout
            assert re.search(r"^slow +\d+ +yes +0\.0 +2 +0 +-", done.stdout, re.MULTILINE)
        [facts] = json.loads(RUN.invoke(app, ["rings", "--config", str(config), "--json"]).stdout)
    assert facts["name"] == "test"
    assert facts["writer_alive"] is True
    assert facts["readers"] == []


def test_rings_removes_what_nobody_writes_and_only_that(writer: RingWriter, config: Path) -> None:
    status, output, errors = call("rings", "--config", config, "--remove", "test")
    assert (status, output) == (1, "")
    assert "test has a writer already" in errors
    writer.close()
    assert call("rings", "--config", config, "--remove", "test") == (0, "", "")
    assert list((config.parent / "rings").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_record_says_what_it_recorded(writer: RingWriter, config: Path, number: signal.Signals) -> None:
    archive = config.parent / "archive"
    command = [*NANOTAPE, "record", "--config", str(config), *AS_WE_ARE, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: archive.exists() and sum(part.rows for part in Archive(archive).segments()) == 3, "3 rows")
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    totals = json.loads(output)
    assert (totals["recorded"], totals["lost"], totals["write_failures"]) == (3, 0, 0)
    assert (totals["first_seq"], totals["last_seq"]) == (1, 3)
    assert writer.next_seq == 4


def test_record_without_json_keeps_stdout_for_data(writer: RingWriter, config: Path) -> None:
    command = [*NANOTAPE, "record", "--config", str(config), *AS_WE_ARE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for((config.parent / "archive" / "segments" / "test").exists, "its first step")
            wait_for(lambda: Archive(config.parent / "archive").segments(), "its first rows")
            process.terminate()
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, "")
    assert errors == "nanotape: 3 packets recorded, 0 lost, 0 not written, 0 left in the ring\n"
    assert writer.next_seq == 4


def test_config_is_reached_through_the_command(config: Path) -> None:
    status, output, errors = call("config", "check", "--config", config)
    assert (status, errors) == (0, "")
    assert output.startswith(f"{config}: fine: ")
    config.write_text("[ring]\nnmae = 1\n", encoding="utf-8")
    for verb in ("check", "show"):
        status, output, errors = call("config", verb, "--config", config)
        assert (status, output, errors.count("\n")) == (2, "", 1)
        assert f"{config}:2: ring.nmae: expected a key of [ring]" in errors


def test_output_that_nobody_reads_to_its_end_is_no_traceback() -> None:
    command = [*NANOTAPE, "config", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == b""


@pytest.mark.parametrize("verb", ["status", "rings", "config"])
def test_output_that_finds_no_room_is_one_line_and_status_1(verb: str, config: Path) -> None:
    words = ["config", "show"] if verb == "config" else [verb]
    words += ["--config", str(config), "--json", *(["--interval", "0.1"] if verb == "status" else [])]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*NANOTAPE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    expected = "nanotape: standard output: cannot be written: No space left on device; make room or write elsewhere\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_verb_whose_streams_are_closed_does_its_work(closed: str, writer: RingWriter, config: Path) -> None:
    """And writes nothing into a file that took a closed stream's descriptor."""
    file = config.parent / "out.pcapng"
    for words in (
        ["rings", "--config", config],
        ["tail", "--config", config, "--start", "oldest", "-c", "3", "--pcapng", file],
        ["tail", "--config", config, "--start", "oldest", "-c", "3"],
    ):
        command = shlex.join([*NANOTAPE, *map(str, words)])
        done = subprocess.run(["/bin/sh", "-c", f"{command} {closed}"], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert len(parse(file.read_bytes()).packets) == 3
