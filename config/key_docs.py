"""What stands below each key of a table's class, for schemas and pages: read from the source when it is asked for.

Pydantic would read all these sources whenever it makes the classes, at every start of every process.
"""

import ast
import inspect
import textwrap
from typing import Any


def key_docs(table: type[Any]) -> dict[str, str]:
    """The docstring of each attribute of a class, its bases' included; those without one are left out."""
    docs: dict[str, str] = {}
    for each in reversed(table.__mro__):
        if each.__module__.startswith("nanotape."):
            docs |= _own(each)
    return docs


def _own(table: type[Any]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(table))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
    docs = {}
    for key, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(below, ast.Expr):
            docs[key.target.id] = inspect.cleandoc(str(ast.literal_eval(below.value)))
    return docs
