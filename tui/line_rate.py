"""How much an interface carries in a second, as the kernel tells without privilege. Asked seldom: it rarely changes.

Of an interface in another network namespace nothing is told.
"""

from collections.abc import Callable
from pathlib import Path

_AGAIN_NS = 10 * 10**9
NETWORK = Path("/sys/class/net")


class LineRates:
    """Of all interfaces."""

    def __init__(self, monotonic_ns: Callable[[], int], network: Path = NETWORK) -> None:
        """Knows none yet."""
        self._monotonic_ns, self._network = monotonic_ns, network
        self._known: dict[str, tuple[int, int | None]] = {}

    def of(self, interface: str) -> int | None:
        """Bits a second; None: there is no such interface, its link is down, or its driver does not say."""
        now_ns = self._monotonic_ns()
        asked = self._known.get(interface)
        if asked is None or now_ns - asked[0] >= _AGAIN_NS:
            asked = self._known[interface] = (now_ns, self._ask(interface))
        return asked[1]

    def _ask(self, interface: str) -> int | None:
        if not interface or "/" in interface or interface in (".", ".."):
            return None
        try:
            megabits = int((self._network / interface / "speed").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return megabits * 10**6 if megabits > 0 else None
