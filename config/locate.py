"""Finds the line of every key, table and array element of a TOML text, because tomllib tells none of them.

Reads only text that tomllib has accepted: it checks nothing itself, and what it does on other text is not defined.
"""

import json
import re
import tomllib
from bisect import bisect_left

KeyPath = tuple[str | int, ...]
"""Keys and array indexes (from 0) from the top of the document, such as ("channel", 0, "line", 1, "port")."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'  # up to two quotes may stand before the closing three
    r"|'''.*?''''{0,2}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^,\]}\r\n#]+",
    re.DOTALL,
)


def key_text(path: KeyPath) -> str:
    """A path as people write it: `channel[0].line[1].port`, counted from 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in path)
    return text.removeprefix(".")


def _quoted(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else json.dumps(key)


def locate(text: str) -> dict[KeyPath, int]:
    """Lines, from 1, of what `text` sets: tables at their header, values at their key, elements where they begin."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._position = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._array_lengths: dict[KeyPath, int] = {}  # only of [[arrays of tables]]: headers add to no other

    def document(self) -> None:
        table: KeyPath = ()
        self._skip()
        while self._position < len(self._text):
            table = self._header() if self._peek() == "[" else self._pair(table)
            self._skip()

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._position)
        self._position = match.end() if match else self._position

    def _line(self) -> int:
        return bisect_left(self._ends, self._position) + 1

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self._text.startswith("[[", self._position)
        self._position += 2 if is_array else 1
        *parents, last = self._keys()
        self._position += 2 if is_array else 1
        path: KeyPath = ()
        for key in parents:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)
        path = (*path, last)
        if not is_array:
            self.lines[path] = line  # also where [a.b] has named `a` before [a] does
            return path
        self.lines.setdefault(path, line)
        index = self._array_lengths.get(path, 0)
        self._array_lengths[path] = index + 1
        self.lines[*path, index] = line
        return (*path, index)

    def _keys(self) -> list[str]:
        keys = []
        while match := _KEY.match(self._text, self._position):
            self._position = match.end()
            keys.append(match[1] if match[1][0] not in "\"'" else next(iter(tomllib.loads(f"{match[1]}=0"))))
            if self._peek() != ".":
                break
            self._position += 1
        return keys

    def _pair(self, table: KeyPath) -> KeyPath:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._position += 1  # the equals sign
        self._value(path)
        return table

    def _value(self, path: KeyPath) -> None:
        self._skip()
        self.lines.setdefault(path, self._line())
        opening = self._peek()
        if opening not in ("[", "{"):
            match = _SCALAR.match(self._text, self._position)
            self._position = match.end() if match else len(self._text)
            return
        self._position += 1
        self._skip()
        index = 0
        while self._position < len(self._text) and self._peek() not in ("]", "}"):
            if opening == "[":
                self._value((*path, index))
            else:
                self._pair(path)
            index += 1
            self._skip()
            self._position += self._peek() == ","
            self._skip()
        self._position += 1
