"""What a reader of the figures must know of the machine: a flat table of text; what cannot be told says so."""

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from nanotape.cli.bench.native import cores
from nanotape.native import executable

UNKNOWN = "unknown"
_CPU = Path("/sys/devices/system/cpu")
_LIBRARIES = ("pyarrow", "numpy", "duckdb", "zstandard")
_TUNING = {
    *("isolcpus", "nohz", "nohz_full", "rcu_nocbs", "rcu_nocb_poll", "irqaffinity", "mitigations", "nosmt", "idle"),
    *("cpuidle", "cpufreq", "intel_idle", "intel_pstate", "processor", "tsc", "clocksource", "skew_tick", "preempt"),
    *("hugepages", "hugepagesz", "default_hugepagesz", "transparent_hugepage", "iommu", "intel_iommu", "amd_iommu"),
    "numa_balancing",
}
_TOOLS = {"tcpdump": "--version", "dumpcap": "--version", "netsniff-ng": "--version"}


def machine(folder: Path) -> dict[str, str]:
    """The table.

    Args:
        folder: On the disk that is measured.
    """
    facts: dict[str, Callable[[], str]] = {
        "CPU": _model,
        "cores": _cores,
        "caches": _caches,
        "memory": _memory,
        "huge pages": _huge_pages,
        "virtualised": _hypervisor,
        "kernel": lambda: f"{platform.system()} {platform.release()}",
        "kernel command line": _command_line,
        "isolated cores": lambda: _read(_CPU / "isolated") or "none",
        "mitigations": _mitigations,
        "clock source": lambda: _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "governor": _governor,
        "NIC driver": lambda: "veth, between two network namespaces",
        "distribution": _distribution,
        "compiler": _compiler,
        "C library": lambda: " ".join(platform.libc_ver()),
        "Python": platform.python_version,
        **{name: lambda name=name: importlib.metadata.version(name) for name in _LIBRARIES},  # type: ignore[misc]
        **{tool: lambda tool=tool, how=how: _tool(tool, how) for tool, how in _TOOLS.items()},  # type: ignore[misc]
        "disk": lambda: _disk(folder),
    }
    return {name: _told(tell) for name, tell in facts.items()}


def _told(tell: Callable[[], str]) -> str:
    with contextlib.suppress(OSError, ValueError, LookupError, subprocess.SubprocessError, ImportError):
        return tell().strip() or UNKNOWN
    return UNKNOWN


def _read(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace").strip()


def _field(path: str, name: str) -> str:
    """Of a file of `name : value` lines."""
    lines = (line.partition(":") for line in _read(path).splitlines())
    return next(value.strip() for found, _, value in lines if found.strip() == name)


def _model() -> str:
    return _field("/proc/cpuinfo", "model name")


def _cores() -> str:
    """With the hardware threads of the measured one: what runs on a sibling takes from it."""
    measured = cores()[0]
    said = f"{os.cpu_count()}, measured on core {measured}"
    with contextlib.suppress(OSError):
        siblings = _read(_CPU / f"cpu{measured}/topology/thread_siblings_list")
        said += f", a hardware thread of {siblings}" if siblings != str(measured) else ""
    return said


def _caches() -> str:
    found = []
    for index in sorted((_CPU / "cpu0/cache").glob("index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(_read(index / "type"), "")
        found.append(f"L{_read(index / 'level')}{kind} {_read(index / 'size')}")
    return ", ".join(found)


def _memory() -> str:
    return f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB"


def _huge_pages() -> str:
    transparent = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    return (
        f"of {_field('/proc/meminfo', 'Hugepagesize')}, reserved as a part needs them; "
        f"transparent: {transparent.partition('[')[2].partition(']')[0]}"
    )


def _command_line() -> str:
    """Of it, what matters to speed; the rest is nobody's business."""
    words = [word for word in _read("/proc/cmdline").split() if word.partition("=")[0].partition(".")[0] in _TUNING]
    return " ".join(words) or "nothing that matters to speed"


def _hypervisor() -> str:
    if "hypervisor" not in _field("/proc/cpuinfo", "flags").split():
        return "no"
    with contextlib.suppress(OSError):
        return f"yes, {_read('/sys/class/dmi/id/sys_vendor')}"
    return "yes"


def _mitigations() -> str:
    active = [path.name for path in sorted((_CPU / "vulnerabilities").iterdir()) if "Mitigation" in _read(path)]
    return ", ".join(active) or "none"


def _governor() -> str:
    path = _CPU / "cpu0/cpufreq/scaling_governor"
    return _read(path) if path.exists() else "none: the host decides"


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", UNKNOWN)


def _compiler() -> str:
    """As it signed what it built; the program for XDP in it is signed by clang, whoever built the rest."""
    built = executable("nanotape-bench").read_bytes()
    signed = re.search(rb"GCC: \([^)]*\) [0-9.]+", built) or re.search(rb"clang version [0-9.]+", built)
    return signed[0].decode() if signed else UNKNOWN


def _tool(name: str, how: str) -> str:
    if not shutil.which(name):
        return "not installed"
    done = subprocess.run([name, how], capture_output=True, text=True, check=False, timeout=10)
    return next(iter((done.stdout or done.stderr).splitlines()), UNKNOWN)


def _disk(folder: Path) -> str:
    """Device and filesystem of the mount that the folder is on."""
    place = str(folder.resolve())
    best = ("", UNKNOWN, UNKNOWN)
    for line in _read("/proc/self/mounts").splitlines():
        device, mount, kind = line.split()[:3]
        if (place == mount or place.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[0]):
            best = (mount, device, kind)
    return f"{best[2]} on {best[1]}"
