"""PTP masters and a managed slave, each in a network namespace of its own, on one wire; software stamps.

No clock is touched: every ptp4l is `free_running` and, for whoever gets that wrong, without CAP_SYS_TIME. Sockets lie
in a folder of a short path. Removed at the end, whatever happened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import namespaces
from deadline import wait_for

from nanotape.capture.clock.linuxptp import Linuxptp
from nanotape.capture.clock.linuxptp_version import installed_version
from nanotape.capture.clock.pmc import Pmc
from nanotape.capture.clock.pmc_output import Answer
from nanotape.capture.clock.ptp_reader import PtpReader
from nanotape.capture.clock.tool import found_tool
from nanotape.config.clock import ClockSettings

DOMAIN = 24
NO_CLOCK = ("setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time")
"""Before a command: it cannot step or slew a clock, whatever it tries."""
_ADDRESS = "10.211.0.{0}"

MASTER = """[global]
free_running 1
time_stamping software
domainNumber {domain}
priority1 {priority}
clockClass {clock_class}
clockAccuracy 0x21
logAnnounceInterval -3
logSyncInterval -1
logMinDelayReqInterval -1
uds_address {folder}/{name}.sock
{more}
use_syslog 0
verbose 1
[{interface}]
"""


def missing_for_ptp() -> str | None:
    """Says why no PTP can be run here, or None."""
    absent = [tool for tool in ("ptp4l", "pmc") if found_tool(tool) is None]
    if absent:
        return f"needs {' and '.join(absent)} (apt-get install linuxptp)"
    return namespaces.missing_for_namespaces()


@dataclasses.dataclass
class PtpMaster:
    """A ptp4l that would be a grandmaster."""

    name: str
    domain: int
    socket: pathlib.Path
    process: subprocess.Popen[Any]

    def ask(self) -> Answer:
        """What it says of itself."""
        return Pmc(self.socket, self.domain, self.socket.parent).ask()

    @property
    def identity(self) -> str:
        """Its clock identity, once it says it."""

        def asked() -> str | None:
            reply = self.ask().one("DEFAULT_DATA_SET") if self.socket.exists() else None
            return reply.text("clockIdentity") if reply else None

        return str(wait_for(asked, f"the identity of {self.name}"))

    def announce(
        self, *, utc_offset: int = 37, is_tai: bool = True, leap61: bool = False, leap59: bool = False
    ) -> None:
        """Has it announce other time properties. It goes on sending the host's UTC, whatever it announces."""
        tai = int(is_tai)
        action = (
            "SET GRANDMASTER_SETTINGS_NP clockClass 6 clockAccuracy 0x21 offsetScaledLogVariance 0x4e5d "
            f"currentUtcOffset {utc_offset} leap61 {int(leap61)} leap59 {int(leap59)} currentUtcOffsetValid {tai} "
            f"ptpTimescale {tai} timeTraceable 1 frequencyTraceable 1 timeSource 0x20"
        )
        own = self.socket.with_name(f"{self.name}.set")
        command = [found_tool("pmc") or "pmc", "-u", "-b", "0", "-d", str(self.domain), "-s", str(self.socket)]
        subprocess.run([*command, "-i", str(own), action], check=True, capture_output=True, timeout=10)

    def kill(self) -> None:
        """As a power cut would: without a word to anybody."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class PtpNet:
    """The wire: masters on the left, the managed slave on the right."""

    def __init__(self, pair: namespaces.NamespacePair, folder: pathlib.Path) -> None:
        self.pair, self.folder = pair, folder
        self.masters: list[PtpMaster] = []
        self._namespaces: list[str] = []
        self._managed: list[Linuxptp] = []

    @property
    def wrap(self) -> tuple[str, ...]:
        """Put before a command, it runs where the slave does."""
        return (*self.pair.right.command(), *NO_CLOCK)

    def master(
        self, name: str, domain: int = DOMAIN, priority: int = 100, clock_class: int = 6, more: str = ""
    ) -> PtpMaster:
        """Starts a master in a namespace of its own; `more` are lines for its configuration."""
        namespace, interface = self._namespace()
        if installed_version().is_4:  # or it would take the host's own
            more += f"\nuds_ro_address {self.folder}/{name}ro.sock"
        config = self.folder / f"{name}.conf"
        config.write_text(
            MASTER.format(
                domain=domain,
                priority=priority,
                clock_class=clock_class,
                folder=self.folder,
                name=name,
                more=more,
                interface=interface,
            )
        )
        command = ["ip", "netns", "exec", namespace, *NO_CLOCK, found_tool("ptp4l") or "ptp4l", "-f", str(config)]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.masters.append(PtpMaster(name, domain, self.folder / f"{name}.sock", process))
        return self.masters[-1]

    def settings(self, **options: Any) -> ClockSettings:
        """Of the managed slave."""
        ordinary = {
            "mode": "manage",
            "interfaces": (self.pair.right.interface,),
            "domain": DOMAIN,
            "time_stamping": "software",
            "free_running": True,
        }
        return ClockSettings(**(ordinary | options))

    def managed(self, **options: Any) -> Linuxptp:
        """The slave, not started yet; ended with the wire."""
        managed = Linuxptp(self.settings(**options), self.folder / "clock", self.wrap)
        self._managed.append(managed)
        return managed

    def reader(self, managed: Linuxptp, domain: int = DOMAIN, **options: Any) -> PtpReader:
        """Asks a slave that was started."""
        ordinary = {"sockets": managed.sockets, "logs": managed.logs, "is_free_running": True}
        return PtpReader(domain, self.folder, **(ordinary | options))

    def logs(self) -> str:
        """All logs, for a test that fails."""
        return "\n".join(f"== {path}\n{path.read_text()}" for path in sorted(self.folder.rglob("*.log")))

    def end(self) -> None:
        """Ends all that was started."""
        for managed in self._managed:
            managed.stop()
        for master in self.masters:
            if master.process.poll() is None:
                master.kill()
        for name in self._namespaces:
            namespaces.remove_namespace(name)

    def _namespace(self) -> tuple[str, str]:
        """A namespace on the left's end of the wire."""
        left, number = self.pair.left, len(self._namespaces)
        name, interface = f"{left.namespace}-{number}", f"mv{number}"
        _ip("netns", "add", name)
        self._namespaces.append(name)
        # Made where it hangs, and moved: with `netns` at once it would need the other's interface in sight.
        _ip("-n", left.namespace, "link", "add", interface, "link", left.interface, "type", "macvlan", "mode", "bridge")
        _ip("-n", left.namespace, "link", "set", interface, "netns", name)
        _ip("-n", name, "address", "add", f"{_ADDRESS.format(10 + number)}/24", "dev", interface)
        for device in ("lo", interface):
            _ip("-n", name, "link", "set", device, "up")
        return name, interface


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def ptp_net() -> Iterator[PtpNet]:
    """Makes the wire."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"nt-ptp-{os.getpid()}-"))
    try:
        with namespaces.namespace_pair() as pair:
            net = PtpNet(pair, folder)
            try:
                yield net
            finally:
                net.end()
    finally:
        shutil.rmtree(folder)
