"""`channels_from`: channels out of a venue's CSV file, as if each stood in the configuration as a `[[channel]]`.

One row is a line of a channel, or a channel with a column for each of its lines (`Group A`, `Port A`, `Group B`, ...).
The usual names of columns are understood; columns of other names are passed over. Values are checked with all others.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from nanotape.config.document import Document, Origins, Place, Tree
from nanotape.config.errors import ConfigError
from nanotape.config.locate import KeyPath
from nanotape.config.rules import JsonSchema, Rule, refused

KEY = "channels_from"
_CHANNEL_KEYS = ("feed", "framing", "role", "session", "ring", "stale_after")
_LINE_KEYS = ("group", "port", "source", "interface", "vlan")
_NAMES = {
    "name": "channel|name|channelname|channelid|channelnumber|id|multicastchannel",
    "feed": "feed|product|service|feedname",
    "framing": "framing|protocol",
    "role": "role",
    "session": "session",
    "ring": "ring",
    "stale_after": "staleafter",
    "line": "line|side|feedline|network",
    "group": "group|ip|ipaddress|address|multicast|multicastgroup|multicastip|multicastaddress|groupip|groupaddress|"
    "destinationip|destip|dstip|destination|mcastgroup|mcastip",
    "port": "port|udpport|destinationport|destport|dstport|multicastport|ipport",
    "source": "source|sourceip|srcip|sourceaddress|src|sender",
    "interface": "interface|nic",
    "vlan": "vlan|vlanid",
}  # fmt: skip
_KEYS = {name: key for key, names in _NAMES.items() for name in names.split("|")}
_SIDES = {"a": "A", "b": "B", "c": "C", "primary": "A", "secondary": "B"}


@dataclass(frozen=True, slots=True)
class FileNames(Rule):
    """The name of a file, or an array of them."""

    def parse(self, value: object) -> tuple[str, ...]:
        """Returns the names."""
        names = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
        if not all(isinstance(each, str) and each and each.isprintable() for each in names) or (value and not names):
            raise refused("the name of a CSV file, or an array of such", 'write for example "opra.csv"')
        return tuple(names)

    def plain(self, value: tuple[str, ...]) -> list[str]:
        """An array of text."""
        return list(value)

    def schema(self) -> JsonSchema:
        """An array of text; one name by itself will do too."""
        return {"type": "array", "items": {"type": "string", "minLength": 1}}


def with_channels(document: Document) -> Document:
    """The same document with the channels of its files in their places.

    Raises:
        ConfigError: A file cannot be read, or has no columns that would make channels.
    """
    try:
        names = FileNames().parse(document.tree.get(KEY, ()))
    except PydanticCustomError:  # the model refuses it too, with its place
        return document
    if not names or not isinstance(document.tree.get("channel", []), list):
        return document
    tree: Tree = {key: value for key, value in document.tree.items() if key != KEY}
    places = dict(document.origins.places)
    channels = list(tree.get("channel", []))
    at = places.get((KEY,))
    folder = Path(at.file).parent if at else Path()
    for name in names:
        file = folder / name
        for channel, lines in _channels(file, _text(file, at), tree.get("channel_defaults", {})):
            _place(places, ("channel", len(channels)), channel, [Place(str(file), line) for line in lines])
            channels.append(channel)
    tree["channel"] = channels
    return Document(tree, Origins(places, (*document.origins.files, *(folder / name for name in names))))


def _place(places: dict[KeyPath, Place], path: KeyPath, channel: Tree, rows: list[Place]) -> None:
    """All of a channel came from its rows, also what the defaults gave them."""
    tables = [(path, channel, rows[0])]
    tables += [
        ((*path, "line", at), line, row) for at, (line, row) in enumerate(zip(channel["line"], rows, strict=True))
    ]
    for at, table, row in tables:
        places[at] = row
        places.update({(*at, key): row for key in table})


def _text(file: Path, at: Place | None) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror or "an error" if isinstance(error, OSError) else "bytes that are not UTF-8"
        where = str(at or "configuration")
        raise ConfigError([f"{where}: {KEY}: expected the file {file}, found {found}; correct the name"]) from None


def _channels(file: Path, text: str, defaults: object) -> Iterator[tuple[Tree, list[int]]]:
    """Each channel, and the lines of the file that its own lines stand in."""
    rows = _rows(file, text)
    header = next(rows, None)
    if header is None:
        raise ConfigError([f"{file}: expected a header and rows, found nothing; correct the file"])
    columns = [_column(name) for name in header[1]]
    _check(file, header, columns)
    given: Mapping[str, Any] = defaults if isinstance(defaults, dict) else {}
    made: dict[str, tuple[Tree, list[int]]] = {}
    for number, cells in rows:
        values = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if column and cell.strip()}
        name = values.get(("name", ""), "")
        channel, lines = made.setdefault(name, (_channel(name, values, given), []))
        _compare(f"{file}:{number}", channel, values)
        for line in _lines(values, given, len(channel["line"])):
            channel["line"].append(line)
            lines.append(number)
        if not channel["line"]:
            raise ConfigError([f"{file}:{number}: expected a group and a port, found none; complete or remove the row"])
    yield from made.values()


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row; no blank rows, and none that begin with #."""
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ConfigError([f"{file}:{reader.line_num}: expected rows of a CSV file, found none: {error}"]) from None
        if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
            yield reader.line_num, cells


def _column(name: str) -> tuple[str, str] | None:
    """The key that a column holds, and the line that it is of: "" for all; None: it is of no use."""
    words = re.findall("[a-z0-9]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower())
    plain = _KEYS.get("".join(words))
    if plain:
        return plain, ""
    for at, word in enumerate(words):
        if word in _SIDES:
            rest = [other for other in (*words[:at], *words[at + 1 :]) if other not in ("line", "feed")]
            key = _KEYS.get("".join(rest))
            if key in _LINE_KEYS:
                return key, _SIDES[word]
    return None


def _check(file: Path, header: tuple[int, list[str]], columns: list[tuple[str, str] | None]) -> None:
    found = {column[0] for column in columns if column}
    lacking = [key for key in ("name", "group") if key not in found]
    if lacking or not {"port"} <= found:
        lacking += [] if "port" in found else ["port"]
        known = "; ".join(f"{key}: {', '.join(_NAMES[key].split('|')[:4])}, ..." for key in lacking)
        shown = ", ".join(header[1])
        raise ConfigError([f"{file}:{header[0]}: expected columns {known}; found {shown}; name them so"])
    twice = {column for column in columns if column and columns.count(column) > 1}
    if twice:
        what = ", ".join(" ".join(each).strip() for each in sorted(twice))
        raise ConfigError(
            [f"{file}:{header[0]}: expected one column for each key, found several for {what}; drop some"]
        )


def _channel(name: str, values: Mapping[tuple[str, str], str], defaults: Mapping[str, Any]) -> Tree:
    channel: Tree = {key: defaults[key] for key in _CHANNEL_KEYS if key in defaults}
    channel |= {key: values[key, ""] for key in _CHANNEL_KEYS if (key, "") in values}
    return {**channel, "name": name, "line": []}


def _compare(where: str, channel: Tree, values: Mapping[tuple[str, str], str]) -> None:
    """What one row says of a channel all its rows say, or nothing: else one of them would count for nothing."""
    for key in _CHANNEL_KEYS:
        found = values.get((key, ""))
        if found is not None and found != channel.get(key):
            expected = f"{key} {channel[key]!r}, as in the rows before" if key in channel else f"no {key}, as before"
            name = channel["name"]
            raise ConfigError([f"{where}: channel {name}: expected {expected}, found {found!r}; correct one of them"])


def _lines(values: Mapping[tuple[str, str], str], defaults: Mapping[str, Any], before: int) -> Iterator[Tree]:
    """Those that a row tells of: one, or one for each side with a group."""
    sides = sorted({side for key, side in values if key == "group"})
    for side in sides:
        line: Tree = {key: defaults[key] for key in _LINE_KEYS if key in defaults}
        line |= {key: values[key, at] for at in ("", side) for key in _LINE_KEYS if (key, at) in values}
        line["name"] = side or values.get(("line", ""), "ABCDEFGHIJKLMNOP"[min(before, 15)])
        yield {key: _number(value) if key in ("port", "vlan") else value for key, value in line.items()}


def _number(text: Any) -> Any:
    return int(text) if isinstance(text, str) and re.fullmatch("[0-9]{1,9}", text) else text
