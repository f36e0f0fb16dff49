"""`nanotape service`: puts systemd units of a configuration in place, and says whether they are and what they do."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.units.drop_ins import EXECUTABLE, Start
from nanotape.capture.units.install import condition
from nanotape.capture.units.install import install as put
from nanotape.capture.units.layout import enabled_units, files
from nanotape.capture.units.left_over import left_over, remove
from nanotape.capture.units.state import is_booted, unit_states
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load

app = typer.Typer(help="Run nanotape by systemd: put its units in place, and see what they do.")
Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="Where the units are to lie: of a package, an image.")
]
Executable = Annotated[
    Path | None,
    typer.Option("--executable", metavar="FILE", help="nanotape on the target. Default: the one that runs now."),
]


@app.command()
def install(
    config: ConfigFile = None,
    root: Root = Path("/"),
    executable: Executable = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files, and write none.")] = False,
) -> None:
    """Write units, users and folders for systemd as the configuration has them. Starts nothing, and says what does."""
    settings, start = load(config), _start(config, executable)
    wanted, gone = files(settings, start), left_over(settings, start, root)
    if dry_run:
        sys.stdout.write("".join(f"==> {root / place}\n{text}\n" for place, text in wanted.items()))
        for each in gone:
            talk(f"{each.drop_in or each.unit}: of a ring that is configured no longer: would be removed or disabled")
        return
    written = put(wanted, root)
    for path in written:
        talk(f"{path}: written")
    for path in remove(gone):
        talk(f"{path}: removed: its ring is configured no longer")
    talk(f"{len(written)} files written, {len(wanted) - len(written)} as they should be; now, as root:")
    units = " ".join(enabled_units(settings))
    commands = [
        *([f"systemctl disable --now {' '.join(each.unit for each in gone)}"] if gone else []),
        "systemd-sysusers",
        "systemd-tmpfiles --create",
        "udevadm control --reload",
        "udevadm trigger --subsystem-match=ptp",
        "systemctl daemon-reload",
        f"systemctl enable --now {units}",
    ]
    sys.stdout.write("".join(f"{command}\n" for command in commands))


@app.command()
def status(
    config: ConfigFile = None, root: Root = Path("/"), executable: Executable = None, as_json: AsJson = False
) -> None:
    """Say whether the units are in place, and what systemd says of them.

    Exit status 0: all is in place, and active where systemd runs; 1: not so.
    """
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    start = _start(config, executable)
    placed: dict[Path, str] = {place: condition(place, text, root) for place, text in files(settings, start).items()}
    placed |= {(each.drop_in or Path(each.unit)): "left over" for each in left_over(settings, start, root)}
    asks = root == Path("/") and is_booted()
    states = unit_states(enabled_units(settings)) if asks else []
    fine = set(placed.values()) == {"present"} and all(each.active == "active" for each in states)
    if as_json:
        told = {str(root / place): how for place, how in placed.items()}
        units = [asdict(each) for each in states] if asks else None
        sys.stdout.write(json.dumps({"fine": fine, "files": told, "units": units}) + "\n")
    else:
        sys.stdout.write("".join(f"{how:9} {root / place}\n" for place, how in placed.items()))
        for each in states:
            restarts = f", {each.restarts} restarts" if each.restarts else ""
            sys.stdout.write(f"{each.active or 'unknown':8} {each.unit}: {each.detail or 'no word'}{restarts}\n")
        if not asks:
            talk("no systemd is asked: it does not run here, or of another root; `nanotape run` supervises without it")
    raise typer.Exit(0 if fine else 1)


def _start(config: Path | None, executable: Path | None) -> Start:
    """What is run now, and from which file, is what systemd is to start."""
    ours = Path(sys.argv[0]).absolute()
    started = executable or (ours if ours.name == EXECUTABLE.name else EXECUTABLE)
    chosen = DEFAULT_FILE if config is None else config.absolute()
    return Start(started, chosen, os.cpu_count() or 1)
