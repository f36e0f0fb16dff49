"""A line that nobody can take must not end what it is about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from nanotape.cli.options import talk
from nanotape.storage.log import log_to_stderr
if sys.argv[1] == "closed file":
    sys.stderr.close()
elif sys.argv[1] == "none":
    sys.stderr = None
for number in range(10_000):
    log_to_stderr(f"line {number}")
    talk(f"line {number}")
print("recorded on")
"""


@pytest.mark.parametrize("stderr", ["full", "closed", "closed file", "none", "pipe without a reader"])
def test_lines_that_cannot_be_written_are_lost_and_nothing_else(stderr: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    redirections = {"full": "2>/dev/full", "closed": "2>&-"}
    command = f'exec "$0" -c "$1" "$2" {redirections.get(stderr, "")}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, PROGRAM, stderr],
        stdout=subprocess.PIPE, stderr=writing, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    os.close(writing)
    assert (done.stdout, done.returncode) == ("recorded on\n", 0)


def test_lines_come_whole_and_in_order(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said:
        subprocess.run(
            [sys.executable, "-c", PROGRAM, "file"], stdout=subprocess.DEVNULL, stderr=said, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
    expected = [f"nanotape: line {number // 2}" for number in range(20_000)]
    assert (tmp_path / "said").read_text().splitlines() == expected
