"""What a recorder of a ring by name is told: where its places are, and what it is to know of feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.readers import RUN_DIRECTORY
from nanotape.capture.recorded_segments import segments_path
from nanotape.capture.ring import SHM_DIRECTORY, Ring
from nanotape.capture.switch_stamps import SwitchStamps
from nanotape.config.framing import BUILT_IN, Framing
from nanotape.config.switch import SwitchSettings
from nanotape.storage.feed_options import Quiet
from nanotape.storage.log import Log


@dataclass(frozen=True, slots=True)
class RecordPlaces:
    """Where a ring and a reader's status are."""

    shm_directory: Path = SHM_DIRECTORY
    run_directory: Path = RUN_DIRECTORY
    reader_name: str | None = "recorder"
    """None: no status file."""

    def facts_path(self, ring_name: str) -> Path | None:
        """Where the facts of each line are written, beside the status file; None: no status file."""
        if self.reader_name is None:
            return None
        return self.run_directory / ring_name / "readers" / f"{self.reader_name}.feeds.json"

    def segments_path(self, ring_name: str) -> Path | None:
        """Where the facts of the segments are written, beside the status file; None: no status file."""
        return None if self.reader_name is None else segments_path(self.run_directory, ring_name, self.reader_name)

    @property
    def clock_folder(self) -> Path:
        """Where the clock service writes, if there is one."""
        return self.run_directory / "clock"


@dataclass(frozen=True, slots=True)
class Feeds:
    """What a recorder is to know of the feeds that it records."""

    framings: Mapping[str, Framing] = field(default_factory=lambda: BUILT_IN)
    window_ns: int = 10_000_000
    """How late a packet may come and be but reordered."""
    reset_distance: int = 100_000
    """How far back a sequence must jump to be a reset."""
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    """By channel: when its silence is worth an event."""
    interfaces: Sequence[str] = ()
    """Whose links are watched."""
    switch: SwitchSettings = field(default_factory=SwitchSettings)
    """Which stamps of switches are looked for."""

    def of_flows(self, ring: Ring) -> dict[str, Framing]:
        """Those that a ring's flows name."""
        named = {flow.framing for flow in ring.flows()}
        return {name: each for name, each in self.framings.items() if name in named}

    def decoder(self, ring: Ring, log: Log) -> FeedDecoder:
        """A new one for a ring; `log` takes a line when a switch's stamps were found."""
        return FeedDecoder(
            self.framings,
            window_ns=self.window_ns,
            reset_distance=self.reset_distance,
            switch=SwitchStamps({source.interface: self.switch for source in ring.sources()}, log),
            sources=ring.sources,
        )
