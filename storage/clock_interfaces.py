"""Which PHC an interface has, as the clock service tells in RUN_DIR/clock/state.json: several may share one."""

import json
from pathlib import Path

from nanotape.storage.clock import Clock

STATE_NAME = "state.json"

_KNOWN_NS = 10 * 10**9
_UNKNOWN_NS = 10**9


class ClockInterfaces:
    """Read anew now and then, when somebody asks."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Reads nothing yet.

        Args:
            folder: RUN_DIR/clock.
            clock: For when to read it anew.
        """
        self._path, self._clock = folder / STATE_NAME, clock
        self._read_ns: int | None = None
        self._phcs: dict[str, str] = {}

    def phc_of(self, interface: str) -> str | None:
        """The name of its device; None: it has none, or nobody tells."""
        now = self._clock.monotonic_ns()
        lasts_ns = _KNOWN_NS if interface in self._phcs else _UNKNOWN_NS
        if self._read_ns is None or now - self._read_ns >= lasts_ns:
            self._read_ns = now
            self._phcs = self._told() or self._phcs
        return self._phcs.get(interface)

    def _told(self) -> dict[str, str]:
        try:
            told = json.loads(self._path.read_bytes())["interfaces"]
            return {each["interface"]: each["phc"] for each in told if isinstance(each["phc"], str)}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
