"""The table of panes, by the key that shows them. A pane's module is loaded when it is first shown, and not before."""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
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

    @property
    def is_there(self) -> bool:
        """Whether its module is installed."""
        return find_spec(f"nanotape.tui.{self.module}") is not None

    def make(self) -> Pane:
        """The pane itself."""
        module = importlib.import_module(f"nanotape.tui.{self.module}")
        return cast(Pane, getattr(module, self.name)(id=self.module))


PANES = (
    PaneEntry("1", "Overview", "overview", "OverviewPane"),
    PaneEntry("2", "Channels", "channels", "ChannelsPane"),
    PaneEntry("3", "Latency", "latency", "LatencyPane"),
    PaneEntry("4", "Clock", "clock", "ClockPane"),
    PaneEntry("5", "Recorder", "readers", "ReadersPane"),
    PaneEntry("6", "Packets", "packets", "PacketsPane"),
    PaneEntry("7", "Events", "events", "EventsPane"),
    PaneEntry("8", "Host", "host", "HostPane"),
)
