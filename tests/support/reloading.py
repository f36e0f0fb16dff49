"""A service on a wire with channels A, B and C that is steered while an exchange sends to A, B, C and D."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator

import namespaces
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from command_line import NANOTAPE, call
from deadline import wait_for
from running_service import running
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.conservation import ring_books
from nanotape.storage.errors import StorageError

GROUPS = {name: f"239.192.8.{number}" for number, name in enumerate("ABCD", start=1)}
RATE, PACKETS = 10_000, 100_000
ANY = 'select = "multicast"\njoin = "none"'


def channels(names: str) -> str:
    return "".join(
        f'[[channel]]\nname = "{name}"\nfeed = "simulated"\nframing = "moldudp64"\n'
        f'[[channel.line]]\ngroup = "{GROUPS[name]}"\nport = 31001\n'
        for name in names
    )


class Reloading:
    """A service with channels A, B and C, whose configuration can be rewritten."""

    def __init__(self, rig: Rig, service: subprocess.Popen[bytes]) -> None:
        self.rig, self.service = rig, service
        self.log = rig.folder / "sent.json"

    def rewrite(self, change: Callable[[str], str]) -> None:
        self.rig.config.write_text(change(self.rig.config.read_text(encoding="utf-8")), encoding="utf-8")

    def ctl(self, *words: str) -> tuple[int, str]:
        status, _, errors = call("ctl", *words, "--config", self.rig.config)
        return status, errors

    @contextlib.contextmanager
    def sending(self, packets: int = PACKETS) -> Iterator[subprocess.Popen[bytes]]:
        """So many to each of all four groups."""
        lines = [word for name, group in GROUPS.items() for word in ("--line", f"{name}={group}:31001")]
        options = ["--rate", str(RATE), "--packets", str(packets), "--log", str(self.log), "--json"]
        command = [*self.rig.exchange_side, *NANOTAPE, "simulate", "--interface", self.rig.exchange_interface]
        process = subprocess.Popen([*command, *options, *lines], stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def in_ring(self) -> int:
        with self.rig.ring() as ring:
            return ring_books(ring).in_ring

    def stop(self) -> dict[str, object]:
        """Ends the service; what it says of its books."""
        status, said = self.ctl("stop")
        assert status == 0, said
        assert self.service.wait(60) == 0, self.rig.talk.read_text(encoding="utf-8")
        return dict(json.loads(self.rig.talk.read_text(encoding="utf-8").splitlines()[-1]))

    def recorded(self) -> dict[str, int]:
        """Rows by channel."""
        counts = self.rig.archive().table(["channel"]).column("channel").cast(pa.string()).value_counts().to_pylist()
        return {str(each["values"]): int(each["counts"]) for each in counts}

    def recorded_rows(self) -> int:
        """Rows of all channels so far; none where there is no archive yet."""
        try:
            return sum(self.recorded().values())
        except StorageError:
            return 0

    def gaps(self, channel: str) -> int:
        """How often a packet of a channel does not go on where the one before it ended."""
        table = self.rig.archive().table(["channel", "feed_seq", "feed_count"])
        rows = table.filter(pc.equal(table.column("channel").cast(pa.string()), channel))
        first, count = (rows.column(name).to_numpy().astype(np.int64) for name in ("feed_seq", "feed_count"))
        return int(np.count_nonzero(first[1:] != (first + count)[:-1]))


@contextlib.contextmanager
def reloading(pair: namespaces.NamespacePair, kind: str, source: str = "", verb: str = "run") -> Iterator[Reloading]:
    wanted = Wanted(kind=kind, capacity="128 MiB", descriptors=131_072, source=source, channels=channels("ABC"))
    with make_rig(wanted, pair) as rig, running(rig, verb) as service:
        made = Reloading(rig, service)
        processes(made)  # what answers a call is started by the first, which takes its time
        yield made


def wait_in_ring(made: Reloading, count: int) -> None:
    wait_for(lambda: made.in_ring() >= count, f"{count} packets in the ring", 60)


def processes(made: Reloading) -> dict[str, int | None]:
    """Process ids, as the service tells them."""
    status, said, errors = call("ctl", "status", "--config", made.rig.config, "--json")
    assert status == 0, said + errors
    return dict(json.loads(said)["answers"][0]["processes"])
