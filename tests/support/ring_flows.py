"""Flow tables of rings that tests write."""

from __future__ import annotations

import ipaddress

from ring_writer import RingWriter, fault

from nanotape.native import ffi, lib


def add_flow(writer: RingWriter, channel: str, line: str, group: str, port: int, interface: str = "eth1") -> int:
    """Puts a flow into the table of a ring; returns its id."""
    address = ipaddress.ip_address(group)
    flow, number = ffi.new("struct nt_flow *"), ffi.new("uint32_t *")
    flow.family, flow.port, flow.vlan = address.version, port, 0xFFFF
    flow.group[0 : len(address.packed)] = list(address.packed)
    flow.interface, flow.feed, flow.channel, flow.line = interface.encode(), b"feed", channel.encode(), line.encode()
    assert lib.nt_ring_flow_id(writer.handle, flow, number, fault()) == 0
    return int(number[0])
