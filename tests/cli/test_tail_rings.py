"""`nanotape tail` with several rings, as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from frames import market_data
from pcapng_file import parse
from ring_writer import EPOCH_NS, RingWriter, Written


def records(*places: int) -> list[Written]:
    return [Written(market_data(bytes(40)), ts_ns=EPOCH_NS + place) for place in places]


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[dict[str, RingWriter]]:
    """Rings `a` and `b` whose stamps interleave."""
    made = {name: RingWriter.attach(tmp_path, name) for name in "ab"}
    made["a"].write(*records(1, 4, 5))
    made["b"].write(*records(2, 3, 6))
    yield made
    for writer in made.values():
        writer.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nanotape.toml"
    folder = f'[paths]\nshm_dir = "{tmp_path}"\nrun_dir = "{tmp_path}/run"\n'
    ring = '[[ring]]\nname = "{0}"\n[ring.source]\ninterface = "eth-{0}"\n'
    file.write_text(folder + ring.format("a") + ring.format("b"), encoding="utf-8")
    return file


def test_rings_are_merged_by_time_by_name_or_file_or_as_configured(
    writers: dict[str, RingWriter], config: Path, tmp_path: Path
) -> None:
    for words in (["a", "b"], [tmp_path / "a.ring", tmp_path / "b.ring"], []):
        status, output, errors = call("tail", *words, "--config", config, "--start", "oldest", "-c", "6")
        assert (status, errors) == (0, "nanotape: packets: 6 shown, 0 lost by this reader\n")
        ends = [(line[17:18], line[-7:]) for line in output.splitlines()]
        assert ends == [(str(place), f"ring {ring}]") for place, ring in enumerate("abbaab", 1)]


def test_json_names_the_ring_of_each_packet_and_pcapng_keeps_the_order(
    writers: dict[str, RingWriter], config: Path, tmp_path: Path
) -> None:
    words = ("tail", "--config", config, "--start", "oldest", "-c", "6")
    rows = [json.loads(line) for line in call(*words, "--json")[1].splitlines()]
    assert [(row["ring"], row["ring_seq"]) for row in rows] == [
        ("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3),
    ]  # fmt: skip
    assert call(*words, "--pcapng", tmp_path / "out")[0] == 0
    file = parse((tmp_path / "out").read_bytes())
    assert [block.fields["ts"] - EPOCH_NS for block in file.packets] == [1, 2, 3, 4, 5, 6]
    assert [block.fields["interface"] for block in file.packets] == [0, 1, 1, 0, 0, 1]


def test_two_rings_of_one_name_go_by_what_the_user_wrote(tmp_path: Path) -> None:
    names = []
    for folder in (tmp_path / "x", tmp_path / "y"):
        folder.mkdir()
        writer = RingWriter.attach(folder, "main")
        writer.write(*records(1))
        writer.close()
        names.append(str(folder / "main.ring"))
    _, output, _ = call("tail", *names, "--start", "oldest", "-c", "2")
    assert [line.partition("ring ")[2] for line in output.splitlines()] == [f"{name}]" for name in names]


def test_what_comes_too_late_is_said_and_a_ring_that_is_removed_ends_it(
    writers: dict[str, RingWriter], config: Path, tmp_path: Path
) -> None:
    command = [*NANOTAPE, "tail", "--config", str(config), "--start", "oldest"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        shown = [process.stdout.readline() for _ in range(6)]  # b3 after the hold: nothing behind it comes
        writers["a"].write(*records(0, 7))
        shown.append(process.stdout.readline())
        (tmp_path / "b.ring").unlink()
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert [line[17:18] for line in [*shown, *rest.splitlines()]] == [b"1", b"2", b"3", b"4", b"5", b"6", b"0", b"7"]
    assert said.decode().splitlines() == [
        "nanotape: packets that came too late for their place in time, and stand behind it: 1 of ring a",
        "nanotape: packets: 8 shown, 0 lost by this reader",
        "nanotape: b: the ring was removed or made anew; open it again",
    ]


def test_a_channel_that_no_ring_has_is_said_once(writers: dict[str, RingWriter], config: Path) -> None:
    _, _, errors = call(
        "tail", "--config", config, "--start", "oldest", "-c", "1", "--channel", "other", "--channel", "x"
    )
    assert errors.splitlines()[0] == "nanotape: rings a, b have no channel x yet; waiting for it"


@pytest.mark.parametrize("words", [["a", "a"], ["a", "b", "--start", "2"]])
def test_wrong_words_are_status_2(words: list[str], writers: dict[str, RingWriter], config: Path) -> None:
    status, output, errors = call("tail", *words, "--config", config)
    assert (status, output) == (2, "")
    assert "Traceback" not in errors
