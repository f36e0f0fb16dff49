"""The live table of `nanotape discover`."""

from rich.table import Table
from rich.text import Text

from nanotape.capture.discovered import Discovered, DiscoveredFlow


def table(found: Discovered) -> Table:
    """The flows of a snapshot, as it holds them: the busiest first."""
    made = Table(box=None, pad_edge=False, expand=True, title=_title(found), title_justify="left", title_style="bold")
    for name, least in (("packets/s", 9), ("Mbit/s", 8), ("vlan", 4)):  # where room is short, addresses are cut first
        made.add_column(name, justify="right", no_wrap=True, min_width=least)
    for name in ("source", "group:port"):
        made.add_column(name, no_wrap=True)
    made.add_column("bytes", justify="right", no_wrap=True)
    made.add_column("begins", no_wrap=True, overflow="crop", ratio=1)  # what room the others leave
    for flow in found.flows:
        made.add_row(*_cells(flow))
    return made


def _title(found: Discovered) -> Text:
    hidden = found.flow_count - len(found.flows)
    parts = [
        f"{found.interface}  {found.seconds:.0f} s",
        f"{found.flow_count:,} flows{f' ({hidden:,} not shown)' if hidden else ''}",
        f"{found.packets:,} packets",
        "drops unknown" if found.dropped is None else f"{found.dropped:,} dropped",
        *([f"{found.unparsed:,} unparsed"] if found.unparsed else []),
        *([f"{found.not_kept:,} not kept"] if found.not_kept else []),
        "Ctrl-C ends",
    ]
    return Text("  ".join(parts))


def _cells(flow: DiscoveredFlow) -> list[Text]:
    group = f"[{flow.group}]" if ":" in flow.group else flow.group
    vlan = "" if flow.vlan is None else str(flow.vlan)
    inner = "" if flow.inner_vlan is None else f".{flow.inner_vlan}"
    size = str(flow.smallest) if flow.smallest == flow.largest else f"{flow.smallest}-{flow.largest}"
    cells = [
        f"{flow.rate_pps:,.0f}" if flow.rate_pps >= 10 else f"{flow.rate_pps:.1f}",
        f"{flow.bytes_per_second * 8 / 1e6:,.2f}",
        vlan + inner,
        flow.source,
        f"{group}:{flow.port}",
        size,
        flow.first_bytes,
    ]
    return [Text(cell) for cell in cells]  # as it is: an address in brackets is no markup
