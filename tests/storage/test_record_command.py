"""`nanotape record` as the supervisor and an operator start it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadline import wait_for

pytest.importorskip("nanotape.native", reason="a pure build has no ring")

from ring_writer import RingWriter
from test_record_ring import GROUP, NOBODY, frames, rows

from nanotape.storage.archive import Archive
from nanotape.storage.lock import RecorderLock

CONFIG = """
[paths]
run_dir = "{folder}/run"
archive = "{folder}/archive"
shm_dir = "{folder}"
[user]
capture = "{capture}"
record = "nobody"
group = "{group}"
[ring]
name = "test"
[source]
kind = "synthetic"
[recorder]
flush_interval = "50ms"
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
AS_ROOT = ("--user", "0", "--group", "0")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to all, with a configuration and a ring's writer's place in it."""
    folder = Path(tempfile.mkdtemp(prefix="nanotape-record-", dir="/var/tmp"))
    folder.chmod(0o777)
    (folder / "nanotape.toml").write_text(CONFIG.format(folder=folder, capture=GROUP, group=GROUP))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def writer(folder: Path) -> Iterator[RingWriter]:
    writer = RingWriter.attach(folder)
    for name in ("test.ring", "test.data"):
        os.chown(folder / name, -1, GROUP if os.geteuid() == 0 else -1)
    writer.write(*frames(1, 1000))
    yield writer
    writer.close()


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "nanotape.cli.main", "record", "--config", str(folder / "nanotape.toml"), *options]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_supervised_recorder_says_ready_and_at_the_end_its_totals(folder: Path, writer: RingWriter) -> None:
    with running(command(folder, *AS_ROOT, "--supervised", str(os.getpid()))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wait_for(lambda: rows(folder) == 1000, "all rows")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    totals = json.loads(output)
    assert {name: totals[name] for name in ("begin_seq", "recorded", "lost", "write_failures", "backlog")} == {
        "begin_seq": 1, "recorded": 1000, "lost": 0, "write_failures": 0, "backlog": 0,
    }  # fmt: skip
    assert (process.returncode, errors) == (0, "")


def test_an_operator_is_told_the_totals_in_a_line(folder: Path, writer: RingWriter) -> None:
    with running(command(folder, *AS_ROOT)) as process:
        wait_for(lambda: rows(folder) == 1000, "all rows")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "")
    assert errors == "nanotape: 1,000 packets recorded, 0 lost, 0 not written, 0 left in the ring\n"


@pytest.mark.parametrize("trouble", ["locked", "no directory", "a part that cannot be recovered", "ahead of the ring"])
def test_what_keeps_it_from_writing_is_one_line_and_no_ready(folder: Path, writer: RingWriter, trouble: str) -> None:
    directory = folder / "archive" / "segments" / "test"
    directory.mkdir(parents=True)
    lock = RecorderLock(directory) if trouble == "locked" else None
    name = "20261120T203700.000000000Z-000000000001.arrow"
    if trouble == "no directory":
        shutil.rmtree(directory)
        directory.touch()
    elif trouble == "a part that cannot be recovered":
        (directory / name).touch()
        (directory / f"{name}.part").touch()
    elif trouble == "ahead of the ring":
        writer.close()
        content = {suffix: (folder / f"test.{suffix}").read_bytes() for suffix in ("ring", "data")}
        again = RingWriter.attach(folder)
        again.write(*frames(1001, 500))
        with running(command(folder, *AS_ROOT)) as process:
            wait_for(lambda: rows(folder) == 1500, "all rows")
        again.close()
        for suffix, old in content.items():
            (folder / f"test.{suffix}").write_bytes(old)
    with running(command(folder, *AS_ROOT, "--supervised", str(os.getpid()))) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (1, ""), errors
    lines = [line for line in errors.splitlines() if ": finished, " not in line]
    assert len(lines) == 1, errors
    expected = {
        "locked": f"already recorded by process {os.getpid()}; stop it",
        "no directory": "a directory expected, found a file in its place",
        "a part that cannot be recovered": "a finished segment of the same name is there too; move one of them away",
        "ahead of the ring": "up to its newest sequence 1000, found rows up to 1500: the ring is older than the",
    }
    assert expected[trouble] in lines[0]
    if lock:
        lock.release()


def test_a_recorder_whose_supervisor_was_gone_before_it_looked_ends_at_once(folder: Path, writer: RingWriter) -> None:
    """It is an orphan from the first on: its parent is not the process that it is told."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with running(command(folder, *AS_ROOT, "--supervised", str(gone.pid))) as process:
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "")
    assert not (folder / "archive").exists()


def test_the_help_names_the_supervisors_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nanotape.cli.main", "record", "--help"],
        capture_output=True, text=True, check=True, env={**ENVIRONMENT, "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip
    assert "--supervised" in done.stdout
    assert "PID" in done.stdout


@pytest.mark.root
def test_root_records_as_the_configured_user(folder: Path, writer: RingWriter) -> None:
    """And leaves nothing behind that would lock the service's own recorder out."""
    with running(command(folder, "--json")) as process:
        wait_for(lambda: rows(folder) == 1000, "all rows")
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert json.loads(output)["recorded"] == 1000
    assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
    assert f"Gid:\t{GROUP}\t{GROUP}\t{GROUP}\t{GROUP}" in status
    made = [folder / "archive", *(folder / "archive").rglob("*")]
    assert {path.stat().st_uid for path in made} == {NOBODY}


@pytest.mark.root
def test_root_without_the_configured_user_is_one_line(folder: Path, writer: RingWriter) -> None:
    config = folder / "nanotape.toml"
    config.write_text(config.read_text().replace('record = "nobody"', 'record = "nobody-at-all"'))
    with running(command(folder)) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert errors.count("\n") == 1
    assert "user.record" in errors
    assert not (folder / "archive").exists()


def test_a_log_that_cannot_be_written_does_not_end_recording(folder: Path, writer: RingWriter) -> None:
    """It has something to say: its status file cannot be made."""
    (folder / "run").touch()
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen(
            command(folder, *AS_ROOT, "--json"), stdout=subprocess.PIPE, stderr=full, env=ENVIRONMENT
        ) as p,
    ):
        wait_for(lambda: rows(folder) == 1000, "all rows")
        p.send_signal(signal.SIGTERM)
        output, _ = p.communicate(timeout=20)
    assert json.loads(output)["recorded"] == 1000
    assert p.returncode == 0


def test_beside_recording_each_segment_has_its_command_and_the_archive_is_kept_small(
    folder: Path, writer: RingWriter
) -> None:
    config, log = folder / "nanotape.toml", folder / "segments"
    config.write_text(
        f"""{config.read_text()}
rotate_bytes = "64 KiB"
compression = "none"
post_rotate = ["/bin/sh", "-c", 'echo "$1" >> {log}', "hook"]
[archive]
keep_free = "0"
max_bytes = "2 MiB"
"""
    )
    with running(command(folder, *AS_ROOT)) as process:
        wait_for(lambda: rows(folder) == 1000, "all rows")
        for first in range(1001, 20_001, 1000):
            writer.write(*frames(first, 1000))
            wait_for(lambda last=first + 999: newest(folder) == last, "the rest")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    with running(command(folder, *AS_ROOT)) as process:  # looks at once
        wait_for(lambda: rows(folder) < 20_000, "a deletion")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    told = log.read_text().splitlines()
    assert len(told) > 10
    assert told == sorted(told)
    archive = Archive(folder / "archive")
    sequences = archive.table(["ring_seq"]).column("ring_seq").to_pylist()
    assert sequences == list(range(sequences[0], 20_001))
    events = archive.rows("events", ["kind", "packets_lost"]).to_pylist()
    assert sum(each["packets_lost"] for each in events if each["kind"] == "retention") == sequences[0] - 1


def newest(folder: Path) -> int:
    ends = Archive(folder / "archive").visible().ends
    return max(ends.values(), default=0)
