"""Shows a configuration: its JSON Schema, what is in force with where each value came from, and all of it in one line.

What `effective` writes is TOML that loads to the same settings.
"""

import json
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from nanotape.config.flows import flows, interfaces
from nanotape.config.key_docs import key_docs
from nanotape.config.locate import KeyPath, key_text
from nanotape.config.quantity import size_text
from nanotape.config.rings import TABLES
from nanotape.config.settings import Settings


class _Generator(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A table, each key with what its docstring says."""
        generated = super().model_schema(schema)
        table = schema["cls"]
        for name, doc in key_docs(table).items():
            if name in table.model_fields:
                generated["properties"][table.model_fields[name].alias or name]["description"] = doc
        return generated

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """TOML has no null: a key that may be not set is left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Writes a default as TOML would: with its unit; none where it means "not set"; none of a whole table."""
        generated = super().default_schema(schema)
        default = generated.get("default")
        plain = schema["schema"].get("serialization", {}).get("function")
        if default is not None and plain:
            generated["default"] = plain(schema["default"])
        elif default is None or isinstance(default, dict):
            generated.pop("default", None)
        return generated


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a configuration file, for editors and checkers."""
    schema = Settings.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **schema}


def effective(settings: Settings) -> str:
    """The configuration in force as TOML, each value with `# default` or `# FILE:LINE`."""
    files = ", ".join(map(str, settings.files)) or "defaults only"
    return "\n".join([f"# in force: {files}", *_table(settings, (), _values(settings))]) + "\n"


def effective_json(settings: Settings) -> dict[str, Any]:
    """The same for programs: `files`, `settings`, and `origins` by key ("default" or "FILE:LINE")."""
    values = _values(settings)
    origins = {key_text(path): _origin(settings, path) for path in _leaves((), values)}
    return {"files": [str(file) for file in settings.files], "settings": values, "origins": origins}


def summary(settings: Settings) -> dict[str, Any]:
    """What a configuration amounts to; sizes in bytes. Of several rings, each has its own facts in `rings`."""
    files = {"files": [str(file) for file in settings.files]}
    of_each = [_ring_facts(settings.of_ring(name)) for name in settings.rings]
    if len(of_each) == 1:
        return {**files, **of_each[0]}
    totals = {"channels": len(settings.channel), "flows": len(flows(settings)), "interfaces": interfaces(settings)}
    return {**files, **totals, "rings": of_each}


def summary_text(settings: Settings) -> str:
    """`summary` as one line of talk, and one more for each of several rings."""
    facts = summary(settings)
    begin = f"{', '.join(facts['files'])}: fine: "
    if "rings" not in facts:
        return begin + _ring_text(settings.of_ring(), facts)
    counts = (len(facts["rings"]), "ring"), (facts["channels"], "channel"), (facts["flows"], "flow")
    lines = [begin + ", ".join(_count(number, noun) for number, noun in counts)]
    lines += [_ring_text(settings.of_ring(each["ring"]), each) for each in facts["rings"]]
    return "\n  ".join(lines)


def _ring_facts(settings: Settings) -> dict[str, Any]:
    return {
        "source": settings.source.effective_kind,
        "select": settings.source.selection,
        "interfaces": interfaces(settings),
        "channels": len(settings.channel),
        "flows": len(flows(settings)),
        "ring": settings.ring.name,
        "ring_bytes": settings.ring.capacity_bytes,
    }


def _ring_text(settings: Settings, facts: dict[str, Any]) -> str:
    where = f" on {', '.join(facts['interfaces'])}" if facts["interfaces"] else ""
    select = "" if facts["select"] == "channels" else f" (select {facts['select']})"
    ring = f"ring {facts['ring']} of {size_text(facts['ring_bytes'])} (hugepages {settings.ring.hugepages})"
    flows_text = f"{_count(facts['channels'], 'channel')}, {_count(facts['flows'], 'flow')}"
    nothing = "" if facts["interfaces"] else "; nothing to capture until a [[channel]] is added"
    return f"{flows_text}, source {facts['source']}{select}{where}, {ring}{nothing}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _values(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", by_alias=True)


def _origin(settings: Settings, path: KeyPath) -> str:
    place = settings.origins.of(path)
    if place is None and path[0] == "ring" and len(path) > 3 and path[2] in TABLES:
        place = settings.origins.of(path[2:])  # inherited
    return "default" if place is None else str(place)


def _table(settings: Settings, path: KeyPath, values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value is None:
            yield f"# {key} is not set  # default"
        elif not isinstance(value, dict | list) or _is_plain_array(path, value):
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}  # {_origin(settings, (*path, key))}"
    for key, value in values.items():
        name = ".".join(part for part in (*path, key) if isinstance(part, str))
        if isinstance(value, dict):
            yield f"\n[{name}]"
            yield from _table(settings, (*path, key), value)
        elif isinstance(value, list) and not _is_plain_array(path, value):
            for index, inner in enumerate(value):
                yield f"\n[[{name}]]"
                yield from _table(settings, (*path, key, index), inner)


def _is_plain_array(table: KeyPath, value: object) -> bool:
    """Whether it is an array of plain values; at the top there are only arrays of tables."""
    return isinstance(value, list) and bool(table) and not any(isinstance(each, dict) for each in value)


def _leaves(path: KeyPath, value: object) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves((*path, key), inner)
    elif isinstance(value, list) and not _is_plain_array(path[:-1], value):
        for index, inner in enumerate(value):
            yield from _leaves((*path, index), inner)
    else:
        yield path
