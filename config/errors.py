"""The errors of the configuration: one root, which carries every line that the user should read."""

from collections.abc import Sequence


class ConfigError(Exception):
    """Raised when a configuration cannot be read or is refused.

    Attributes:
        lines: one line for each thing to correct, such as `FILE:LINE: key.path: expected ..., found ...; what to do`.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        """Keeps the lines in the order in which they should be shown."""
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)
