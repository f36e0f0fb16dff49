"""Which RX queue a NIC gives a packet to, as the kernel tells it: the RSS table, what is hashed, and flow rules.

Numbers and layouts are those of linux/ethtool.h (struct ethtool_rxfh, ethtool_rxnfc, ethtool_rx_flow_spec). Only reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from nanotape.capture.host.facts import FlowRule

GRXFH, GRXCLSRLCNT, GRXCLSRULE, GRXCLSRLALL, GRSSH = 0x29, 0x2E, 0x2F, 0x30, 0x46

Ask = Callable[[bytearray, str], None]
"""Has the kernel fill in a request; what it is of stands in the reason of a refusal."""

_HASH = struct.Struct("=IIIIBxxxI")  # cmd, rss_context, indir_size, key_size, hfunc, reserved; then table and key
_RULES = struct.Struct("=IIQ168xI4x")  # cmd, flow_type, data, (struct ethtool_rx_flow_spec), rule_cnt
_RULE_AT, _COUNT_AT, _PLACES_AT = 16, 184, 188
_MATCH_AT, _MASK_AT, _COOKIE_AT, _LOCATION_AT = 4, 76, 152, 160
"""In struct ethtool_rx_flow_spec: h_u, m_u (52 bytes and 20 of h_ext behind it), ring_cookie, location."""
_MATCH_BYTES = 52
_UDP4 = 0x02
_FLAGS = 0xE000_0000  # FLOW_EXT, FLOW_MAC_EXT, FLOW_RSS
_RSS = 0x2000_0000
_DISCARD, _WAKE = (1 << 64) - 1, (1 << 64) - 2
_QUEUE, _FUNCTION, _FUNCTION_SHIFT = 0xFFFF_FFFF, 0xFF, 32
_MOST_RULES = 1 << 16
_FIELDS = {1: "destination MAC", 2: "VLAN", 3: "protocol", 4: "source address", 5: "destination address",
           6: "source port", 7: "destination port"}  # fmt: skip
"""Bits of RXH_."""
_PLACES = {
    0x02: (4, slice(4, 8), slice(10, 12)),  # ethtool_tcpip4_spec
    0x0D: (4, slice(4, 8), slice(10, 12)),  # ethtool_usrip4_spec: the first four bytes of layer 4 are its ports
    0x06: (6, slice(16, 32), slice(34, 36)),  # ethtool_tcpip6_spec
    0x0E: (6, slice(16, 32), slice(34, 36)),  # ethtool_usrip6_spec
    0x12: (0, slice(0, 6), slice(0, 0)),  # ethhdr
}
"""By type of flow: IP version (0: Ethernet), and where destination and port are. Others are no multicast datagrams."""


def read_table(ask: Ask) -> tuple[int, ...]:
    """The RSS indirection table: a queue for each slot of the hash; empty: there is none."""
    sizes = bytearray(_HASH.pack(GRSSH, 0, 0, 0, 0, 0))
    ask(sizes, "RSS table")
    slots, key_bytes = _HASH.unpack(sizes)[2:4]
    buffer = bytearray(_HASH.pack(GRSSH, 0, slots, key_bytes, 0, 0)) + bytearray(4 * slots + key_bytes)
    ask(buffer, "RSS table")
    return struct.unpack_from(f"={slots}I", buffer, _HASH.size)


def read_hash_fields(ask: Ask) -> tuple[str, ...]:
    """What of a UDP datagram over IPv4 chooses the slot; empty: nothing."""
    buffer = bytearray(_RULES.pack(GRXFH, _UDP4, 0, 0))
    ask(buffer, "fields that are hashed")
    bits = _RULES.unpack(buffer)[2]
    return tuple(name for bit, name in _FIELDS.items() if bits >> bit & 1)


def read_rules(ask: Ask) -> tuple[FlowRule, ...]:
    """Flow rules (ntuple), in the order in which the NIC asks them."""
    counted = bytearray(_RULES.pack(GRXCLSRLCNT, 0, 0, 0))
    ask(counted, "flow rules")
    count = min(struct.unpack_from("=I", counted, _COUNT_AT)[0], _MOST_RULES)
    if not count:
        return ()
    listed = bytearray(_RULES.pack(GRXCLSRLALL, 0, 0, count)) + bytearray(4 * count)
    ask(listed, "flow rules")
    found = min(struct.unpack_from("=I", listed, _COUNT_AT)[0], count)
    return tuple(_rule(ask, place) for place in sorted(struct.unpack_from(f"={found}I", listed, _PLACES_AT)))


def _rule(ask: Ask, place: int) -> FlowRule:
    buffer = bytearray(_RULES.pack(GRXCLSRULE, 0, 0, 0))
    struct.pack_into("=I", buffer, _RULE_AT + _LOCATION_AT, place)
    ask(buffer, f"flow rule {place}")
    spec = bytes(buffer[_RULE_AT:_COUNT_AT])
    (kind,), (cookie,) = struct.unpack_from("=I", spec), struct.unpack_from("=Q", spec, _COOKIE_AT)
    match, mask = (spec[at : at + _MATCH_BYTES] for at in (_MATCH_AT, _MASK_AT))
    family, destination, port = _PLACES.get(kind & ~_FLAGS, (None, slice(0, 0), slice(0, 0)))
    return FlowRule(
        location=place,
        queue=None if cookie in (_DISCARD, _WAKE) else cookie & _QUEUE,
        function=0 if cookie in (_DISCARD, _WAKE) else cookie >> _FUNCTION_SHIFT & _FUNCTION,
        spreads=bool(kind & _RSS),
        family=family,
        destination=(int.from_bytes(match[destination]), int.from_bytes(mask[destination])),
        port=(int.from_bytes(match[port]), int.from_bytes(mask[port])),
    )
