"""What an earlier `service install` put in place for rings that are configured no longer: found, and removed.

Only what says that it comes from the same configuration is ours: another file's rings are its own affair.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.units.drop_ins import Start, first_line
from nanotape.capture.units.layout import DROP_IN, UNIT_FOLDER
from nanotape.config import DEFAULT_FILE, Settings

_UNIT = re.compile(r"nanotape-(?:capture|record)@(?P<ring>.+)\.service")


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A unit of a ring that is gone."""

    unit: str
    drop_in: Path | None
    """Its drop-in, by its whole path; None: it has none."""


def left_over(settings: Settings, start: Start, root: Path) -> list[LeftOver]:
    """Units of rings that the configuration has no longer: with a drop-in of ours, or enabled.

    Args:
        settings: Of all rings.
        start: Says from which file.
        root: `/`, or where a package or an image is being made.
    """
    folder = root / UNIT_FOLDER
    found = {}
    for drop_in in folder.glob(f"nanotape-*@*.service.d/{DROP_IN}"):
        found[drop_in.parent.name.removesuffix(".d")] = LeftOver(drop_in.parent.name.removesuffix(".d"), drop_in)
    for link in folder.glob("*.wants/nanotape-*@*.service"):
        found.setdefault(link.name, LeftOver(link.name, None))
    return sorted(_ours(found.values(), settings, start), key=lambda each: each.unit)


def remove(found: Sequence[LeftOver]) -> list[Path]:
    """Removes the drop-ins, and their folders where nothing else is in them.

    Returns:
        What was removed.

    Raises:
        PlaceUnusable: One cannot be removed; those before it are.
    """
    removed = []
    for drop_in in (each.drop_in for each in found if each.drop_in is not None):
        try:
            drop_in.unlink()
        except OSError as error:
            raise PlaceUnusable(f"{drop_in}: cannot be removed: {error.strerror}; run as root") from None
        removed.append(drop_in)
        with contextlib.suppress(OSError):  # somebody's own drop-ins stay
            drop_in.parent.rmdir()
    return removed


def _ours(found: Iterable[LeftOver], settings: Settings, start: Start) -> Iterator[LeftOver]:
    for each in found:
        match = _UNIT.fullmatch(each.unit)
        if match is None or match["ring"] in settings.rings:
            continue
        if each.drop_in is None:
            is_ours = start.config == DEFAULT_FILE  # by which a unit without a drop-in is started
        else:
            is_ours = _begins_with(each.drop_in, first_line(start))
        if is_ours:
            yield each


def _begins_with(path: Path, line: str) -> bool:
    try:
        return path.read_text(encoding="utf-8").startswith(f"{line}\n")
    except (OSError, UnicodeDecodeError):
        return False
