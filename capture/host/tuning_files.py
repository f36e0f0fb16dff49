"""A tuning as files in a folder: each with what it is for, the scripts plain sh, and a README that says what to do.

Scripts take the variable ROOT, in front of /proc and /sys: empty on a host, a copy of them in a rehearsal.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.host.tuning import Tuning
from nanotape.capture.host.tuning_readme import readme

_MIB = 1 << 20
_HEAD = "# Written by `nanotape tune` for review: it has changed nothing.\n"
_SHELL = "#!/bin/sh\n" + _HEAD + "{purpose}\nset -eu\nROOT=${{ROOT:-}}\n"


def files(tuning: Tuning, host: str) -> dict[str, str]:
    """By path in the folder; what is not needed is not there."""
    found = {
        "kernel-command-line.txt": " ".join(tuning.command_line) + "\n" if tuning.command_line else "",
        "grub.d/90-nanotape.cfg": _grub(tuning),
        "sysctl.d/90-nanotape.conf": _sysctl(tuning),
        "tuned/nanotape/tuned.conf": _tuned(tuning),
        "irqbalance.default": _irqbalance(tuning),
        "irq-affinity.sh": _irq_affinity(tuning),
        "kernel-settings.sh": _kernel_settings(tuning),
        "ethtool.sh": _ethtool(tuning),
        "hugepages.sh": _hugepages(tuning),
    }
    written = {name: text for name, text in found.items() if text}
    return {"README.md": readme(tuning, host, sorted(written)), **written}


def write_folder(folder: Path, content: Mapping[str, str]) -> None:
    """All files or none.

    Raises:
        PlaceUnusable: The folder is there and not empty, or cannot be made.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PlaceUnusable(f"{folder}: expected an empty folder or none, found something there; name another")
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
        try:
            _fill(draft, content)
            draft.chmod(0o755)
            draft.rename(folder)  # over an empty folder too
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise PlaceUnusable(f"{folder}: cannot be written: {error.strerror}; name another folder") from None


def _fill(draft: Path, content: Mapping[str, str]) -> None:
    for name, text in content.items():
        place = draft / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        place.chmod(0o755 if name.endswith(".sh") else 0o644)


def _grub(tuning: Tuning) -> str:
    if not tuning.command_line:
        return ""
    words = " ".join(tuning.command_line)
    return f'{_HEAD}# To /etc/default/grub.d/, then update-grub.\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {words}"\n'


def _sysctl(tuning: Tuning) -> str:
    if not tuning.sysctl:
        return ""
    rows = "".join(f"{name} = {value}\n" for name, value in tuning.sysctl.items())
    return f"{_HEAD}# To /etc/sysctl.d/, then sysctl --system.\n{rows}"


def _tuned(tuning: Tuning) -> str:
    """The same for hosts that are run by tuned; its `network-latency` is the ground."""
    if not (tuning.command_line or tuning.sysctl):
        return ""
    on_cores = f" on cores {tuning.cores}" if tuning.cores else ""
    rows = [f"[main]\nsummary=nanotape captures{on_cores}\ninclude=network-latency\n"]
    if tuning.sysctl:
        rows.append("[sysctl]\n" + "".join(f"{name}={value}\n" for name, value in tuning.sysctl.items()))
    if tuning.banned_cpus:
        rows.append(f"[irqbalance]\nbanned_cpus={tuning.banned_cpus}\n")
    if tuning.command_line:
        rows.append(f"[bootloader]\ncmdline_nanotape={' '.join(tuning.command_line)}\n")
    return (
        _HEAD
        + "# To /etc/tuned/nanotape/, then tuned-adm profile nanotape. Instead of grub.d and sysctl.d.\n"
        + "\n".join(rows)
    )


def _irqbalance(tuning: Tuning) -> str:
    if tuning.banned_cpus is None:
        return ""
    told = "# Into /etc/default/irqbalance, then systemctl restart irqbalance; or systemctl disable --now irqbalance.\n"
    return f"{_HEAD}{told}IRQBALANCE_BANNED_CPULIST={tuning.banned_cpus}\n"


def _irq_affinity(tuning: Tuning) -> str:
    if tuning.move_interrupts_to is None:
        return ""
    kept = "|".join(tuning.kept_interrupts) or "none"
    purpose = f"# At each boot: interrupts leave the cores {tuning.cores}, but those of the captured interfaces."
    return _SHELL.format(purpose=purpose) + (
        f"CPUS={tuning.move_interrupts_to}\n"
        'for folder in "$ROOT"/proc/irq/[0-9]*; do\n'
        "\tcase ${folder##*/} in\n"
        f"\t{kept}) continue ;;\n"
        "\tesac\n"
        "\t# Some cannot be moved: those of a timer, or those that a driver spreads itself (managed_irq).\n"
        '\t{ echo "$CPUS" >"$folder/smp_affinity_list"; } 2>/dev/null || echo "interrupt ${folder##*/} stays" >&2\n'
        "done\n"
    )


def _kernel_settings(tuning: Tuning) -> str:
    if not tuning.writes and not tuning.governor:
        return ""
    rows = [f'echo {text} >"$ROOT/{path}"\n' for path, text in tuning.writes]
    if tuning.governor:
        rows.append(
            f'for file in "$ROOT"/{"sys/devices/system/cpu"}/cpu[0-9]*/cpufreq/scaling_governor; do\n'
            '\techo performance >"$file"\n'
            "done\n"
        )
    return _SHELL.format(purpose="# At each boot: settings that no sysctl and no parameter covers.") + "".join(rows)


def _ethtool(tuning: Tuning) -> str:
    if not tuning.ethtool:
        return ""
    purpose = "# At each boot, and after the driver was loaded anew. Some of it takes the link down for a moment."
    head = "#!/bin/sh\n" + _HEAD + purpose + "\nset -eu\n"
    return head + "".join(f"{command}\n" for command in tuning.ethtool)


def _hugepages(tuning: Tuning) -> str:
    if not tuning.pages and tuning.mount is None:
        return ""
    rows = list(_page_rows(tuning.pages))
    if tuning.mount is not None:
        place, page_bytes = tuning.mount
        rows += [
            f'# The ring\'s file lies there. With the systemd units: paths.hugepage_dir = "{place}/nanotape".\n',
            f'mkdir -p "$ROOT{place}"\n',
            f'mount -t hugetlbfs -o pagesize={page_bytes // _MIB}M none "$ROOT{place}"\n',
        ]
    return _SHELL.format(
        purpose="# Early at each boot, while memory is whole: huge pages on the NIC's node."
    ) + "".join(rows)


def _page_rows(pages: Iterable[tuple[str, int]]) -> Iterable[str]:
    for path, count in pages:
        yield f'echo {count} >"$ROOT/{path}"\n'
        yield f'got=$(cat "$ROOT/{path}")\n'
        refusal = f"expected {count} huge pages, got $got: reserve them at boot"
        yield f'[ "$got" -ge {count} ] || {{ echo "{refusal}" >&2; exit 1; }}\n'
