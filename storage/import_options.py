"""How an import is set, and what it tells."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nanotape.config import loads
from nanotape.config.channel import Channel
from nanotape.config.framing import BUILT_IN, Framing
from nanotape.config.switch import SwitchSettings
from nanotape.storage.recorder_options import RecorderOptions


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import."""

    ring: str = "import"
    """Name of the ring in the archive."""
    host: str | None = None
    """Name of the host in the archive; None: this one's."""
    again: bool = False
    """Also take what the archive has already, a second time."""
    channels: tuple[Channel, ...] = ()
    """Names of flows; what is of none is channel `other`, and taken too."""
    framings: Mapping[str, Framing] = field(default_factory=lambda: BUILT_IN)
    """By the names that channels call them by."""
    reorder_window_ns: int = 10_000_000
    """How late a packet may come and be but reordered."""
    reset_distance: int = 100_000
    """How far back a sequence must jump to be a reset."""
    switch: SwitchSettings = field(default_factory=SwitchSettings)
    """Which stamps of a switch are looked for."""
    recorder: RecorderOptions = field(default_factory=RecorderOptions)
    """How segments are written; an import decides where to begin and how much is a batch."""


def chosen_switch(
    configured: SwitchSettings, form: str | None, tai: str | None, plausible: str | None
) -> SwitchSettings:
    """Which stamps of a switch are looked for: as configured, but for what is asked for here.

    Args:
        configured: By a configuration file.
        form: A value of `source.switch_stamps`; None: as configured. Likewise the others.
        tai: Of `source.switch_tai`.
        plausible: Of `source.switch_plausible`.

    Raises:
        ConfigError: It is no such value.
    """
    asked = {"switch_stamps": form, "switch_tai": tai, "switch_plausible": plausible}
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in asked.items() if value is not None)
    found = loads(f'[source]\nkind = "pcap"\nfile = "/imported"\n{keys}', "options of import").source.switch
    return SwitchSettings(
        configured.form if form is None else found.form,
        configured.tai_ns if tai is None else found.tai_ns,
        configured.plausible_ns if plausible is None else found.plausible_ns,
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a file cannot be read any further."""

    offset: int | None
    """Byte of the file; None: unknown."""
    reason: str
    is_compressed: bool = False
    """The offset is one of the compressed file."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file."""

    file: str
    bytes: int | None
    """Its size on the disk; None: it could not be opened."""
    packets: int = 0
    """That this import put into the archive."""
    ring_id: str | None = None
    """None: nothing was read of it."""
    first_seq: int | None = None
    """Ring sequence of the first of these packets; None: there is none."""
    last_seq: int | None = None
    first_ts_ns: int | None = None
    """Stamp of the first of these packets, UTC."""
    last_ts_ns: int | None = None
    packets_before: int = 0
    """Of it that an interrupted import had put there."""
    is_whole: bool = False
    """All of it, up to its damage, is in the archive now."""
    damage: Damage | None = None
    error: str | None = None
    """Why it was refused, or broke off."""

    @property
    def is_good(self) -> bool:
        """All that there is to read of a file that is not damaged is in the archive."""
        return self.is_whole and self.damage is None and self.error is None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an import."""

    files: tuple[Imported, ...]
    """Those that came to their turn, in order."""
    files_given: int
    is_stopped: bool
    """It was told to end before its end."""

    @property
    def packets(self) -> int:
        """That it put into the archive."""
        return sum(each.packets for each in self.files)

    @property
    def is_good(self) -> bool:
        """Each file is in the archive, and whole."""
        return len(self.files) == self.files_given and all(each.is_good for each in self.files)

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        totals = {
            "files": len(self.files),
            "files_given": self.files_given,
            "imported": sum(each.is_whole for each in self.files),
            "damaged": sum(each.damage is not None for each in self.files),
            "refused": sum(each.error is not None for each in self.files),
            "packets": self.packets,
            "bytes": sum(each.bytes or 0 for each in self.files if each.is_whole),
        }
        return {"files": [asdict(each) for each in self.files], "totals": totals, "stopped": self.is_stopped}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    file: str
    files_done: int
    files: int
    bytes_read: int
    """As they lie on the disk; a compressed file's when it is done."""
    bytes: int
    """Of all files."""
    packets: int
