"""Turns what pydantic says about a document into lines: where, which key, what was expected and found, what to do."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nanotape.config.document import Origins
from nanotape.config.locate import KeyPath, key_text
from nanotape.config.problem import Problem
from nanotape.config.rules import quoted
from nanotape.config.settings import ONE_RING, SEVERAL_RINGS, RingSettings, RingTable, Settings

_SHAPES = {
    "model_type": ("a table", "write it as a [{key}] of its own"),
    "tuple_type": ("an array of tables", "write each as a [[{key}]] of its own"),
    "bool_type": ("true or false", "write it without quotes"),
}


def explain(error: ValidationError, origins: Origins) -> list[str]:
    """One line for each thing to correct, in the order of the files."""
    problems = [problem for details in error.errors(include_url=False) for problem in _problems(details)]
    return [_line(problem, origins) for problem in sorted(problems, key=lambda problem: origins.order(problem.path))]


def _problems(details: ErrorDetails) -> Iterator[Problem]:
    context: dict[str, Any] = details.get("ctx", {})
    path, kind, value = details["loc"], details["type"], details["input"]
    if path[:1] == ("ring",) and path[1:2] in ((ONE_RING,), (SEVERAL_RINGS,)):
        path = ("ring", *path[2:])  # pydantic names the shape that it took
    if path[-1:] == ("[key]",):  # the name of a table
        yield Problem(path[:-1], context.get("expected", "a name"), quoted(path[-2]), "name the table so")
    elif kind == "inconsistent":
        yield from context["problems"]
    elif kind == "extra_forbidden":
        yield _unknown(path)
    elif kind == "missing":
        yield Problem(path, "a value", "none", f"add {_example(path)}")
    elif kind == "refused":
        yield Problem(path, context["expected"], quoted(value), context["advice"] or _advice(path, value, context))
    elif kind in _SHAPES:
        expected, advice = _SHAPES[kind]
        names = ".".join(part for part in path if isinstance(part, str))
        yield Problem(path, expected, quoted(value), advice.format(key=names))
    else:
        yield Problem(path, details["msg"], quoted(value), "see `nanotape config schema`")


def _line(problem: Problem, origins: Origins) -> str:
    found = problem.found
    if problem.first is not None:
        found += f" (first at {origins.near(problem.first)}: {key_text(problem.first)})"
    where = f"{origins.near(problem.path)}: {key_text(problem.path)}"
    return f"{where}: expected {problem.expected}, found {found}; {problem.advice}"


def _advice(path: KeyPath, value: object, context: dict[str, Any]) -> str:
    choices = [str(choice) for choice in context.get("choices", ())]
    if nearest := difflib.get_close_matches(quoted(value).strip('"'), choices, n=1):
        return f"did you mean {nearest[0]}?" if nearest[0].isdigit() else f'did you mean "{nearest[0]}"?'
    table = _table(path[:-1])
    field = _fields(table).get(str(path[-1]))
    if field is None:  # one of several, in an array or under a name of its own
        return "correct it or leave it out"
    if field.is_required():
        return f"write for example {_example(path)}"
    default = table().model_dump(mode="json", by_alias=True)[str(path[-1])] if not _required(table) else field.default
    return "correct it or leave it out" if default in (None, []) else f"leave it out for the default, {quoted(default)}"


def _required(table: type[BaseModel]) -> bool:
    return any(field.is_required() for field in table.model_fields.values())


def _example(path: KeyPath) -> str:
    field = _fields(_table(path[:-1]))[str(path[-1])]
    example = field.examples[0] if field.examples else ""
    names = [part for part in path if isinstance(part, str)]
    return f"a [[{'.'.join(names)}]]" if isinstance(example, list) else f"{path[-1]} = {quoted(example)}"


def _unknown(path: KeyPath) -> Problem:
    key = str(path[-1])
    table = _table(path[:-1])
    keys = list(_fields(table))
    where = key_text(path[:-1])
    expected = f"a key of [{where}]" if where else "a table or key of the configuration"
    if nearest := difflib.get_close_matches(key, keys, n=1):
        advice = f"did you mean {nearest[0]}?"
    elif table is RingSettings and key in RingTable.model_fields:
        advice = f"write [[ring]] instead of [ring] to give it a {key} of its own"
    elif homes := [home for home in _homes(Settings, key) if home != where]:
        advice = f"it belongs into {' or '.join(homes)}"
    else:
        advice = f"the keys are {', '.join(keys)}"
    return Problem(path, expected, "an unknown key", advice)


def _table(path: KeyPath) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    is_name = False  # of a table among several, as in session.NAME
    for number, part in enumerate(path):
        if isinstance(part, str) and not is_name:
            annotation = _fields(model)[part].annotation
            found = list(_models(annotation))
            if not found:
                return model  # an array or table of plain values
            one, *several = found
            is_element = isinstance(next(iter(path[number + 1 :]), None), int)
            model = several[-1] if several and is_element else one
            is_name = get_origin(annotation) is dict
        else:
            is_name = False
    return model


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the names that TOML has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _homes(model: type[BaseModel], key: str, name: str = "") -> Iterator[str]:
    fields = _fields(model)
    if key in fields:
        yield f"[{name}]" if name else "the top of the file"
    for inner, field in fields.items():
        for table in list(_models(field.annotation))[:1]:  # of one ring: several have the same keys
            yield from _homes(table, key, f"{name}.{inner}".removeprefix("."))
