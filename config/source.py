"""The tables `[source]` and `[loop]`: where packets come from, and the thread that drains it."""

from typing import Annotated, Literal

from nanotape.config.channel import Section
from nanotape.config.measures import (
    AS_RECORDED_PPM,
    DURATION,
    FRAME_MAXIMUM_BYTES,
    FRAME_MINIMUM_BYTES,
    RATE,
    SIZE,
    Quantity,
    Speed,
)
from nanotape.config.network import Interface
from nanotape.config.rules import Choice, FilePath, Whole
from nanotape.config.switch import SwitchForm, SwitchSettings, TaiOffset

TriState = Annotated[Literal["off", "prefer", "require"], Choice()]


class SourceSettings(Section):
    """Where packets come from; keys of another kind than `kind` are kept but not used."""

    kind: Annotated[Literal["afxdp", "packet", "socket", "pcap", "synthetic"], Choice()] = "afxdp"
    """`afxdp`: frames taken from the NIC; `packet`: copies of them, on any driver; `socket`: plain UDP, no privilege,
    headers rebuilt; `pcap`: a capture file; `synthetic`: from memory."""
    interface: Annotated[str | None, Interface()] = None
    """Interface of every line that names none; `select` takes from it too, besides those that lines name; not set: each
    line must name its own."""
    select: Annotated[Literal["channels", "multicast", "udp", "all"] | None, Choice()] = None
    """afxdp, packet, pcap: `channels`: what is configured; `multicast`, `udp`, `all`: also all UDP to groups, all UDP,
    all frames (not with afxdp), as channel `other`; not set: `all` for pcap, else `channels`."""
    delivery: Annotated[Literal["exclusive", "sniff", "steal"], Choice()] = "exclusive"
    """afxdp: `exclusive` refuses to start where another socket of this host listens to what would be taken from it;
    `sniff` takes a copy, as `packet` does; `steal` lets the others go blind."""
    promiscuous: bool = False
    """afxdp, packet: the NIC also takes frames that are not addressed to it, as on a tap or a mirror port."""
    fanout: Annotated[int, Whole(1, 16)] = 1
    """packet: sockets that share the packets of each interface."""
    file: Annotated[str | None, FilePath()] = None
    """pcap: the file, pcap or pcapng, plain or compressed by gzip or zstd; an absolute path."""
    speed: Annotated[int, Speed()] = AS_RECORDED_PPM
    """pcap: `recorded`, `max`, or a factor such as `10x` or `0.5x`; millionths in the code, 0 for `max`."""
    join: Annotated[Literal["igmp", "none"], Choice()] = "igmp"
    """`igmp`: join the groups (IPv6: MLD); `none`: they arrive unasked, as on a tap or a mirror port."""
    native_xdp: Annotated[Literal["require", "prefer"], Choice()] = "require"
    """afxdp: `prefer` allows the slow generic (SKB) mode where the driver has no native one."""
    zerocopy: TriState = "prefer"
    """afxdp: whether the NIC writes straight into our memory; what came of it is reported after the bind."""
    descriptors: Annotated[int, Whole(64, 1 << 20, powers=True)] = 65536
    """afxdp: packets that each RX queue holds while the loop is away, a power of two; each takes `frame_size` bytes;
    packet: so many times `frame_size` bytes of ring for each socket."""
    frame_size: Annotated[Literal[2048, 4096], Choice()] = 2048
    """afxdp: bytes of memory for each packet; the first 256 are not for the frame."""
    umem_hugepages: TriState = "prefer"
    """afxdp: whether packet memory lies on huge pages."""
    receive_buffer: Annotated[int, Quantity(SIZE, 4 << 10, 1 << 30)] = 8 << 20
    """socket: bytes of buffer asked for each flow; without privilege the kernel gives at most net.core.rmem_max."""
    switch_stamps: Annotated[SwitchForm, Choice()] = "off"
    """afxdp, packet, pcap: the stamp that a switch writes into each frame, which becomes `ts_switch`; `auto`: seen in
    the first frames. `exalink` and `arista-7150` need `select = "all"`, for their keyframes."""
    switch_tai: Annotated[int, TaiOffset()] = 0
    """What is subtracted from the switch's stamps where it sends TAI: `37s` since 2017; `off`: it sends UTC;
    nanoseconds in the code."""
    switch_plausible: Annotated[int, Quantity(DURATION, 1000, 3600 * 10**9)] = 10**9
    """Farthest that a switch's stamp may be from the capture's own; what is farther is null, counted and told;
    nanoseconds in the code."""
    synthetic_frame_size: Annotated[int, Quantity(SIZE, FRAME_MINIMUM_BYTES, FRAME_MAXIMUM_BYTES)] = 242
    """synthetic: bytes of each frame."""
    synthetic_count: Annotated[int, Whole(0, (1 << 63) - 1)] = 0
    """synthetic: frames to make; 0: without end."""
    synthetic_rate: Annotated[int, Quantity(RATE, 0, 10**9)] = 0
    """synthetic: packets a second; 0: as fast as it goes."""

    @property
    def effective_kind(self) -> str:
        """The kind of source that `kind` and `delivery` come to."""
        return "packet" if self.kind == "afxdp" and self.delivery == "sniff" else self.kind

    @property
    def switch(self) -> SwitchSettings:
        """How the switch's stamps are read."""
        return SwitchSettings(self.switch_stamps, self.switch_tai, self.switch_plausible)

    @property
    def selection(self) -> str:
        """`select`, or what it is where it is not set."""
        return self.select or ("all" if self.kind == "pcap" else "channels")


class LoopSettings(Section):
    """The thread that drains the sources."""

    core: Annotated[int | None, Whole(0, 1023)] = None
    """CPU that the loop is pinned to, best an isolated one; not set: wherever the kernel puts it."""
    realtime: Annotated[int, Whole(0, 99)] = 0
    """SCHED_FIFO priority, with `core` only; 0: ordinary scheduling."""
    idle: Annotated[Literal["auto", "spin", "sleep"], Choice()] = "auto"
    """What the loop does without packets; `auto`: `spin` when `core` is set, else `sleep`."""
    batch: Annotated[int, Whole(1, 256)] = 64
    """Packets that one poll of a source takes at most, and that one publication makes visible."""
    prefetch: Annotated[int, Whole(0, 64)] = 8
    """How many packets ahead of the one that is copied are fetched into the cache; 0: none."""
    seccomp: Annotated[Literal["count", "kill", "off"], Choice()] = "count"
    """What a system call of the loop's thread is: `count`: a defect, counted and told; `kill`: the end of the capture;
    `off`: not looked at. Without effect while the loop may sleep, and for `socket` and `pcap`."""

    @property
    def spins(self) -> bool:
        """Whether the loop polls without rest."""
        return self.idle == "spin" or (self.idle == "auto" and self.core is not None)
