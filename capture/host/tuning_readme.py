"""The README of a tuning's folder: what is in it, in which order to apply it, how to undo it, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence

from nanotape.capture.host.tuning import Tuning

_STEPS = {
    "kernel-command-line.txt": "the parameters alone, for boot loaders other than GRUB. Takes effect at the next boot",
    "grub.d/90-nanotape.cfg": "`cp` to `/etc/default/grub.d/`, `update-grub`, reboot. Undo: remove it, `update-grub`",
    "sysctl.d/90-nanotape.conf": "`cp` to `/etc/sysctl.d/`, `sysctl --system`. Undo: remove it, reboot",
    "tuned/nanotape/tuned.conf": "instead of the two before, where tuned runs the host: `cp -r tuned/nanotape "
    "/etc/tuned/`, `tuned-adm profile nanotape`, reboot. Undo: `tuned-adm profile` with the one before",
    "irqbalance.default": "into `/etc/default/irqbalance`, `systemctl restart irqbalance`; or stop it for good",
    "irq-affinity.sh": "at each boot, once all drivers are up. Lost at a reboot",
    "kernel-settings.sh": "at each boot. Lost at a reboot",
    "ethtool.sh": "at each boot, before the capture starts: some of it takes the link down. Lost at a reboot",
    "hugepages.sh": "early at each boot. Lost at a reboot",
}


def readme(tuning: Tuning, host: str, names: Sequence[str]) -> str:
    """In Markdown."""
    lines = [
        f"# Tuning for {host}",
        "",
        "Written by `nanotape tune` from what `nanotape doctor` found. Nothing was changed: read each file, and apply",
        "what you agree with, as root, in this order. Then `nanotape doctor --measure 10`.",
        _proof(tuning),
        "",
        *[f"{number}. `{name}`: {_STEPS[name]}." for number, name in enumerate(_ordered(names), 1)],
        "",
        f"Isolated cores are lost to everything else on this host{_halved(tuning)}: see that enough",
        "remains for the recorder and for all that runs here.",
        "",
        "## Checks that this answers",
        "",
        *[f"- `{name}`" for name in tuning.answers],
    ]
    if tuning.is_empty:
        lines.append("None: nothing that a file could mend was found wanting.")
    if tuning.left:
        lines += ["", "## What no file mends", ""]
        lines += [f"- `{result.id}`: {result.found}. {result.fix or result.wanted}" for result in tuning.left]
    return "\n".join(lines) + "\n"


def _halved(tuning: Tuning) -> str:
    return ", and `nosmt` halves its threads" if "nosmt" in tuning.command_line else ""


def _proof(tuning: Tuning) -> str:
    if not tuning.cores:
        return "No core is configured (`[loop] core`): nothing is isolated, and no interrupt is moved."
    return f"Cores {tuning.cores}: `nanotape jitter --core N` proves each."


def _ordered(names: Sequence[str]) -> list[str]:
    return [name for name in _STEPS if name in names]
