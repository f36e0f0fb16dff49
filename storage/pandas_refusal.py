"""Keeps pandas out of a process that has no use for it.

pyarrow loads pandas, where it is installed, with its first array: half a second of a start, and 50 MiB for good.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Refusal:
    """Stands before the finders of modules; says of this one that there is none."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas' is to be loaded here", name=name)
        return None


def refuse_pandas() -> None:
    """From now on pandas cannot be imported in this process; pyarrow goes on as where it is not installed."""
    sys.meta_path.insert(0, _Refusal())
