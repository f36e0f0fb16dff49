"""What verbs say to an operator, and to the journal where their standard error is its."""

from __future__ import annotations

import os
import sys

import pytest

from nanotape.cli.options import talk
from nanotape.storage.log import Error


def test_talk_is_a_line_and_no_warning_unless_it_says_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    talk("done")
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    talk("of another stream")
    found = os.fstat(sys.stderr.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    talk("done")
    talk(Error("broken"))
    assert capfd.readouterr().err.splitlines() == [
        "nanotape: done", "nanotape: of another stream", "<6>nanotape: done", "<3>nanotape: broken",
    ]  # fmt: skip
