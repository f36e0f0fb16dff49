"""The table of panes, by the key that shows them. A pane's module is loaded when it is first shown, and not before."""

import importlib
from dataclasses import dataclass
from typing import cast

from nanotape.tui.pane import Pane


@dataclass(frozen=True, slots=True)
class PaneEntry:
    """One pane."""

    key: str
    title: str
    """On its tab."""
    module: str
    """Below `nanotape.tui`."""
    name: str
    """Of its class."""
    answers: str
    """What an operator finds there."""

    def make(self) -> Pane:
        """The pane itself."""
        module = importlib.import_module(f"nanotape.tui.{self.module}")
        return cast(Pane, getattr(module, self.name)(id=self.module))


PANES = (
    PaneEntry(
        "1", "Overview", "overview", "OverviewPane", "is data lost, is the clock good, does the disk keep up; each ring"
    ),
    PaneEntry("2", "Channels", "channels", "ChannelsPane", "rates, gaps, who is first, age; enter shows one line"),
    PaneEntry("3", "Latency", "latency", "LatencyPane", "how late packets and the loop are, now and since the start"),
    PaneEntry("4", "Clock", "clock", "ClockPane", "state, offset, error bound, master, who disciplines what"),
    PaneEntry("5", "Recorder", "readers", "ReadersPane", "who reads, who lags, segments, room on the disk"),
    PaneEntry("6", "Packets", "packets", "PacketsPane", "packets as they come, filtered, decoded, exported"),
    PaneEntry("7", "Events", "events", "EventsPane", "gaps, losses, links, restarts"),
    PaneEntry("8", "Host", "host", "HostPane", "what nanotape doctor finds, and how to mend it"),
)
