"""What a value may be: pydantic annotations that parse what TOML gives, describe it for the schema, refuse clearly.

Each refusal is a pydantic error of type `refused` with `expected` and `advice` in its context; explain.py words it.
"""

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

JsonSchema = dict[str, Any]

FILE_PATH_BYTES = 255
COMMAND_WORDS = 64
WORD_BYTES = 4096
FILE_NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]*"


def refused(expected: str, advice: str = "") -> PydanticCustomError:
    """The error that a rule raises; without `advice` explain.py offers the default or an example."""
    return PydanticCustomError("refused", "expected {expected}", {"expected": expected, "advice": advice})


class Rule(ABC):
    """Base of the annotations: `parse` refuses or returns the value, `plain` gives what TOML and JSON may carry."""

    @abstractmethod
    def parse(self, value: object) -> Any:
        """The value as the rest of the code wants it; raises `refused`."""

    def plain(self, value: Any) -> object:
        """What `parse` reads as `value`."""
        return value

    @abstractmethod
    def schema(self) -> JsonSchema:
        """JSON Schema of what `parse` accepts."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Puts `parse` in the place of pydantic's own checks."""
        serialization = core_schema.plain_serializer_function_ser_schema(self.plain, when_used="json-unless-none")
        return core_schema.no_info_plain_validator_function(self.parse, serialization=serialization)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describes what TOML may carry, not what the attribute holds."""
        return self.schema()


def is_whole(value: object) -> bool:
    """Whether `value` is an integer; to Python, true and false are."""
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Whole(Rule):
    """A whole number; `powers` allows only powers of two."""

    minimum: int
    maximum: int
    powers: bool = False

    def parse(self, value: object) -> int:
        """Returns the number as it is."""
        if not isinstance(value, int) or not is_whole(value) or not self.minimum <= value <= self.maximum:
            raise refused(self._expected())
        if self.powers and value & (value - 1):
            below = 1 << (value.bit_length() - 1)
            raise refused(self._expected(), f"the nearest are {below} and {min(2 * below, self.maximum)}")
        return value

    def _expected(self) -> str:
        return f"a {'power of two' if self.powers else 'whole number'} from {self.minimum} to {self.maximum}"

    def schema(self) -> JsonSchema:
        """An integer in its range; JSON Schema has no word for powers of two, so they are listed."""
        if not self.powers:
            return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        exponents = range(self.minimum.bit_length() - 1, self.maximum.bit_length())
        return {"type": "integer", "enum": [1 << exponent for exponent in exponents]}


@dataclass(frozen=True, slots=True)
class Text(Rule):
    """Printable text of at most `maximum` bytes of UTF-8, so that it fits the native tables with its NUL."""

    maximum: int
    safe: bool = False
    """Fit for a file name."""

    def parse(self, value: object) -> str:
        """Returns the text as it is."""
        if not isinstance(value, str) or not value or not value.isprintable() or value != value.strip():
            raise refused(self._expected())
        if len(value.encode()) > self.maximum:
            raise refused(f"{self._expected()}; this has {len(value.encode())} bytes", "shorten it")
        if self.safe and not re.fullmatch(FILE_NAME_PATTERN, value):
            raise refused(self._expected(), "it names files and folders: replace every other character by -")
        return value

    def _expected(self) -> str:
        characters = "letters, digits and . _ -, a letter or digit first" if self.safe else "printable text"
        return f"{characters} (1 to {self.maximum} bytes)"

    def schema(self) -> JsonSchema:
        """Text; maxLength counts characters, so that it is a little wider than `parse`."""
        schema: JsonSchema = {"type": "string", "minLength": 1, "maxLength": self.maximum}
        return {**schema, "pattern": f"^{FILE_NAME_PATTERN}$"} if self.safe else schema


@dataclass(frozen=True, slots=True)
class Directory(Rule):
    """An absolute path; `or_empty` allows "", which means: find it."""

    or_empty: bool = False

    def parse(self, value: object) -> str:
        """Returns the path without a trailing slash."""
        if value == "" and self.or_empty:
            return ""
        expected = "an absolute path of at most 255 bytes" + (' or ""' if self.or_empty else "")
        if not isinstance(value, str) or not value.startswith("/"):
            raise refused(expected)
        if not value.isprintable() or len(value.encode()) > 255:
            raise refused(expected)
        return value.rstrip("/") or "/"

    def schema(self) -> JsonSchema:
        """Text that begins with a slash."""
        return {"type": "string", "pattern": "^(/.*)?$" if self.or_empty else "^/", "maxLength": 255}


@dataclass(frozen=True, slots=True)
class FilePath(Rule):
    """Absolute path of a file, with room for its NUL in the native tables."""

    def parse(self, value: object) -> str:
        """Returns the path as it is."""
        is_path = isinstance(value, str) and value.startswith("/") and not value.endswith("/") and value.isprintable()
        if not isinstance(value, str) or not is_path or len(value.encode()) > FILE_PATH_BYTES:
            raise refused(f"the absolute path of a file, of at most {FILE_PATH_BYTES} bytes")
        return value

    def schema(self) -> JsonSchema:
        """Text that begins with a slash and does not end with one."""
        return {"type": "string", "pattern": "^/.*[^/]$", "maxLength": FILE_PATH_BYTES}


@dataclass(frozen=True, slots=True)
class Command(Rule):
    """A program by its absolute path, and its arguments; no shell sees them. An empty array is none."""

    def parse(self, value: object) -> tuple[str, ...]:
        """Returns program and arguments as they are."""
        expected = f"an array of a program's absolute path and its arguments, {COMMAND_WORDS} at most"
        advice = 'write for example ["/usr/local/bin/upload", "--quiet"]; a shell is ["/bin/sh", "-c", "..."]'
        if not isinstance(value, list | tuple) or len(value) > COMMAND_WORDS:
            raise refused(expected, advice)
        if not all(_is_word(word) for word in value):
            raise refused(f"{expected}, each text of at most {WORD_BYTES} bytes", advice)
        if value and not (value[0].startswith("/") and value[0].isprintable() and not value[0].endswith("/")):
            raise refused(f"{expected}; the first is {quoted(value[0])}", advice)
        return tuple(value)

    def plain(self, value: tuple[str, ...]) -> list[str]:
        """An array."""
        return list(value)

    def schema(self) -> JsonSchema:
        """An array of text."""
        return {"type": "array", "items": {"type": "string", "maxLength": WORD_BYTES}, "maxItems": COMMAND_WORDS}


@dataclass(frozen=True, slots=True)
class Account(Rule):
    """Name or number of a user or group; `root_allowed` is for groups."""

    root_allowed: bool = False

    def parse(self, value: object) -> str:
        """Returns the name, or the number in decimal digits."""
        expected = "the name or number of a " + ("group" if self.root_allowed else "user other than root")
        text = str(value) if is_whole(value) else value
        if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,31}", text):
            raise refused(expected)
        if text.isdigit() and int(text) >= 2**32 - 1:  # the last one means "leave as it is" to the kernel
            raise refused(expected, "numbers end at 4294967294")
        if not self.root_allowed and (text == "root" or (text.isdigit() and not int(text))):
            raise refused(expected, "name an unprivileged user: its process reads what strangers send")
        return text

    def schema(self) -> JsonSchema:
        """A name, or a number."""
        number: JsonSchema = {"type": "integer", "minimum": 0 if self.root_allowed else 1, "maximum": 2**32 - 2}
        return {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 32}, number]}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of the Literal that it annotates; `| None` behind it allows to leave the key out."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Leaves the schema and the value to pydantic's Literal and gives its refusal our words."""
        parts = get_args(source)
        optional = NoneType in parts
        choices = [choice for part in parts if part is not NoneType for choice in get_args(part) or (part,)]

        def parse(value: object) -> object:
            if not (optional and value is None) and not any(
                type(value) is type(choice) and value == choice for choice in choices
            ):
                expected = ", ".join(quoted(choice) for choice in choices)
                context = {"expected": f"one of {expected}", "advice": "", "choices": choices}
                raise PydanticCustomError("refused", "expected {expected}", context)
            return value

        return core_schema.no_info_before_validator_function(parse, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The Literal's own enumeration."""
        return handler(core)


def _is_word(value: object) -> bool:
    """Whether a program can be given it, and TOML can carry it."""
    return isinstance(value, str) and not set(value) & {"\0", "\x7f"} and len(value.encode()) <= WORD_BYTES


def quoted(value: object) -> str:
    """A value as TOML would write it, cut to what fits a line of talk."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        text = value.encode("unicode_escape").decode() if not value.isprintable() else value
        return f'"{text[:57]}..."' if len(text) > 60 else f'"{text}"'
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    return str(value)
