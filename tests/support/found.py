"""What `nanotape discover` might have found, made up for tests."""

from __future__ import annotations

from typing import Any

from nanotape.capture.discovered import Discovered, DiscoveredFlow


def flow(**facts: Any) -> DiscoveredFlow:
    """An ordinary flow, but for `facts`."""
    ordinary: dict[str, Any] = {
        "source": "198.51.100.1",
        "group": "233.252.0.1",
        "port": 15000,
        "vlan": None,
        "inner_vlan": None,
        "packets": 100,
        "bytes": 24200,
        "rate_pps": 20.0,
        "mean_pps": 20.0,
        "bytes_per_second": 4840.0,
        "smallest": 242,
        "largest": 242,
        "payload_bytes": 200,
        "first_bytes": "4e54303030303030303100",
        "first_ns": 1_700_000_000_000_000_000,
        "last_ns": 1_700_000_005_000_000_000,
    }
    return DiscoveredFlow(**(ordinary | facts))


def found(*flows: DiscoveredFlow, **facts: Any) -> Discovered:
    """These flows on eth1 in 5 s, but for `facts`."""
    ordinary: dict[str, Any] = {
        "interface": "eth1",
        "seconds": 5.0,
        "select": "multicast",
        "flows": flows,
        "flow_count": len(flows),
        "packets": sum(flow.packets for flow in flows),
        "unparsed": 0,
        "fragments": 0,
        "filtered": 0,
        "not_kept": 0,
        "dropped": 0,
        "unselected": 0,
        "xdp_program": False,
    }
    return Discovered(**(ordinary | facts))
