"""Runs nanotape-bench: what cannot be measured from Python."""

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from nanotape.cli.bench.errors import BenchError
from nanotape.native import executable


def run_native(verb: str, *words: str | int, wrap: Sequence[str] = ()) -> dict[str, Any]:
    """What a verb of nanotape-bench measured.

    Args:
        verb: Its name.
        words: Its options.
        wrap: Put before the command: `ip netns exec NAME`.

    Raises:
        BenchError: It failed, or is not installed.
    """
    try:
        command = [*wrap, str(executable("nanotape-bench")), verb, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(str(error)) from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BenchError(f"nanotape-bench {verb}: {said[-1] if said else f'ended with {done.returncode}'}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def cores() -> tuple[int, int]:
    """The core that is measured, and the one for all else: the last two that we may use, or twice the only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[-2] if len(usable) > 1 else usable[-1]
