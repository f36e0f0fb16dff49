"""Loads a configuration: files to frozen Settings with origins, or a ConfigError that names every thing to correct."""

from pathlib import Path

from pydantic import ValidationError

from nanotape.config.channels_from import with_channels
from nanotape.config.document import DEFAULT_FILE, Document, parse, read
from nanotape.config.errors import ConfigError
from nanotape.config.explain import explain
from nanotape.config.settings import Settings


def load(file: Path | None = None) -> Settings:
    """Reads `file` (None: /etc/nanotape/nanotape.toml) and `conf.d/*.toml` beside it.

    Raises:
        ConfigError: a file cannot be read, is not TOML, or says something that cannot be.
    """
    return _settings(read(DEFAULT_FILE if file is None else file))


def loads(text: str, name: str = "configuration") -> Settings:
    """Reads TOML text; `name` stands for the file in errors and origins.

    Raises:
        ConfigError: the text is not TOML, or says something that cannot be.
    """
    return _settings(parse(text, name))


def _settings(document: Document) -> Settings:
    document = with_channels(document)
    try:
        settings = Settings.model_validate(document.tree)
    except ValidationError as error:
        raise ConfigError(explain(error, document.origins)) from None
    settings._origins = document.origins
    return settings
