"""An end that comes for certain."""

from __future__ import annotations

import subprocess
import sys

import pytest

WAITING = """
import threading
from nanotape.tui.terminal_end import end_at_last

end_at_last(3, {})
threading.Event().wait({})
"""


@pytest.mark.parametrize(("after_s", "waits_s", "status"), [(0.05, 60, 3), (60, 0, 0)])
def test_a_process_that_waits_without_end_ends_and_one_that_does_not_is_left_alone(
    after_s: float, waits_s: float, status: int
) -> None:
    done = subprocess.run([sys.executable, "-c", WAITING.format(after_s, waits_s)], check=False, timeout=50)
    assert done.returncode == status
