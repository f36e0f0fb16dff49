"""A whole `nanotape run` that makes its own packets: for tests of what looks at it from outside."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator

from command_line import NANOTAPE
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig


@contextlib.contextmanager
def synthetic_service(
    rate: int = 5000, tables: str = "", prepare: Callable[[Rig], object] | None = None
) -> Iterator[tuple[Rig, subprocess.Popen[bytes]]]:
    """One that captures and records; ended with what it made.

    Args:
        rate: Packets a second.
        tables: Further TOML of its configuration.
        prepare: Called before it starts; None: nothing.
    """
    wanted = Wanted(
        kind="synthetic", capacity="16 MiB", source=f"synthetic_rate = {rate}", tables=tables, channels="\n", lines=()
    )
    with make_rig(wanted, None) as rig, rig.talk.open("wb") as talk:
        if prepare:
            prepare(rig)
        command = [*NANOTAPE, "run", "--config", str(rig.config)]
        service = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=talk)
        try:
            wait_for(lambda: "capturing" in rig.talk.read_text() or service.poll() is not None, "the service", 60)
            yield rig, service
        finally:
            if service.poll() is None:
                service.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.wait(60)
            service.kill()
            service.wait()
