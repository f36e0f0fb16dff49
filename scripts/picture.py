"""Draws text from standard input as a terminal window in SVG, for the README: picture.py FILE TITLE < TEXT.

Reads and writes nothing else.
"""

import io
import sys

from rich.console import Console
from rich.text import Text

WIDTH = 100


def main() -> None:
    """Writes the file named by the first argument; the second is the window's title."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(sys.stdin.read().strip("\n")))
    console.save_svg(sys.argv[1], title=sys.argv[2])


if __name__ == "__main__":
    main()
