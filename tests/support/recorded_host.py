"""A host of tests/data/hosts as the checks see it: its tree unpacked, its NICs and clocks from host.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.host.facts import Captured, ClockAnswer, Coalescing, FlowRule, Host, Pair
from nanotape.capture.host.needs import Needs
from nanotape.capture.host.root import HostRoot, Unreadable
from nanotape.config import Settings, load

HOSTS = Path(__file__).resolve().parents[1] / "data" / "hosts"
NAMES = ("bare-metal", "laptop", "vm")


@dataclass(frozen=True, slots=True)
class RecordedNics:
    """What host.json says of each interface; what it does not say cannot be read."""

    told: Mapping[str, Mapping[str, Any]]

    def _fact(self, interface: str, name: str) -> Any:
        if name not in self.told.get(interface, {}):
            raise Unreadable(f"{interface}: {name}: its driver does not tell")
        return self.told[interface][name]

    def rings(self, interface: str) -> Pair:
        return Pair(*self._fact(interface, "rings"))

    def coalescing(self, interface: str) -> Coalescing:
        return Coalescing(*self._fact(interface, "coalescing"))

    def pause(self, interface: str) -> tuple[bool, bool]:
        receives, sends = self._fact(interface, "pause")
        return receives, sends

    def queues(self, interface: str) -> Pair:
        return Pair(*self._fact(interface, "queues"))

    def spread(self, interface: str) -> Sequence[int]:
        found: list[int] = self._fact(interface, "spread")
        return found

    def hash_fields(self, interface: str) -> Sequence[str]:
        found: list[str] = self._fact(interface, "hash_fields")
        return found

    def flow_rules(self, interface: str) -> Sequence[FlowRule]:
        return [FlowRule(**{**each, "destination": tuple(each["destination"]), "port": tuple(each["port"])})
                for each in self._fact(interface, "flow_rules")]  # fmt: skip

    def features(self, interface: str) -> Mapping[str, bool]:
        found: Mapping[str, bool] = self._fact(interface, "features")
        return found

    def stamps_all(self, interface: str) -> tuple[bool, str]:
        can, told = self._fact(interface, "stamps_all")
        return can, told

    def rx_filter(self, interface: str) -> str:
        return str(self._fact(interface, "rx_filter"))

    def statistics(self, interface: str) -> Mapping[str, int]:
        found: Mapping[str, int] = self._fact(interface, "statistics")
        return found

    def xdp_program(self, interface: str) -> int | None:
        found: int | None = self._fact(interface, "xdp_program")
        return found


@dataclass(slots=True)
class RecordedHost:
    """One of them, in a folder of the test's own; what is changed here is seen by the next `host()`."""

    root: Path
    settings: Settings
    facts: dict[str, Any]
    expected: dict[str, str]

    def host(self) -> Host:
        clock = ClockAnswer(**self.facts["clock"])
        free, total = self.facts["free_bytes"]
        return Host(
            root=HostRoot(self.root),
            needs=Needs.of(self.settings),
            nics=RecordedNics(self.facts["nics"]),
            clock=lambda: clock,
            captured=tuple(Captured(**each) for each in self.facts["captured"]),
            free_bytes=lambda _: (free, total),
        )

    def write(self, path: str, text: str) -> None:
        """Over a file of the tree."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n", encoding="utf-8")


def unpack(name: str, folder: Path) -> RecordedHost:
    """A recorded host, its tree laid out below a folder."""
    source = HOSTS / name
    facts = json.loads((source / "host.json").read_text(encoding="utf-8"))
    expected = json.loads((source / "expected.json").read_text(encoding="utf-8"))
    found = RecordedHost(folder / "root", load(source / "nanotape.toml"), facts, expected)
    for part in ("\n" + (source / "tree.txt").read_text(encoding="utf-8")).split("\n== ")[1:]:
        head, _, rest = part.partition("\n")
        path, _, text = head.partition(" = ")
        found.write(path, text or rest.rstrip("\n"))
    return found
