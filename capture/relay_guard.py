"""Keeps a relay from feeding itself or another capture of this host: what is captured is no destination.

A flow of any ring's table counts, on whatever interface and from whatever source; so does all that a running service
selects besides its flows, on the interface that it does so on.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nanotape.capture.errors import RingError
from nanotape.capture.relay_target import Target
from nanotape.capture.ring import RING_SUFFIX, Ring
from nanotape.config import ConfigError, Settings, interfaces, load
from nanotape.config import flows as flows_of

_WIRES = ("afxdp", "packet", "socket")


class HasAddress(Protocol):
    """A flow, configured or of a ring's table."""

    @property
    def group(self) -> str:
        """Destination address."""

    @property
    def port(self) -> int:
        """UDP destination port."""

    @property
    def channel(self) -> str:
        """Name of its channel."""

    @property
    def line(self) -> str:
        """Name of its line."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """All that is taken on an interface besides flows."""

    interface: str
    selection: str
    """`multicast`, `udp` or `all`."""


class CapturedFlows:
    """What is captured on this host, by the rings that there are and by a configuration."""

    def __init__(self, shm_directory: Path, run_directory: Path, configured: Settings | None = None) -> None:
        """Looks at nothing yet.

        Args:
            shm_directory: Where rings are.
            run_directory: Where services keep the configurations that they were started with.
            configured: What may be captured soon; None: nothing is known of it.
        """
        self._shm, self._run = shm_directory, run_directory
        self._configured = flows_of(configured) if configured is not None else []
        self.unreadable: tuple[str, ...] = ()
        """Rings that the last look could not read, with the reason."""

    def conflict(self, targets: Sequence[Target]) -> str | None:
        """Why one of the destinations must not be sent to; None: none is captured."""
        found = next(_same(targets, self._configured, "the configuration"), None)
        unreadable = []
        for path in sorted(self._shm.glob(f"*{RING_SUFFIX}")):
            try:
                with Ring.open(path) as ring:
                    name, flows, is_alive = ring.name, ring.flows(), ring.writer_alive
            except RingError as error:
                unreadable.append(str(error))
                continue
            found = found or next(_same(targets, flows, f"ring {name}"), None)
            if is_alive and found is None:
                found = next(_swallowed(targets, self._wildcards(name), name), None)
        self.unreadable = tuple(unreadable)
        return found

    def _wildcards(self, ring: str) -> list[Wildcard]:
        with suppress(ConfigError, OSError):
            settings = load(self._run / ring / "nanotape.toml")
            kind, selection = settings.source.effective_kind, settings.source.selection
            if kind in _WIRES and selection != "channels":
                return [Wildcard(interface, selection) for interface in interfaces(settings)]
        return []


def _same(targets: Sequence[Target], flows: Iterable[HasAddress], where: str) -> Iterator[str]:
    captured = {(flow.group, flow.port): flow for flow in flows}
    for target in targets:
        flow = captured.get((target.address, target.port))
        if flow is not None:
            yield (
                f"{target}: is captured here, as channel {flow.channel}, line {flow.line} of {where}: what is sent "
                "there could come back without end; choose another group or port"
            )


def _swallowed(targets: Sequence[Target], wildcards: Iterable[Wildcard], ring: str) -> Iterator[str]:
    for wildcard in wildcards:
        for target in targets:
            takes = target.is_multicast or wildcard.selection != "multicast"
            if takes and target.interface == wildcard.interface:
                yield (
                    f'{target}: ring {ring} captures all of {wildcard.interface} (select = "{wildcard.selection}"), '
                    "and so what is sent there; choose another interface"
                )
