"""Pictures of `nanotape top` for the documentation, of a real service on the loopback interface, in true colour.

`pictures.py [FOLDER]`: runs simulated exchanges with known faults, lets the app look for a minute, and writes
top-overview.svg, top-channels.svg, top-latency.svg and top-recorder.svg there (default: docs). Ends all it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nanotape.tui.app import Top
from nanotape.tui.gather import Gatherer
from nanotape.tui.settings_file import SettingsFile
from nanotape.tui.style import RICH_THEME

NANOTAPE = [sys.executable, "-m", "nanotape.cli.main"]
SIZE = (132, 30)
SECONDS = 60.0
SCREENS = {"1": "overview", "2": "channels", "3": "latency", "5": "recorder"}
FEEDS = (("equities-1", 4000, 4.0), ("equities-2", 2500, 2.0), ("futures", 900, 1.0), ("options", 6000, 8.0))
"""Channel, packets a second and line, and how uneven they are."""
_GAPS = ("--gap", "A:20000:12", "--duplicate", "B:9000:3", "--delay", "B:35")
_ACCOUNT = 64_301


def main(target: Path) -> None:
    """Makes them."""
    folder, shm = Path(tempfile.mkdtemp(dir="/var/tmp")), Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        folder.chmod(0o755)
        shm.rmdir()  # the service makes it, for its own account
        config = folder / "nanotape.toml"
        config.write_text(configuration(folder, shm), encoding="utf-8")
        with running(folder, ["run", "--config", str(config)]):
            wait_for_ring(shm)
            with contextlib.ExitStack() as exchanges:
                for number, (_, rate, burst) in enumerate(FEEDS):
                    exchanges.enter_context(running(folder, exchange(number, rate, burst)))
                asyncio.run(pictures(config, target))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(shm, ignore_errors=True)


def configuration(folder: Path, shm: Path) -> str:
    """An ordinary one, of sockets on loopback."""
    paths = f'run_dir = "{folder}/run"\narchive = "{folder}/archive"\nshm_dir = "{shm}"\n'
    users = f'capture = "{_ACCOUNT}"\nrecord = "nobody"\ngroup = "{_ACCOUNT}"\n'
    parts = [f"[paths]\n{paths}", f"[user]\n{users}", '[ring]\nname = "main"\ncapacity = "64 MiB"\nhugepages = "off"\n']
    parts.append('[source]\nkind = "socket"\ninterface = "lo"\nreceive_buffer = "32 MiB"\n')
    for number, (name, _, _) in enumerate(FEEDS):
        parts.append(f'[[channel]]\nname = "{name}"\nfeed = "simulated"\nframing = "moldudp64"\n')
        for line, group in zip("AB", groups(number), strict=True):
            parts.append(f'[[channel.line]]\nname = "{line}"\ngroup = "{group}"\nport = 31001\n')
    return "\n".join(parts)


def groups(number: int) -> tuple[str, str]:
    """Of the lines A and B."""
    return f"239.192.{number}.1", f"239.192.{number}.2"


def exchange(number: int, rate: int, burst: float) -> list[str]:
    """A simulated venue; each of another seed."""
    lines = [
        word for line, group in zip("AB", groups(number), strict=True) for word in ("--line", f"{line}={group}:31001")
    ]
    how = ["--rate", str(rate), "--burst", str(burst), "--seconds", "0", "--seed", str(number + 1)]
    return ["simulate", "--interface", "lo", *lines, *how, *_GAPS]


@contextlib.contextmanager
def running(folder: Path, words: Sequence[str]) -> Iterator[None]:
    """A `nanotape` of ours, told to stop at the end."""
    with (folder / "talk.log").open("a", encoding="utf-8") as talk:
        process = subprocess.Popen([*NANOTAPE, *words], stdout=talk, stderr=talk)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_ring(shm: Path) -> None:
    """Until the service captures."""
    end = time.monotonic() + 60
    while not list(shm.glob("*.ring")):
        if time.monotonic() > end:
            raise SystemExit("the service does not capture")
        time.sleep(0.1)


async def pictures(config: Path, target: Path) -> None:
    """Looks for a while, and shows each screen in its turn."""
    app = Top(Gatherer(SettingsFile(config)).look, 0.5, target, RICH_THEME)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(SECONDS)
        for key, name in SCREENS.items():
            await pilot.press(key)
            await pilot.pause(3.0)
            app.save_screenshot(f"top-{name}.svg", os.fspath(target))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs")
