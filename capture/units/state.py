"""What systemd says of our units, where it runs."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_BOOTED = Path("/run/systemd/system")
_PROPERTIES = ("Id", "ActiveState", "SubState", "StatusText", "NRestarts")
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class UnitState:
    """One unit."""

    unit: str
    active: str | None
    """`active`, `inactive`, `failed`, ...; None: systemd does not say."""
    detail: str | None
    """What the service tells of itself, or its sub-state."""
    restarts: int | None
    """How often systemd started it anew; None: not told."""


def is_booted(marker: Path = _BOOTED) -> bool:
    """Whether systemd runs this host (sd_booted(3))."""
    return marker.is_dir()


def _show(units: Sequence[str]) -> str:
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *units]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def unit_states(units: Sequence[str], show: Callable[[Sequence[str]], str] = _show) -> list[UnitState]:
    """The state of each unit, in order.

    Args:
        units: Names.
        show: Gives what `systemctl show` prints: a block of `KEY=VALUE` a unit, blank lines between.
    """
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in show(units).split("\n\n")]
    by_name = {block["Id"]: block for block in blocks if "Id" in block}
    return [_state(unit, by_name.get(unit, {})) for unit in units]


def _state(unit: str, told: dict[str, str]) -> UnitState:
    restarts = told.get("NRestarts", "")
    detail = told.get("StatusText") or told.get("SubState") or None
    return UnitState(unit, told.get("ActiveState") or None, detail, int(restarts) if restarts.isdecimal() else None)
