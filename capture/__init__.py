"""The control plane of capture and the reader of rings. Imports native and config, nothing above.

`Packet` and `Ring` are loaded when they are asked for: their libraries start threads, and a process settles its
capabilities before it has any (privilege.py).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanotape.capture.packet import Packet
    from nanotape.capture.ring import Ring

__all__ = ["Packet", "Ring"]

_HOMES = {"Packet": "nanotape.capture.packet", "Ring": "nanotape.capture.ring"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
