"""`nanotape tail` as a user calls it: in a pipeline, until a signal, with wrong words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from frames import market_data
from pcapng_file import STATISTICS, parse
from ring_writer import EPOCH_NS, RingWriter, Written

SUMMARY = "nanotape: packets: {} shown, {} lost by this reader\n"
LINE = "22:13:20.00000000{} IP 10.0.0.1.12345 > 239.1.2.3.15000: UDP, length 40 [other]\n"


@pytest.fixture
def rings(tmp_path: Path) -> Path:
    folder = tmp_path / "rings"
    folder.mkdir()
    return folder


@pytest.fixture
def writer(rings: Path) -> Iterator[RingWriter]:
    """A ring with three records."""
    ring = RingWriter.attach(rings)
    write(ring, 3)
    yield ring
    ring.close()


def write(writer: RingWriter, count: int, size: int = 40) -> None:
    first = writer.next_seq
    writer.write(
        *(Written(market_data(bytes(size)), ts_ns=EPOCH_NS + number) for number in range(first, first + count))
    )


def started(rings: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [*NANOTAPE, "tail", str(rings / "test.ring"), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def test_what_is_in_the_ring_is_printed_line_by_line(writer: RingWriter, rings: Path) -> None:
    found = call("tail", rings / "test.ring", "--start", "oldest", "-c", "3")
    assert found == (0, "".join(map(LINE.format, (1, 2, 3))), SUMMARY.format(3, 0))
    assert call("tail", rings / "test.ring", "--start", "2", "-c", "1")[1] == LINE.format(2)


def test_a_ring_is_found_by_the_name_in_the_configuration(writer: RingWriter, rings: Path) -> None:
    config = rings.parent / "nanotape.toml"
    config.write_text(f'[paths]\nshm_dir = "{rings}"\n[ring]\nname = "test"\n', encoding="utf-8")
    for name in ([], ["test"]):
        status, output, _ = call("tail", *name, "--config", config, "--start", "oldest", "-c", "1", "--json")
        assert (status, json.loads(output)["ring_seq"]) == (0, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number: signal.Signals, writer: RingWriter, rings: Path) -> None:
    with started(rings) as process:
        assert process.stdout
        shown = b""
        os.set_blocking(process.stdout.fileno(), False)

        def arrived() -> bytes:
            nonlocal shown
            write(writer, 1)
            shown += process.stdout.read() or b""  # type: ignore[union-attr]
            return shown

        wait_for(arrived, "a packet that came after the start")
        assert not shown.startswith(LINE.format(1).encode())  # from the latest on
        process.send_signal(number)
        wait_for(lambda: process.poll() is not None, "its end")
        rest = process.stdout.read() or b""
        assert process.stderr
        said = process.stderr.read().decode()
    assert process.returncode == 0
    assert said == SUMMARY.format((shown + rest).count(b"\n"), 0)


@pytest.mark.parametrize("options", [(), ("--json",), ("-X",)])
def test_a_pipeline_whose_end_has_seen_enough_ends_without_a_word_of_complaint(
    options: Sequence[str], writer: RingWriter, rings: Path
) -> None:
    write(writer, 5000)
    with started(rings, "--start", "oldest", *options) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read().decode().startswith("nanotape: ")


def test_a_reader_that_goes_is_noticed_though_nothing_comes(writer: RingWriter, rings: Path) -> None:
    with started(rings, "--start", "oldest") as process:
        assert process.stdout
        assert process.stderr
        for _ in range(3):
            process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read().decode() == SUMMARY.format(3, 0)


def test_a_ring_that_is_made_anew_is_said_and_ends_it_with_status_1(rings: Path) -> None:
    first = RingWriter.attach(rings)
    write(first, 2)
    with started(rings, "--start", "oldest", "--pcapng", "-") as process:
        assert process.stdout
        head = process.stdout.read(300)
        first.close()
        (rings / "test.ring").unlink()
        data, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.decode() == SUMMARY.format(2, 0) + "nanotape: test: the ring was removed or made anew; open it again\n"
    file = parse(head + data)
    assert len(file.packets) == 2
    assert file.of(STATISTICS)[-1].number(8) == 2  # delivered


def test_a_reader_that_is_lapped_says_so_at_once_and_in_pcapng(writer: RingWriter, rings: Path) -> None:
    """Nobody takes what it writes until the ring has moved on twice."""
    with started(rings, "--start", "oldest", "--pcapng", "-") as process:
        assert process.stdout
        data = process.stdout.read(400)  # it has begun
        while writer.next_seq < 20_000:
            write(writer, 1000, size=200)
        (rings / "test.ring").unlink()  # the end, once it has read all
        rest, said = process.communicate(timeout=60)
    assert process.returncode == 1
    file = parse(data + rest)
    losses = [block.number(4) or 0 for block in file.packets]
    assert len(file.packets) + sum(losses) == writer.next_seq - 1
    lines = said.decode().splitlines()
    told = [line.split()[2] for line in lines if line.startswith("nanotape: lost ")]
    assert told == [f"{loss:,}" for loss in losses if loss]
    assert len(told) >= 1
    assert lines[len(told)].startswith(
        f"nanotape: packets: {len(file.packets):,} shown, {sum(losses):,} lost by this reader"
    )


def test_a_file_takes_pcapng_too(writer: RingWriter, rings: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    assert call("tail", rings / "test.ring", "--start", "oldest", "-c", "3", "--pcapng", file)[:2] == (0, "")
    packets = parse(file.read_bytes()).packets
    assert [block.frame for block in packets] == [market_data(bytes(40))] * 3
    assert [block.fields["ts"] for block in packets] == [EPOCH_NS + 1, EPOCH_NS + 2, EPOCH_NS + 3]
    status, _, errors = call("tail", rings / "test.ring", "--pcapng", tmp_path / "none" / "out.pcapng")
    assert status == 1
    assert f"{tmp_path}/none/out.pcapng: cannot be made: No such file or directory; name another file" in errors


def test_a_reader_that_gives_itself_a_name_is_seen_by_others(writer: RingWriter, rings: Path) -> None:
    config = rings.parent / "nanotape.toml"
    config.write_text(f'[paths]\nrun_dir = "{rings.parent}/run"\nshm_dir = "{rings}"\n', encoding="utf-8")
    with started(rings, "--config", str(config), "--reader-name", "me") as process:
        wait_for((rings.parent / "run" / "test" / "readers" / "me.status").exists, "its status file")
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not (rings.parent / "run" / "test" / "readers" / "me.status").exists()


def test_a_channel_that_is_not_there_yet_is_waited_for_and_said(writer: RingWriter, rings: Path) -> None:
    status, output, errors = call(
        "tail", rings / "test.ring", "--start", "oldest", "-c", "1", "--channel", "other", "--channel", "x"
    )
    assert (status, output) == (0, LINE.format(1))
    assert errors.startswith("nanotape: ring test has no channel x yet; waiting for it\n")


@pytest.mark.parametrize(
    "words",
    [
        ["--group", "eth1"],
        ["--source", "10.0.0"],
        ["--port", "70000"],
        ["--start", "middle"],
        ["--start", "0"],
        ["-c", "0"],
        ["-x", "--json"],
        ["--json", "--pcapng", "-"],
    ],
)
def test_wrong_words_are_status_2(words: list[str], writer: RingWriter, rings: Path) -> None:
    status, output, errors = call("tail", rings / "test.ring", *words)
    assert (status, output) == (2, "")
    assert "Traceback" not in errors


def test_a_ring_that_is_not_there_and_a_sequence_still_to_come_are_status_1(writer: RingWriter, rings: Path) -> None:
    status, output, errors = call("tail", rings / "none.ring")
    assert (status, output, errors.count("\n")) == (1, "", 1)
    status, output, errors = call("tail", rings / "test.ring", "--start", "99")
    assert (status, output) == (1, "")
    assert errors == "nanotape: test: ring sequence 99 is not written yet; start at the latest\n"
