"""The wire of the benchmark: two namespaces joined by veth, and the in-kernel generator at one end of it.

Tells what was offered, and what the wire itself lost, from counters that neither the generator nor a capture writes.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.native import cores
from nanotape.cli.bench.steal import Steal
from nanotape.cli.scene import Scene, scene
from nanotape.native import executable

FRAME_BYTES = 242
GROUP, PORT = "239.192.0.1", 31001
_NUMBER_OFFSET = 42  # Ethernet, IPv4, UDP; then the packet's number, 8 bytes, see native/bench/generator.h
CHANNEL = f"""[[channel]]
name = "bench"
feed = "simulated"
framing = "none"

[[channel.line]]
name = "A"
group = "{GROUP}"
port = {PORT}
"""
"""Of a configuration: what takes the generator's packets."""
NUMBER_BYTES = slice(_NUMBER_OFFSET, _NUMBER_OFFSET + 8)
"""Where a frame carries its number, big-endian, from 1."""
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Offered:
    """What a run of the generator offered."""

    sent: int
    """Packets that were made and redirected to the interface."""
    link_lost: int
    """Of these, lost between the interfaces, before any capture could have seen them."""
    seconds: float
    """First packet to last."""
    sender_cpu_s: float
    """CPU time of the sending core that was not spent on waiting: all that the kernel does until a frame is where a
    capture finds it happens there."""
    slipped_s: float
    """By how much the schedule was put off, since the generator itself had no CPU."""
    late_max_s: float
    steal: float
    """Share of the machine that was stolen meanwhile."""
    stolen_s: float

    @property
    def pps(self) -> float:
        """The rate that was reached."""
        return self.sent / self.seconds if self.seconds else 0.0


class Wire:
    """The wire, ready to carry packets."""

    def __init__(self, stage: Scene) -> None:
        """Makes it quiet, and lets live frames reach sockets.

        Raises:
            BenchError: It cannot be set up.
        """
        self.scene = stage
        self.core, self.sender_core = cores()
        for side in (stage.exchange, stage.capture):
            # No frames but ours: a tool that takes all would count router solicitations too.
            _do(*side, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        # Without XDP, veth has no NAPI, and takes no live frames, unless GRO is on.
        _do(*stage.capture, "ethtool", "-K", stage.interface, "gro", "on")

    def offer(self, packets: int, rate: int, *, varied: bool = False) -> Offered:
        """Sends numbered packets, and returns when they are through the interface.

        Args:
            packets: How many.
            rate: Packets a second; 0: as fast as it goes.
            varied: A third of the payload differs from packet to packet, not only its number.

        Raises:
            BenchError: The generator failed.
        """
        before = self._link_lost()
        command = [
            *("setpriv", "--pdeathsig", "KILL"),  # who is killed leaves nobody sending
            *self.scene.exchange,
            *(str(executable("nanotape-bench")), "generate", "--interface", self.scene.interface),
            *("--packets", str(packets), "--rate", str(rate), "--frame-bytes", str(FRAME_BYTES)),
            *("--group", GROUP, "--port", str(PORT), "--core", str(self.sender_core)),
            *(("--varied",) if varied else ()),
        ]
        with Steal() as steal:
            told = json.loads(_do(*command))
        cpu_s = told["cpu_user_s"] + told["cpu_system_s"]
        return Offered(
            sent=told["sent"],
            link_lost=self._link_lost() - before,
            seconds=told["seconds"],
            sender_cpu_s=max(0.0, cpu_s - told["waited_s"]),
            slipped_s=told["slipped_ns"] / 1e9,
            late_max_s=told["late_max_ns"] / 1e9,
            steal=steal.share,
            stolen_s=steal.stolen_s,
        )

    def _link_lost(self) -> int:
        """Frames that one veth could not hand to the other. What the other drops later, its XDP program has seen."""
        counters = _statistics(self.scene.exchange, self.scene.interface)
        return sum(count for name, count in counters.items() if name.endswith("_xdp_xmit_errors"))


def _statistics(side: tuple[str, ...], interface: str) -> dict[str, int]:
    lines = (line.partition(":") for line in _do(*side, "ethtool", "-S", interface).splitlines())
    return {name.strip(): int(value) for name, _, value in lines if value.strip().isdigit()}


def _do(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except OSError as error:
        raise BenchError(f"{command[0]}: cannot be run: {error.strerror}; install iproute2, ethtool, procps") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(command)}: expected it to end within {_PATIENCE_S:.0f} s, it does not") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BenchError(f"{' '.join(command)}: {said[-1] if said else f'ended with {done.returncode}'}")
    return done.stdout


@contextlib.contextmanager
def wire(huge_bytes: int) -> Iterator[Wire]:
    """Sets it up, and takes it down.

    Args:
        huge_bytes: Huge pages wanted.

    Raises:
        CaptureError: This machine cannot do it, or has one core only.
    """
    if len(set(cores())) < 2:
        raise BenchError("wire: expected two cores, one to send and one to capture, found one")
    with scene("bench", huge_bytes) as stage:
        yield Wire(stage)
