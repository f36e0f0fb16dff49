"""Reads the TOML files of a configuration into one tree and remembers the file and line of everything in it.

Tables merge, arrays of tables append, everything else is replaced by the later file. Raises nothing but ConfigError.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from nanotape.config.errors import ConfigError
from nanotape.config.locate import KeyPath, locate

Tree = dict[str, Any]

DEFAULT_FILE = Path("/etc/nanotape/nanotape.toml")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int
    """From 1."""

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump to it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each value of a configuration came from; not compared, so that settings are equal when their values are."""

    places: Mapping[KeyPath, Place] = field(default_factory=dict, compare=False)
    files: tuple[Path, ...] = field(default=(), compare=False)

    def of(self, path: KeyPath) -> Place | None:
        """Where `path` was set; None: nowhere, it has its default."""
        return self.places.get(path)

    def near(self, path: KeyPath) -> str:
        """Where to look for `path`, or for the nearest table around it; at least the main file."""
        place = self._near(path)
        return str(place or (self.files[0] if self.files else "configuration"))

    def order(self, path: KeyPath) -> tuple[int, int]:
        """Sorts paths as they stand in the files, one file after the other."""
        place = self._near(path)
        names = [str(file) for file in self.files]
        return (names.index(place.file), place.line) if place else (0, 0)

    def _near(self, path: KeyPath) -> Place | None:
        tables = (self.places.get(path[:length]) for length in range(len(path), 0, -1))
        return next((place for place in tables if place), None)


@dataclass(frozen=True, slots=True)
class Document:
    """The merged tree of all files, with the origins of what is in it."""

    tree: Tree
    origins: Origins


def read(file: Path) -> Document:
    """Reads `file`, then `conf.d/*.toml` beside it in the order of their names.

    Raises:
        ConfigError: a file cannot be read, or is not TOML; files after the first bad one are still looked at.
    """
    tree: Tree = {}
    places: dict[KeyPath, Place] = {}
    lines: list[str] = []
    files = [file]
    try:
        files += _drop_ins(file)
    except ConfigError as error:
        lines += error.lines
    for each in files:
        try:
            document = parse(_text(each), str(each))
        except ConfigError as error:
            lines += error.lines
        else:
            _merge(tree, places, document, (), document.tree)
    if lines:
        raise ConfigError(lines)
    return Document(tree, Origins(places, tuple(files)))


def parse(text: str, name: str) -> Document:
    """Reads TOML text; `name` stands for the file in what is said about it.

    Raises:
        ConfigError: `text` is not TOML.
    """
    try:
        tree = tomllib.loads(text)
        lines = locate(text.replace("\r\n", "\n"))
    except RecursionError:
        raise ConfigError([f"{name}: expected TOML, found tables or arrays nested too deeply; flatten them"]) from None
    except ValueError as error:
        raise ConfigError([_syntax_line(text, name, str(error))]) from None
    places = {path: Place(name, line) for path, line in lines.items()}
    return Document(tree, Origins(places, (Path(name),)))


def _syntax_line(text: str, name: str, message: str) -> str:
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
    what = re.sub(r" \(at .*\)$", "", message)
    where = f" at column {found[2]}" if found else " at the end" if "at end of document" in message else ""
    return f"{name}:{line}: expected TOML, found an error{where}: {what}; correct this line or the one before"


def _drop_ins(file: Path) -> list[Path]:
    folder = file.parent / "conf.d"
    try:
        names = sorted(os.listdir(folder))  # glob would pass over a folder that it may not read in silence
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        advice = "give its reader the right to it, or remove it"
        raise ConfigError([f"{folder}: expected to read this folder, found: {error.strerror}; {advice}"]) from None
    return [folder / name for name in names if name.endswith(".toml") and not name.startswith(".")]


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        advice = "write one (config/examples has some to begin with) or name another with -c FILE"
        raise ConfigError([f"{file}: expected a configuration file, found none; {advice}"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{file}: expected a file, found a directory; name the file in it with -c FILE"]) from None
    except PermissionError:
        advice = "run as its owner or `chmod a+r` it"
        raise ConfigError([f"{file}: expected to read it, found no permission; {advice}"]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([f"{file}: expected a readable file, found: {error}; name another with -c FILE"]) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise ConfigError([f"{file}:{line}: expected UTF-8, found {found}; save the file as UTF-8"]) from None


def _merge(tree: Tree, places: dict[KeyPath, Place], over: Document, at: KeyPath, table: Tree) -> None:
    for key, value in table.items():
        path, old = (*at, key), tree.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, places, over, path, value)
        elif _is_tables(old) and _is_tables(value):
            _adopt(places, over, path, shift=len(old))
            old.extend(value)
        else:
            for stale in [each for each in places if each[: len(path)] == path]:
                del places[stale]
            _adopt(places, over, path, shift=0)
            tree[key] = value


def _adopt(places: dict[KeyPath, Place], over: Document, at: KeyPath, shift: int) -> None:
    depth = len(at)
    for path, place in over.origins.places.items():
        if path[:depth] != at:
            continue
        index = path[depth] if len(path) > depth else None
        moved = (*at, index + shift, *path[depth + 1 :]) if isinstance(index, int) else path
        places.setdefault(moved, place)


def _is_tables(value: object) -> TypeGuard[list[Tree]]:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
