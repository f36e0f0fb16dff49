"""The simulated exchange on a wire whose queue refuses: "sent" stays what went out."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deadline import wait_for
from namespaces import NamespacePair

PROGRAM = "import typer; from nanotape.cli.simulate import simulate; a = typer.Typer(); a.command()(simulate); a()"
LINE = ("--line", "A=239.192.90.1:31995")


def received(pair: NamespacePair) -> int:
    path = Path("/sys/class/net", pair.right.interface, "statistics", "rx_packets")
    return int(pair.right.run("cat", path).stdout)


@pytest.mark.root
def test_what_a_full_queue_refuses_is_sent_again_and_counted_once(namespace_pair: NamespacePair) -> None:
    left = namespace_pair.left
    left.run(*f"tc qdisc add dev {left.interface} root tbf rate 16mbit burst 10k limit 15k".split())
    before = received(namespace_pair)
    options = ("-i", left.interface, *LINE, "--rate", "50000", "--packets", "3000", "--json")
    line = json.loads(left.run(sys.executable, "-c", PROGRAM, *options).stdout)["lines"][0]
    assert line["retries"] > 0, "the queue never refused: this test shows nothing"
    assert line["sent"] == 3001
    # At least: the kernel may add IGMP or ARP of its own.
    assert 3001 <= received(namespace_pair) - before <= 3010


@pytest.mark.root
def test_what_was_due_at_a_stop_still_goes_out_through_a_full_queue(namespace_pair: NamespacePair) -> None:
    left = namespace_pair.left
    left.run(*f"tc qdisc add dev {left.interface} root tbf rate 4mbit burst 10k limit 15k".split())
    options = ("-i", left.interface, *LINE, "--rate", "50000", "--seconds", "0", "--json", "--every", "0.05")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with left.start(sys.executable, "-c", PROGRAM, *options, **pipes) as process:
        wait_for(lambda: json.loads(process.stderr.readline())["lines"][0]["retries"], "a refusal")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    report = json.loads(output)
    line = report["lines"][0]
    assert report["ended"] == "stopped"
    assert (line["unsent"], line["generated"]) == (0, line["sent"])


@pytest.mark.root
def test_an_interface_without_address_is_one_line_and_status_1(namespace_pair: NamespacePair) -> None:
    left = namespace_pair.left
    left.run("ip", "address", "flush", "dev", left.interface)
    done = left.run(sys.executable, "-c", PROGRAM, "-i", left.interface, *LINE, check=False)
    assert done.returncode == 1
    assert "has no IPv4 address" in done.stderr
    assert done.stderr.count("\n") == 1
