"""What the latency part measures on: a holder on the capturing side, the plan that it lends by, who sends."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanotape.capture.accounts import accounts
from nanotape.capture.child import Child
from nanotape.capture.commands import HOLDER
from nanotape.capture.errors import ServiceError
from nanotape.capture.footprint import Footprint
from nanotape.capture.places import prepare
from nanotape.capture.plan import write_plan
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.native import cores, run_native
from nanotape.cli.scene import Scene, shared_memory
from nanotape.config import Settings, loads
from nanotape.native import executable

FRAME_BYTES = 242
DESCRIPTORS = 65_536
RING_BYTES = 64 << 20
_UMEM_FRAME_BYTES = 2048
_GROUP, _PORT = "239.192.0.1", 31001
_EXCHANGE_ADDRESS = "10.255.0.1"  # of the scene; a socket takes only what could be answered
_NAMESPACES = Path("/run/netns")
_READY_S = 60.0
_NOBODY = 65534  # nothing here gives up its privilege, but a configuration names who would


def huge_bytes() -> int:
    """Huge pages for ring and packet memory."""
    return RING_BYTES + DESCRIPTORS * _UMEM_FRAME_BYTES + (4 << 20)


class Stage:
    """A scene with a plan for it."""

    def __init__(self, scene: Scene) -> None:
        """Writes the plan.

        Args:
            scene: With namespaces, as root has them.

        Raises:
            CaptureError: Folders or plan cannot be made.
        """
        self._scene = scene
        self._core, self._sender_core = cores()
        settings = _settings(scene, self._core)
        owners = accounts(settings.user)
        self._places = prepare(settings, owners, record=False, made=Footprint())
        write_plan(settings, self._places, owners, records=False)
        # Without it veth hands frames to the kernel by way of its backlog, as no NIC does.
        _do(*scene.capture, "ethtool", "-K", scene.interface, "gro", "on")

    @contextlib.contextmanager
    def holder(self) -> Iterator[None]:
        """With the holder's XDP program on the interface: without it the packets go to the kernel.

        Raises:
            BenchError: It does not come up.
        """
        command = [str(executable("nanotape-holder")), "--plan", str(self._places.plan), "--die-with-parent"]
        said = self._scene.folder / "holder.log"
        with said.open("w", encoding="utf-8") as talk:
            child = Child(HOLDER, [*self._scene.capture, *command], talk)
        try:
            try:
                child.wait_ready(_READY_S)
            except ServiceError as error:
                raise BenchError(f"{error}: {said.read_text(encoding='utf-8').strip()}") from None
            yield
        finally:
            child.stop()

    def run(self, mode: str, rate: int, packets: int, warm_up: int) -> dict[str, Any]:
        """One measurement, as nanotape-bench tells it.

        Args:
            mode: `bare`, `loop` and `reader` want the holder; `socket`, `packet` and `stalls` want it away.
            rate: Packets a second.
            packets: All in all.
            warm_up: Of them, the first, that are left out.

        Raises:
            BenchError: It failed.
        """
        words = {
            "mode": mode,
            "plan": self._places.plan,
            "exchange": _NAMESPACES / self._scene.exchange[-1],
            "interface": self._scene.interface,
            "source": _EXCHANGE_ADDRESS,
            "rate": rate,
            "packets": packets,
            "warm-up": warm_up,
            "frame-bytes": FRAME_BYTES,
            "sender-core": self._sender_core,
        }
        options = [text for name, word in words.items() for text in (f"--{name}", str(word))]
        return run_native("latency", *options, wrap=self._scene.capture)


def _settings(scene: Scene, core: int) -> Settings:
    pages = "prefer" if scene.hugepages else "off"
    return loads(f"""
[paths]
run_dir = "{scene.folder}/run"
shm_dir = "{shared_memory(scene.folder)}"
hugepage_dir = "{scene.hugepages / scene.folder.name if scene.hugepages else ""}"

[user]
capture = "{_NOBODY}"
record = "{_NOBODY - 1}"
group = "{_NOBODY}"

[ring]
name = "latency"
capacity = "{RING_BYTES >> 20} MiB"
hugepages = "{pages}"

[source]
kind = "afxdp"
interface = "{scene.interface}"
zerocopy = "off"
descriptors = {DESCRIPTORS}
umem_hugepages = "{pages}"

[loop]
core = {core}
seccomp = "kill"

[[channel]]
name = "latency"
feed = "simulated"

[[channel.line]]
name = "A"
group = "{_GROUP}"
port = {_PORT}
""")


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip() or 'failed'}")
