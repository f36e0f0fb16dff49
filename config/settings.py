"""The whole configuration as one frozen model: every key, its unit, its sentinel and its default.

Built by load.py from TOML. A Settings that exists is consistent (checks.py); what depends on the host is asked later.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nanotape.config import checks, rings
from nanotape.config.channel import FRAMING_BYTES, Channel, ChannelDefaults, Section
from nanotape.config.channels_from import FileNames
from nanotape.config.clock import ClockSettings
from nanotape.config.document import Origins
from nanotape.config.feeds import FeedSettings
from nanotape.config.framing import BUILT_IN, Framing
from nanotape.config.measures import (
    SIZE,
    HoldRule,
    Quantity,
)
from nanotape.config.quantity import Hold
from nanotape.config.recorder import ArchiveSettings, RecorderSettings
from nanotape.config.rules import Account, Choice, Directory, Text, refused
from nanotape.config.service import ControlSettings, EventSettings, LogSettings, MetricsSettings
from nanotape.config.session import Session
from nanotape.config.source import LoopSettings, SourceSettings, TriState

RING_MINIMUM_BYTES = 64 << 10
RING_MAXIMUM_BYTES = 1 << 40
ONE_RING, SEVERAL_RINGS = "[ring]", "[[ring]]"
"""How rings are written; pydantic puts it into the place of an error, behind `ring`."""


class Paths(Section):
    """Where things lie; all paths are absolute."""

    run_dir: Annotated[str, Directory()] = "/run/nanotape"
    """State that may vanish at a reboot: plans, sockets, readers' positions."""
    archive: Annotated[str, Directory()] = "/var/lib/nanotape/archive"
    """Root of the archive that the recorder writes."""
    shm_dir: Annotated[str, Directory()] = "/dev/shm/nanotape"  # noqa: S108
    """Descriptors, locks and counters of rings, and ring data where huge pages are not to be had."""
    hugepage_dir: Annotated[str, Directory(or_empty=True)] = ""
    """Directory on hugetlbfs for ring data; "": the first mount that fits."""


class User(Section):
    """Who runs what; used only by a process that root has started."""

    capture: Annotated[str, Account()] = "nanotape"
    """User of the capture process, who owns the rings; a name or a number."""
    record: Annotated[str, Account()] = "nanotape-record"
    """User of the recorder, who owns the archive; another than `capture`, so that it can only read the ring."""
    group: Annotated[str, Account(root_allowed=True)] = "nanotape"
    """Group whose members may read the rings; a name or a number."""


class RingSettings(Section):
    """The ring between capture and its readers."""

    name: Annotated[str, Text(63, safe=True)] = "main"
    """Name of the ring, by which readers open it; 63 bytes at most."""
    capacity: Annotated[int | None, Quantity(SIZE, RING_MINIMUM_BYTES, RING_MAXIMUM_BYTES)] = None
    """Bytes that the ring holds, rounded up to a power of two; not set: what `hold` asks for, else 256 MiB."""
    hold: Annotated[Hold | None, HoldRule(RING_MAXIMUM_BYTES)] = None
    """What the ring must hold, instead of `capacity`: `10s at 2Mpps of 242B`; without `of`, frames of 242 bytes."""
    hugepages: TriState = "prefer"
    """Whether ring data lie on huge pages; `prefer` falls back to `paths.shm_dir` and says so."""
    page_size: Annotated[Literal["auto", "2 MiB", "1 GiB"], Choice()] = "auto"
    """Size of the huge pages; `auto`: what is mounted, 2 MiB first."""

    @property
    def capacity_bytes(self) -> int:
        """Bytes of ring data, a power of two."""
        wanted = self.capacity or (self.hold.ring_bytes if self.hold else 256 << 20)
        return max(RING_MINIMUM_BYTES, 1 << (wanted - 1).bit_length())

    @property
    def page_bytes_log2(self) -> int:
        """Binary logarithm of the huge pages' size in bytes; 0: any."""
        return {"auto": 0, "2 MiB": 21, "1 GiB": 30}[self.page_size]


class RingTable(RingSettings):
    """One of several rings, with a source, a loop and a recorder of its own."""

    source: SourceSettings = SourceSettings()
    """Where this ring's packets come from; what is not set here is as in `[source]`."""
    loop: LoopSettings = LoopSettings()
    """The thread that drains this ring's sources; what is not set here is as in `[loop]`."""
    recorder: RecorderSettings = RecorderSettings()
    """The reader that writes this ring to disk; what is not set here is as in `[recorder]`."""

    def alone(self) -> RingSettings:
        """The ring without what belongs to it."""
        values = {key: getattr(self, key) for key in RingSettings.model_fields}
        return RingSettings.model_construct(self.model_fields_set & set(values), **values)


def _at_least_one(tables: tuple[RingTable, ...]) -> tuple[RingTable, ...]:
    if not tables:
        raise refused("at least one ring", "write a [[ring]], or leave it out for one ring of the name main")
    return tables


def _shape(value: object) -> str:
    return SEVERAL_RINGS if isinstance(value, list | tuple) else ONE_RING


Rings = Annotated[
    Annotated[RingSettings, Tag(ONE_RING)]
    | Annotated[tuple[RingTable, ...], Field(strict=False), AfterValidator(_at_least_one), Tag(SEVERAL_RINGS)],
    Discriminator(_shape),
]


class Settings(Section):
    """nanotape's configuration, of one ring or of several: then most of the code works on `of_ring`."""

    host: Annotated[str, Text(63)] = Field(default_factory=lambda: socket.gethostname()[:63] or "localhost")
    """Name of this host in the archive, 63 bytes at most; not set: the host's own name."""
    paths: Paths = Paths()
    """Where things lie."""
    user: User = User()
    """Who runs what."""
    source: SourceSettings = SourceSettings()
    """Where packets come from; with several rings: what each `[ring.source]` leaves unset."""
    loop: LoopSettings = LoopSettings()
    """The thread that drains the sources; with several rings: what each `[ring.loop]` leaves unset."""
    recorder: RecorderSettings = RecorderSettings()
    """The reader that writes the ring to disk; with several rings: what each `[ring.recorder]` leaves unset."""
    archive: ArchiveSettings = ArchiveSettings()
    """What becomes of segments: how they are compacted, and what is deleted when."""
    ring_tables: Rings = Field(default=RingSettings(), alias="ring")
    """The ring between capture and its readers, or several, each a `[[ring]]` of its own."""
    clock: ClockSettings = ClockSettings()
    """Who disciplines this host's clocks, and from when on they are trusted."""
    feeds: FeedSettings = FeedSettings()
    """How the feeds of all channels are followed."""
    control: ControlSettings = ControlSettings()
    """Who may steer a running service."""
    metrics: MetricsSettings = MetricsSettings()
    """Where Prometheus reads what a running service tells."""
    log: LogSettings = LogSettings()
    """What the processes of a running service say."""
    events: EventSettings = EventSettings()
    """Who is told of events that need somebody."""
    session: dict[Annotated[str, Text(63)], Session] = Field(default_factory=dict)
    """When channels trade, each a `[session.NAME]` of its own."""
    framing: dict[Annotated[str, Text(FRAMING_BYTES, safe=True)], Framing] = Field(default_factory=dict)
    """Packet headers besides those that are built in, each a `[framing.NAME]` of its own."""
    channels_from: Annotated[tuple[str, ...], FileNames()] = ()
    """CSV files with further channels, as a venue publishes them, or one file; beside this one, or by absolute
    paths."""
    channel_defaults: ChannelDefaults = ChannelDefaults()
    """What the channels of `channels_from` have where their file does not say."""
    channel: Annotated[tuple[Channel, ...], Field(strict=False)] = ()
    """What is captured, each a `[[channel]]` of its own."""

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @property
    def ring(self) -> RingSettings:
        """The one ring.

        Raises:
            ConfigError: There are several.
        """
        return rings.only(self)

    @property
    def rings(self) -> tuple[str, ...]:
        """Names of the rings, in their order."""
        return rings.names(self)

    def of_ring(self, name: str | None = None) -> "Settings":
        """One ring with its source, loop, recorder and lines, as settings of their own.

        Args:
            name: Which; None: the only one.

        Raises:
            ConfigError: There is none of this name, or several to choose from.
        """
        return rings.of_ring(self, name)

    @property
    def framings(self) -> Mapping[str, Framing]:
        """All that a channel may name, but `none`."""
        return {**self.framing, **BUILT_IN}

    @property
    def records_other(self) -> bool:
        """Whether the recorder writes packets of no channel."""
        return not self.channel if self.recorder.other is None else self.recorder.other

    @property
    def origins(self) -> Origins:
        """Where each value came from; empty unless the settings were loaded from files."""
        return self._origins

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read, in order; empty unless loaded from files."""
        return self._origins.files

    @field_validator("ring_tables", mode="after")
    @classmethod
    def _inherit(cls, tables: RingSettings | tuple[RingTable, ...], info: ValidationInfo) -> object:
        """Each ring gets what it leaves to the tables above."""
        if isinstance(tables, RingSettings) or any(table not in info.data for table in rings.TABLES):
            return tables  # or the tables above are wrong, which is told
        return tuple(rings.inherited(table, info.data) for table in tables)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        checks.refuse(self)
        return self
