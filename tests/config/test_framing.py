"""Framings of the configuration: those that are built in, a user's own, and what is wrong with one."""

import json

import pytest

from nanotape.config import ConfigError, loads
from nanotape.config.framing import BUILT_IN, Framing

HOUSE = '[framing.house]\nendian = "big"\nheader = 12\nsequence = { offset = 0, width = 8 }\n'
CHANNEL = (
    '[source]\ninterface = "e"\n[[channel]]\nname = "c"\nfeed = "f"\nframing = "FRAMING"\n'
    'line = [{ group = "239.0.0.1", port = 1 }]\n'
)


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "x.toml")
    (line,) = caught.value.lines
    return line


@pytest.mark.parametrize("name", [*BUILT_IN, "none", "house"])
def test_a_channel_may_name_any_framing_that_is_known(name: str) -> None:
    settings = loads(HOUSE + CHANNEL.replace("FRAMING", name), "x.toml")
    assert settings.channel[0].framing == name
    assert set(settings.framings) == {*BUILT_IN, "house"}


def test_another_one_is_refused_with_what_is_near() -> None:
    line = refused(HOUSE + CHANNEL.replace("FRAMING", "mold64"))
    assert line.startswith(
        'x.toml:10: channel[0].framing: expected a framing that is known, found "mold64"; did you mean "moldudp64"?'
    )


def test_built_in_names_are_taken() -> None:
    line = refused(HOUSE.replace("house", "opra"))
    assert line.startswith('x.toml:1: framing.opra: expected a name of its own, found "opra", which is built in; ')


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("count = { offset = 0, width = 9 }", "framing.house.count.width: expected a whole number from 1 to 8"),
        ("key = { offset = 10, width = 4 }", "expected key inside the header's 12 bytes; it ends at 14"),
        ("unsequenced = 0\nchain = { offset = 0, width = 2 }", "expected neither count nor unsequenced with chain"),
        ("heartbeat_count = 0", "expected count too, where heartbeat_count or end_count is set"),
        ("session = { offset = 0, width = 10 }", "expected a number of at most 8 bytes"),
        ("key = { offset = 0, width = 4, mask = 255, signed = true }", "expected signed of a whole number only"),
        ("key = { offset = 0, width = 4, text = true, signed = true }", "expected signed of a whole number only"),
        ('send = { form = "s+ns", offset = 0, width = 4 }', 'expected ns_offset with form "s+ns", and only then'),
        ('status = { offset = 1, values = { x = "data" } }', 'expected values from "0" to "255", not "x"'),
        ("expect = [{ offset = 0, width = 1, values = [] }]", "expected 1 to 4 values"),
        ("sequense = 1", "framing.house.sequense: expected a key of [framing.house], found an unknown key; did"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_framing_is_one_line(more: str, expected: str) -> None:
    line = refused(HOUSE + more)
    assert expected in line
    assert line.startswith("x.toml:")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_framing_is_the_same_after_json(name: str) -> None:
    text = json.dumps(BUILT_IN[name].model_dump(mode="json", exclude_none=True))
    assert Framing.model_validate(json.loads(text)) == BUILT_IN[name]
