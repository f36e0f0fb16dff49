"""The locator finds the line of everything that tomllib finds, in texts of every form."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanotape.config.locate import KeyPath, key_text, locate

KEYS = ["a", "b", "c-d", "1", "x.y", "e f", 'q"t', "é", "#k", "[z]"]
NOISE = [
    '"[x]"',
    "'# no = 1'",
    '"""\n[a]\n# "x" = 1\n"""',
    "'''\n'' a = [ 1 '''",
    '"\\"#]}"',
    '""',
    "''",
    '"""a"""""',
    "'''a'''''",
    '"""\\\n  b \\""" """',
    "1979-05-27 07:32:00",
    "1.5e3",
    "true",
]
MARK = "@"  # each becomes the number of the line that it stands on: the text is its own oracle


def test_a_file_by_hand() -> None:
    text = """# one
a = 1
b.c = [ 2,
  { d = 3 }, # ]
]

[[t]]
x = '''
[no]
'''
[t.s]
"k k" = 4
[[t]]
[e.f]
[e]
g = { h = 1, i.j = 2 }
"""
    assert locate(text) == {
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 1): 4,
        ("b", "c", 1, "d"): 4,
        ("t",): 7,
        ("t", 0): 7,
        ("t", 0, "x"): 8,
        ("t", 0, "s"): 11,
        ("t", 0, "s", "k k"): 12,
        ("t", 1): 13,
        ("e", "f"): 14,
        ("e",): 15,
        ("e", "g"): 16,
        ("e", "g", "h"): 16,
        ("e", "g", "i"): 16,
        ("e", "g", "i", "j"): 16,
    }


def test_a_table_under_an_array_of_tables_belongs_to_its_newest_element() -> None:
    text = "[[a]]\n[[a.b]]\n[[a.b]]\nx=1\n[[a]]\n[[a.b]]\nx=1\n[a.b.c]\ny=1\n"
    lines = locate(text)
    assert lines["a", 0, "b", 1, "x"] == 4
    assert lines["a", 1, "b", 0, "x"] == 7
    assert lines["a", 1, "b", 0, "c", "y"] == 9


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("channel", 0, "line", 1, "port"), "channel[0].line[1].port"),
        (("a b", "c"), '"a b".c'),
        ((), ""),
        (("",), '""'),
    ],
)
def test_paths_are_written_as_people_write_them(path: KeyPath, text: str) -> None:
    assert key_text(path) == text


class _Writer:
    """Writes a drawn tree as TOML in drawn styles."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.out: list[str] = []

    def blank(self) -> str:
        return self.draw(st.sampled_from(["", "", " ", "\n", "  # [c] = '\n", "\n\n\t"]))

    def key(self, key: str) -> str:
        basic = '"' + key.replace('"', '\\"') + '"'
        styles = [basic, f"'{key}'"]
        if key.isascii() and key.replace("-", "").isalnum():
            styles.append(key)
        return self.draw(st.sampled_from(styles))

    def keys(self, path: list[str]) -> str:
        return self.draw(st.sampled_from([".", " . ", "\t."])).join(self.key(key) for key in path)

    def value(self, node: Any) -> str:
        if isinstance(node, list):
            items = [self.blank() + self.value(each) + self.blank() for each in node]
            last = self.draw(st.sampled_from(["", ","])) if items else ""
            return "[" + ",".join(items) + last + self.blank() + "]"
        if isinstance(node, dict):
            return "{" + ", ".join(f"{self.key(key)} = {self.value(each)}" for key, each in node.items()) + "}"
        return str(node)

    def table(self, node: dict[str, Any], at: list[str]) -> None:
        for key, each in node.items():
            if not isinstance(each, tuple):
                self.pair([key], each)
            elif each[0] == "dotted":
                for inner, deeper in each[1].items():
                    self.pair([key, inner], deeper)
        for key, each in node.items():
            if isinstance(each, tuple) and each[0] == "table":
                self.out.append(f"{self.blank()}[{self.keys([*at, key])}]{self.tail()}")
                self.table(each[1], [*at, key])
            elif isinstance(each, tuple) and each[0] == "tables":
                for inner in each[1]:
                    self.out.append(f"{self.blank()}[[ {self.keys([*at, key])} ]]{self.tail()}")
                    self.table(inner, [*at, key])

    def pair(self, path: list[str], node: Any) -> None:
        equals = self.draw(st.sampled_from(["=", " = "]))
        self.out.append(f"{self.blank()}{self.keys(path)}{equals}{self.value(node)}{self.tail()}")

    def tail(self) -> str:
        return self.draw(st.sampled_from(["\n", " \n", " # x = [\n", "\r\n"]))


def _dictionaries(values: st.SearchStrategy[Any], at_least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(KEYS), values, min_size=at_least, max_size=3)


SCALARS = st.just(MARK) | st.sampled_from(NOISE)
FLAT = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | _dictionaries(inner), max_leaves=5)
TABLES = st.recursive(
    _dictionaries(FLAT),
    lambda inner: _dictionaries(
        FLAT
        | st.tuples(st.just("dotted"), _dictionaries(FLAT, at_least=1))
        | st.tuples(st.just("table"), inner)
        | st.tuples(st.just("tables"), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    writer = _Writer(draw)
    writer.table(draw(TABLES), [])
    text = "".join(writer.out)
    # a line break inside an inline table (a multi-line string there) is TOML, and numbers each mark by its own line
    return "\n".join(line.replace(MARK, str(number)) for number, line in enumerate(text.split("\n"), 1))


def _walk(node: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if path:
        yield path, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in pairs:
        yield from _walk(inner, (*path, key))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_every_mark_is_found_on_its_own_line(text: str) -> None:
    found = dict(_walk(tomllib.loads(text)))
    lines = locate(text)
    assert lines.keys() == found.keys()
    assert [(path, lines[path]) for path, value in found.items() if type(value) is int] == [
        (path, value) for path, value in found.items() if type(value) is int
    ]
