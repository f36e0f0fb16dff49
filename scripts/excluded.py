"""Names what of a top-level folder does not go into the package: C sources, headers, build files, prose, caches.

`excluded.py files|folders PART` prints paths relative to the part, one a line. A folder with nothing to ship is
named once, whole.
"""

from __future__ import annotations

import pathlib
import sys

UNSHIPPED_SUFFIXES = {".c", ".h", ".cdef", ".md", ".pml", ".trail", ".pyc", ".pyo", ".o", ".swp", ".orig", ".rej"}
UNSHIPPED_NAMES = {"meson.build", "meson.options", ".gitignore"}
UNSHIPPED_FOLDERS = {"__pycache__"}


def is_shipped(path: pathlib.Path, part: pathlib.Path) -> bool:
    """Says whether a file belongs into the installed package."""
    folders = path.relative_to(part).parts[:-1]
    if part.name == "native" and folders:
        return False  # sources of the C core, and the scripts that build and prove it
    if any(folder in UNSHIPPED_FOLDERS or folder.startswith(".") for folder in folders):
        return False
    return path.suffix not in UNSHIPPED_SUFFIXES and path.name not in UNSHIPPED_NAMES and not path.name.startswith(".")


def unshipped(part: pathlib.Path) -> tuple[list[str], list[str]]:
    """Returns the files and the folders to leave out; nothing below a folder that is left out is named again."""
    files: list[str] = []
    folders: list[str] = []

    def visit(folder: pathlib.Path) -> None:
        for entry in sorted(folder.iterdir()):
            if entry.is_dir():
                if any(is_shipped(below, part) for below in entry.rglob("*") if below.is_file()):
                    visit(entry)
                else:
                    folders.append(entry.relative_to(part).as_posix())
            elif not is_shipped(entry, part):
                files.append(entry.relative_to(part).as_posix())

    visit(part)
    return files, folders


def main() -> int:
    """Prints one of the two lists."""
    kind, name = sys.argv[1:]
    files, folders = unshipped(pathlib.Path(__file__).resolve().parent.parent / name)
    print("\n".join(files if kind == "files" else folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
