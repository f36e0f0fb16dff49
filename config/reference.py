"""Writes the table of all keys into docs/configuration.md: `python -m nanotape.config.reference docs/configuration.md`.

The table stands between two marker lines; the rest of the page is left alone.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanotape.config.rules import quoted
from nanotape.config.show import json_schema

BEGIN = "<!-- keys: begin, written by nanotape.config.reference -->"
END = "<!-- keys: end -->"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Key, accepted values, default and meaning of everything that a configuration may set."""
    schema = json_schema()
    yield from _rows(schema, schema, "")


def table() -> str:
    """The rows as a Markdown table."""
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows()]
    return "\n".join(lines)


def replaced(page: str) -> str:
    """`page` with the table between its markers renewed."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _rows(schema: dict[str, Any], node: dict[str, Any], at: str) -> Iterator[tuple[str, str, str, str]]:
    required = node.get("required", [])
    for key, field in node["properties"].items():
        if "oneOf" in field:
            yield from _one_or_several(schema, field["oneOf"], f"{at}{key}")
            continue
        if reference := _reference(field):
            inner = schema["$defs"][reference.rsplit("/", 1)[1]]
            yield from _rows(schema, inner, f"{at}{key}{'[]' if 'items' in field else ''}.")
            continue
        if named := _named(field):
            inner = schema["$defs"][named.rsplit("/", 1)[1]]
            yield from _rows(schema, inner, f"{at}{key}.NAME.")
            continue
        default = field.get("default")
        default_text = f"`{'[]' if default == [] else quoted(default)}`"
        default_text = "required" if key in required else "not set" if default is None else default_text
        yield f"`{at}{key}`", _takes(field), default_text, " ".join(field["description"].split())


def _one_or_several(
    schema: dict[str, Any], shapes: list[dict[str, Any]], at: str
) -> Iterator[tuple[str, str, str, str]]:
    """The keys of a table, and what an array of such tables has besides."""
    one, several = (schema["$defs"][_reference(shape).rsplit("/", 1)[1]] for shape in shapes)
    yield from _rows(schema, one, f"{at}.")
    for key, field in several["properties"].items():
        if key not in one["properties"]:
            yield f"`{at}[].{key}`", f"the keys of `{key}`", f"as `{key}`", " ".join(field["description"].split())


def _reference(field: dict[str, Any]) -> str:
    """The table that a field is, or has in an array; empty: neither."""
    return str(field.get("$ref") or field.get("items", {}).get("$ref") or "")


def _named(field: dict[str, Any]) -> str:
    """The table of which a field has several, each with a name of its own; empty: it has none."""
    tables = [field.get("additionalProperties"), *field.get("patternProperties", {}).values()]
    return next((str(each["$ref"]) for each in tables if isinstance(each, dict) and "$ref" in each), "")


def _takes(field: dict[str, Any]) -> str:
    if "enum" in field and len(field["enum"]) > 6:
        first, last = field["enum"][0], field["enum"][-1]
        return f"{quoted(first)} ... {quoted(last)}" if isinstance(first, int) else ", ".join(field["enum"])
    if "enum" in field:
        return ", ".join(f"`{quoted(value)}`" for value in field["enum"])
    if "anyOf" in field and "type" not in field:
        return " or ".join(_takes(each) for each in field["anyOf"])
    if field["type"] == "integer":
        return f"{field['minimum']} to {field['maximum']}"
    return {"boolean": "`true`, `false`", "array": "array of text"}.get(field["type"], "text")


def main() -> None:
    """Renews the table in the page that the command line names."""
    page = Path(sys.argv[1])
    page.write_text(replaced(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
