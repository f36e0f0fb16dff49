"""What goes over a control socket: one JSON object on a line asks, one answers; see docs/control.md.

Whatever a line holds, parsing it gives a `Request` or raises `ControlError` with a line that can be sent back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nanotape.capture.errors import ControlError

Verb = Literal["status", "rotate", "mark", "reload", "restart", "stop"]
VERBS: tuple[Verb, ...] = get_args(Verb)
LINE_BYTES = 8192
"""Of a request, its end included."""
MARK_CHARACTERS = 500
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a service."""

    do: Verb
    text: str = ""
    """Of a mark."""
    interrupt: bool = False
    """Of a reload: whether it may cost packets of channels that stay."""


def socket_path(run_directory: Path, ring: str) -> Path:
    """Where the service of a ring listens: beside its folder, which not all who may steer can enter."""
    return run_directory / f"{ring}.control"


def parse(line: bytes) -> Request:
    """A request from its line.

    Raises:
        ControlError: It is none.
    """
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        shown = line[:_SHOWN].decode("ascii", "backslashreplace").strip()
        raise ControlError(f"expected a JSON object on a line, found {shown!r}") from None
    if not isinstance(asked, dict):
        raise ControlError(f"expected a JSON object on a line, found {type(asked).__name__}")
    known = {"do", "text", "interrupt"}
    if unknown := sorted(map(str, asked.keys() - known)):
        raise ControlError(f"{unknown[0][:_SHOWN]!r}: no such key; known are {', '.join(sorted(known))}")
    do = next((verb for verb in VERBS if verb == asked.get("do")), None)
    if do is None:
        raise ControlError(f"do: expected one of {', '.join(VERBS)}, found {str(asked.get('do'))[:_SHOWN]!r}")
    interrupt = asked.get("interrupt", False)
    if not isinstance(interrupt, bool):
        raise ControlError("interrupt: expected true or false")
    return Request(do, _text(do, asked.get("text")), interrupt)


def _text(do: Verb, text: object) -> str:
    if do != "mark":
        if text is not None:
            raise ControlError(f"text: expected none with {do}")
        return ""
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > MARK_CHARACTERS:
        raise ControlError(f"text: expected printable text of 1 to {MARK_CHARACTERS} characters")
    return text.strip()


def answer_line(answer: Mapping[str, Any]) -> bytes:
    """An answer as it is sent."""
    return json.dumps({"ok": True, **answer}).encode() + b"\n"


def error_line(error: str) -> bytes:
    """A refusal as it is sent."""
    return json.dumps({"ok": False, "error": error}).encode() + b"\n"
