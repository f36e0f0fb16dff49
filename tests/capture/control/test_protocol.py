"""Whatever a line holds, it is a request or a refusal in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.control.protocol import MARK_CHARACTERS, Request, error_line, parse
from nanotape.capture.errors import ControlError


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"do": "status"}', Request("status")),
        (b'{"do": "mark", "text": " the open "}', Request("mark", "the open")),
        (b'{"do": "reload", "interrupt": true}', Request("reload", interrupt=True)),
    ],
)
def test_a_request_is_read(line: bytes, request_: Request) -> None:
    assert parse(line) == request_


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "expected a JSON object on a line, found ''"),
        (b"\xff\xfe", r"expected a JSON object on a line, found '\\xff\\xfe'"),
        (b"[" * 5000, "expected a JSON object on a line, found"),
        (b"[1]", "expected a JSON object on a line, found list"),
        (b'{"do": "explode"}', "do: expected one of status, rotate, mark, reload, restart, stop, found 'explode'"),
        (b'{"do": ["stop"]}', "do: expected one of"),
        (b'{"do": "stop", "now": 1}', "'now': no such key; known are do, interrupt, text"),
        (b'{"do": "reload", "interrupt": "yes"}', "interrupt: expected true or false"),
        (b'{"do": "rotate", "text": "x"}', "text: expected none with rotate"),
        (b'{"do": "mark"}', "text: expected printable text"),
        (b'{"do": "mark", "text": "two\\nlines"}', "text: expected printable text"),
        (json.dumps({"do": "mark", "text": "x" * (MARK_CHARACTERS + 1)}).encode(), "text: expected printable text"),
    ],
)
def test_what_is_no_request_is_refused_in_a_line(line: bytes, why: str) -> None:
    with pytest.raises(ControlError) as refusal:
        parse(line)
    assert str(refusal.value).startswith(why)
    assert error_line(str(refusal.value)).count(b"\n") == 1


@given(
    st.binary(max_size=200) | st.dictionaries(st.text(max_size=9), st.integers()).map(lambda d: json.dumps(d).encode())
)
def test_no_line_breaks_it(line: bytes) -> None:
    refusals = []
    try:
        parse(line)
    except ControlError as refusal:
        refusals.append(str(refusal))
    assert not any("\n" in each for each in refusals)
