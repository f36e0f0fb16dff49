"""The configuration as it is on disk: read anew when a file of it changes, and kept as it was while it is broken."""

from pathlib import Path

from nanotape.config import DEFAULT_FILE, ConfigError, Settings, load


class SettingsFile:
    """`nanotape.toml`, and `conf.d/*.toml` beside it."""

    def __init__(self, path: Path | None = None) -> None:
        """Reads nothing yet.

        Args:
            path: The file; None: /etc/nanotape/nanotape.toml, or the defaults where there is none.
        """
        self._path, self._is_default = path or DEFAULT_FILE, path is None
        self._mark: tuple[tuple[str, int, int], ...] | None = None
        self._settings = Settings()
        self._refusal = ""

    def read(self) -> tuple[Settings, str]:
        """What it says, or last said; and why it cannot be read now, in a line; empty: it can."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            self._read()
        return self._settings, self._refusal

    def _read(self) -> None:
        try:
            if self._is_default and not self._path.exists():
                self._settings = Settings()
            else:
                self._settings = load(self._path)
        except (ConfigError, OSError) as error:
            self._refusal = " ".join(str(error).splitlines()[:1])
        else:
            self._refusal = ""

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a file of it does."""
        found = []
        for path in (self._path, *sorted(self._path.parent.glob("conf.d/*.toml"))):
            try:
                facts = path.stat()
            except OSError:
                continue
            found.append((str(path), facts.st_ino, facts.st_mtime_ns))
        return tuple(found)
