"""The configuration of nanotape: TOML files in, frozen Settings out.

Promises that Settings are complete and consistent, and that each refusal names file, line, key and remedy.
Never looks at the host (but for its name), and never imports native, capture or storage.
"""

from nanotape.config.document import DEFAULT_FILE, Origins, Place
from nanotape.config.errors import ConfigError
from nanotape.config.flows import Flow, flows, interfaces
from nanotape.config.load import load, loads
from nanotape.config.settings import Settings

__all__ = [
    "DEFAULT_FILE",
    "ConfigError",
    "Flow",
    "Origins",
    "Place",
    "Settings",
    "flows",
    "interfaces",
    "load",
    "loads",
]
