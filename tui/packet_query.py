"""What somebody types to choose packets: the options of `nanotape tail` as `channel:NAME`, and else tcpdump's language.

`channel:itch line:A port:26400 udp[8] == 83`: values of one kind are alternatives, different kinds must all fit. A
single word that is a channel's name is that channel.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.packet_filter import Mask, PacketFilter, address
from nanotape.storage.packet_filter import PacketFilter as TcpdumpFilter
from nanotape.storage.pcapng import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_RAW

_KINDS = ("channel", "line", "group", "port", "source")
_LINK_TYPES = {
    FLAG_BITS["linux_sll"]: LINKTYPE_LINUX_SLL,
    FLAG_BITS["linux_sll2"]: LINKTYPE_LINUX_SLL2,
    FLAG_BITS["raw_ip"]: LINKTYPE_RAW,
}
_LINK_FLAGS = sum(_LINK_TYPES)


@dataclass(slots=True)
class PacketQuery:
    """What is looked for."""

    wanted: PacketFilter = field(default_factory=PacketFilter)
    tcpdump: str = ""
    """Of frames; empty: all."""
    _compiled: dict[int, TcpdumpFilter] = field(default_factory=dict)

    def fits(self, batch: pa.RecordBatch, among: Mask) -> Mask:
        """Which rows' frames fit tcpdump's part, of those among which are asked for.

        Raises:
            FilterError: libpcap is not here.
        """
        if not self.tcpdump:
            return among
        places = np.flatnonzero(among)
        rows = batch.take(pa.array(places))
        parts = [rows.column(name).to_pylist() for name in ("header", "payload", "trailer")]
        frames = list(map(b"".join, zip(*parts, strict=True)))
        lengths = rows.column("wire_len").to_pylist()
        links = rows.column("flags").to_numpy() & _LINK_FLAGS
        found = np.zeros(len(places), np.bool_)
        for link in np.unique(links).tolist():
            mine = np.flatnonzero(links == link)
            program = self._of_link(_LINK_TYPES.get(link, LINKTYPE_ETHERNET))
            found[mine] = program.matches([frames[at] for at in mine], [lengths[at] for at in mine])
        fitting = np.zeros(batch.num_rows, np.bool_)
        fitting[places[found]] = True
        return fitting

    def _of_link(self, link_type: int) -> TcpdumpFilter:
        if link_type not in self._compiled:
            self._compiled[link_type] = TcpdumpFilter(self.tcpdump, link_type)
        return self._compiled[link_type]


def packet_query(typed: str, channels: Collection[str]) -> PacketQuery:
    """What was typed.

    Args:
        typed: See the module.
        channels: Names of those that there are.

    Raises:
        ValueError: It cannot be understood, in a line.
        FilterError: libpcap refuses its part, or is not here.
    """
    chosen: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    rest = []
    for word in typed.split():
        kind, colon, value = word.partition(":")
        if colon and kind in _KINDS:
            chosen[kind].add(value)
        else:
            rest.append(word)
    if len(rest) == 1 and rest[0] in channels:
        chosen["channel"].add(rest.pop())
    query = PacketQuery(
        PacketFilter(
            channels=frozenset(chosen["channel"]),
            lines=frozenset(chosen["line"]),
            groups=frozenset(map(address, chosen["group"])),
            ports=frozenset(map(_port, chosen["port"])),
            sources=frozenset(map(address, chosen["source"])),
        ),
        " ".join(rest),
    )
    if query.tcpdump:
        query._of_link(LINKTYPE_ETHERNET)  # refused now, not with the first packet
    return query


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise ValueError(f"port: expected a number up to 65535, found {text!r}")
    return int(text)
