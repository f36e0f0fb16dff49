"""Recorder, segments, archive and query. Reading an archive needs neither `nanotape.native` nor `nanotape.capture`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanotape.storage.arbitration import arbitrate
    from nanotape.storage.reader import ArchiveReader, open_archive

__all__ = ["ArchiveReader", "arbitrate", "open_archive"]


def __getattr__(name: str) -> Any:
    """Loads what reads archives only when it is asked for: it costs more than all else of this package."""
    if name == "arbitrate":
        from nanotape.storage import arbitration

        return arbitration.arbitrate
    if name in __all__:
        from nanotape.storage import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
