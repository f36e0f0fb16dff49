"""The C core as Python sees it: `ffi` and `lib` of the one cffi binding, and where the native executables are.

Knows no Python object, no file format, no configuration. An installation without its native part says so on import.
"""

from __future__ import annotations

import pathlib

try:
    from nanotape.native import _binding
except ImportError as error:
    raise ImportError(
        f"nanotape.native: the compiled binding cannot be loaded ({error}); this build can read archives only: "
        "install the platform's wheel, or build with `make develop` on Linux"
    ) from error

ffi = _binding.ffi
lib = _binding.lib

__all__ = ["executable", "ffi", "lib"]


def executable(name: str) -> pathlib.Path:
    """Returns the path of an executable that was built with this package.

    Args:
        name: `nanotape-holder`, `nanotape-capture` or `nanotape-bench`.

    Raises:
        FileNotFoundError: the build lacks it.
    """
    path = pathlib.Path(_binding.__file__).parent / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not there; this build lacks {name}: run `make develop`, or install the wheel again"
        )
    return path
