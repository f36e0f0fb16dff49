"""What a configuration asks of its host: cores, interfaces, huge pages, rates. The checks are in these terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nanotape.config import Settings, flows
from nanotape.config.quantity import HOLD_FRAME_BYTES
from nanotape.config.rings import views

_NOT_NICS = ("synthetic", "pcap", "lo", "")
_DEFAULT_PAGE_LOG2 = 21
_WIRED = ("afxdp", "packet", "socket")


@dataclass(frozen=True, slots=True)
class HugePages:
    """So many bytes of pages of one size."""

    page_bytes: int
    bytes: int
    is_required: bool
    """Else it falls back to ordinary memory."""

    @property
    def pages(self) -> int:
        """How many."""
        return -(-self.bytes // self.page_bytes)


@dataclass(frozen=True, slots=True)
class Needs:
    """Of all rings of a configuration."""

    cores: frozenset[int]
    """Those of the loops; empty: none is configured."""
    fifo_cores: frozenset[int]
    """Of these, where a loop runs with SCHED_FIFO."""
    realtime: int
    """The highest priority that a loop asks for; 0: none does."""
    interfaces: tuple[str, ...]
    afxdp: frozenset[str]
    """Interfaces whose frames AF_XDP takes."""
    sockets: frozenset[str]
    """Interfaces that are read by plain sockets."""
    zerocopy_required: frozenset[str]
    ring_pages: tuple[HugePages, ...]
    umem_bytes_per_queue: tuple[tuple[str, int], ...]
    """Interface, and bytes of packet memory on huge pages for each of its RX queues."""
    umem_required: bool
    receive_buffer: int
    """Bytes; 0: no socket source."""
    flows: tuple[tuple[str, str, int], ...]
    """Interface, group and port of each line that an interface captures."""
    groups: int
    """The most groups that one interface joins."""
    archive: str
    disk_bytes_s: int | None
    """Most that `hold` says may arrive, as bytes of frames; None: no rate is configured."""
    shm_dir: str
    user: str

    @classmethod
    def of(cls, settings: Settings) -> Needs:
        """Reads them off a configuration."""
        rings = [view.settings for view in views(settings)]
        loops = [ring.loop for ring in rings]
        by_kind = {kind: frozenset(name for ring in rings for name in _of_kind(ring, kind)) for kind in _WIRED}
        demanding = [ring for ring in rings if ring.source.zerocopy == "require"]
        return cls(
            cores=frozenset(loop.core for loop in loops if loop.core is not None),
            fifo_cores=frozenset(loop.core for loop in loops if loop.core is not None and loop.realtime),
            realtime=max((loop.realtime or 0 for loop in loops), default=0),
            interfaces=tuple(dict.fromkeys(name for ring in rings for name in _interfaces(ring))),
            afxdp=by_kind["afxdp"],
            sockets=by_kind["socket"],
            zerocopy_required=frozenset(name for ring in demanding for name in _of_kind(ring, "afxdp")),
            ring_pages=tuple(_ring_pages(ring) for ring in rings if ring.ring.hugepages != "off"),
            umem_bytes_per_queue=tuple(pair for ring in rings for pair in _umem(ring)),
            umem_required=any(ring.source.umem_hugepages == "require" for ring in rings if list(_umem(ring))),
            receive_buffer=max((ring.source.receive_buffer for ring in rings if _of_kind(ring, "socket")), default=0),
            flows=tuple((flow.interface, flow.group, flow.port) for flow in flows(settings)),
            groups=_groups(settings),
            archive=settings.paths.archive,
            disk_bytes_s=_rate(rings),
            shm_dir=settings.paths.shm_dir,
            user=settings.user.capture,
        )  # fmt: skip


def _interfaces(ring: Settings) -> list[str]:
    if ring.source.effective_kind not in _WIRED:
        return []
    named = [flow.interface for flow in flows(ring)] + [ring.source.interface or ""]
    return [name for name in dict.fromkeys(named) if name not in _NOT_NICS]


def _of_kind(ring: Settings, kind: str) -> list[str]:
    return _interfaces(ring) if ring.source.effective_kind == kind else []


def _ring_pages(ring: Settings) -> HugePages:
    log2 = ring.ring.page_bytes_log2 or _DEFAULT_PAGE_LOG2
    return HugePages(1 << log2, max(ring.ring.capacity_bytes, 1 << log2), ring.ring.hugepages == "require")


def _umem(ring: Settings) -> Iterator[tuple[str, int]]:
    if ring.source.umem_hugepages != "off":
        for interface in _of_kind(ring, "afxdp"):
            yield interface, ring.source.descriptors * ring.source.frame_size


def _groups(settings: Settings) -> int:
    joined: dict[str, set[str]] = {}
    for flow in flows(settings):
        joined.setdefault(flow.interface, set()).add(flow.group)
    return max((len(groups) for groups in joined.values()), default=0)


def _rate(rings: list[Settings]) -> int | None:
    holds = [ring.ring.hold for ring in rings if ring.ring.hold is not None]
    rates = [hold.rate_pps * (hold.frame_bytes or HOLD_FRAME_BYTES) for hold in holds]
    return sum(rates) if rates else None
