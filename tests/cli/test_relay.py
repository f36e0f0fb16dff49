"""`nanotape relay` as a user calls it, from a ring in files to sockets on loopback: refusals, reports, exit status."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from frames import market_data
from ring_flows import add_flow
from ring_writer import RingWriter, Written

PAYLOADS = [b"packet %d" % number for number in range(10)]


class Host:
    """Folders of a host, its configuration, and a ring with one flow."""

    def __init__(self, folder: Path) -> None:
        self.shm, self.run = folder / "shm", folder / "run"
        for place in (self.shm, self.run):
            place.mkdir()
        self.config = folder / "nanotape.toml"
        text = f'[paths]\nshm_dir = "{self.shm}"\nrun_dir = "{self.run}"\n[ring]\nname = "test"\n'
        self.config.write_text(text, encoding="utf-8")
        self.writer = RingWriter.attach(self.shm)
        self.flow = add_flow(self.writer, "itch", "A", "239.1.2.3", 15000)
        self.flow_seq = 0

    def write(self, *payloads: bytes, missing: int = 0) -> None:
        self.flow_seq += missing
        for payload in payloads:
            self.flow_seq += 1
            self.writer.write(Written(market_data(payload), flow_id=self.flow, flow_seq=self.flow_seq))

    def call(self, *options: str) -> tuple[int, list[dict[str, Any]], str]:
        status, output, errors = call("relay", "--config", self.config, "--json", *options)
        return status, [json.loads(line) for line in output.splitlines()], errors

    @contextlib.contextmanager
    def started(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        command = [*NANOTAPE, "relay", "--config", str(self.config), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: self.status.exists() or process.poll() is not None, "the relay", 20)
            yield process
        finally:
            process.kill()
            process.communicate()

    @property
    def status(self) -> Path:
        return self.run / "test" / "readers" / "relay.status"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.writer.close()


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(30)
        yield opened


def where(receiver: socket.socket) -> str:
    return f"127.0.0.1:{receiver.getsockname()[1]}"


def test_what_is_in_the_ring_is_relayed_and_reported(host: Host, receiver: socket.socket) -> None:
    host.write(*PAYLOADS)
    status, (report,), errors = host.call(
        "--channel", "itch", "--to", where(receiver), "--start", "oldest", "--count", "10"
    )
    assert [receiver.recv(100) for _ in PAYLOADS] == PAYLOADS
    assert (status, errors) == (0, "")
    assert (report["packets"], report["ring_lost"], report["lost"], report["is_last"]) == (10, 0, 0, True)
    assert report["flows"] == [
        {
            "channel": "itch",
            "line": "A",
            "group": "239.1.2.3",
            "port": 15000,
            "packets": 10,
            "lost": 0,
            "left_out": {"truncated": 0, "fragment": 0, "unparsed": 0},
        }
    ]
    assert report["targets"][0]["to"] == where(receiver)


def test_a_loss_makes_the_exit_status_1(host: Host, receiver: socket.socket) -> None:
    host.write(b"first")
    host.write(b"second", missing=3)
    status, (report,), _ = host.call("--to", where(receiver), "--start", "oldest", "--count", "2")
    assert (status, report["lost"], report["ring_lost"], report["is_whole"]) == (1, 3, 0, False)


def test_it_is_shown_like_any_reader_and_ends_in_order(host: Host, receiver: socket.socket) -> None:
    with host.started("--to", where(receiver), "--interval", "0.05") as process:
        host.write(*PAYLOADS)
        assert [receiver.recv(100) for _ in PAYLOADS] == PAYLOADS
        shown = json.loads(call("rings", "--config", host.config, "--json")[1])[0]["readers"]
        assert [(reader["name"], reader["pid"]) for reader in shown] == [("relay", process.pid)]
        assert host.call("--to", where(receiver))[0] == 1  # the name is taken
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "")
    assert "test: 10 packets relayed" in errors
    assert f"to {where(receiver)}: 10 sent, 0 refused by the kernel" in errors
    assert not host.status.exists()


def test_it_ends_when_a_destination_becomes_a_captured_flow(host: Host, receiver: socket.socket) -> None:
    address, port = receiver.getsockname()
    with host.started("--to", where(receiver)) as process:
        second = RingWriter.attach(host.shm, "second")
        try:
            add_flow(second, "opra", "B", address, port)
            _, errors = process.communicate(timeout=20)
        finally:
            second.close()
    assert process.returncode == 1
    assert f"{where(receiver)}: is captured here, as channel opra, line B of ring second" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "239.1.2.3:15000@lo"], "is captured here, as channel itch, line A of ring test"),
        (["--to", "239.9.9.9:5000@nt-none"], "239.9.9.9:5000@nt-none: no such interface"),
        (["--to", "239.9.9.9:5000"], "expected the interface"),
        ([], "expected at least one destination"),
        (["--channel", "other", "--to", "127.0.0.1:9"], "channel other"),
        (["--to", "127.0.0.1:9", "--start", "never"], '"latest", "oldest" or a ring sequence'),
        (["--to", "127.0.0.1:9", "--start", "²"], '"latest", "oldest" or a ring sequence'),
        (["--to", "127.0.0.1:9", "--start", str(1 << 64)], '"latest", "oldest" or a ring sequence'),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_status_2(options: list[str], said: str, host: Host) -> None:
    status, output, errors = call("relay", "--config", host.config, *options)
    assert (status, output) == (2, "")
    assert said in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors


def test_a_channel_that_is_not_there_yet_is_waited_for(host: Host, receiver: socket.socket) -> None:
    with host.started("--channel", "opra", "--to", where(receiver), "--count", "1") as process:
        flow = add_flow(host.writer, "opra", "A", "239.1.2.4", 15000)
        host.writer.write(Written(market_data(b"new"), flow_id=flow))
        assert receiver.recv(100) == b"new"
        _, errors = process.communicate(timeout=20)
    assert "ring test has no channel opra yet; waiting for it" in errors
