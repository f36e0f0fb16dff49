import json
import signal
import subprocess
from pathlib import Path

import pytest
from command_line import NANOTAPE, call
from synthetic_archive import make_archive

from nanotape.storage.archive import Archive
from nanotape.storage.event_log import append_events
from nanotape.storage.events import Event

BEGIN_NS = 1_795_207_100_000_000_001
MARK = Event("mark", BEGIN_NS, host="box", detail="market opens")
GAP = Event(
    "feed_gap",
    BEGIN_NS + 10**9,
    BEGIN_NS + 2 * 10**9,
    "warning",
    "box",
    feed="itch",
    channel="itch-1",
    line="A",
    cause="upstream",
    seq_kind="feed",
    seq_first=7,
    seq_last=9,
    messages_lost=3,
)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = make_archive(tmp_path / "archive")
    append_events(made.path, [GAP, MARK], BEGIN_NS)
    return made


def test_events_are_lines_in_the_order_in_which_they_began(archive: Archive) -> None:
    status, out, _ = call("events", archive.path)
    lines = out.splitlines()
    assert status == 0
    stamps = [line.split()[0] for line in lines]
    assert stamps == sorted(stamps)
    assert [line.split()[2] for line in lines[-2:]] == ["mark", "feed_gap"]
    told = "for 1.000000000 s  box/itch-1/A  feed sequences 7 to 9  cause upstream"
    assert lines[-1] == f"2026-11-20T20:38:21.000000001Z  warning  feed_gap      {told}"


def test_they_are_chosen_by_kind_severity_channel_and_time(archive: Archive) -> None:
    def kinds(*words: str) -> list[str]:
        return [json.loads(line)["kind"] for line in call("events", archive.path, "--json", *words)[1].splitlines()]

    assert kinds("--kind", "mark", "--kind", "feed_gap") == ["mark", "feed_gap"]
    assert kinds("--severity", "warning") == ["feed_gap"]
    assert kinds("--channel", "itch-1") == ["feed_gap"]
    assert kinds("--since", "2026-11-20 15:38:21", "--tz", "America/New_York") == ["feed_gap"]
    assert kinds("--since", "1s") == []
    assert call("events", archive.path, "--since", "recently")[0] == 1


def test_json_has_every_field_and_all_digits(archive: Archive) -> None:
    [event] = [
        json.loads(line) for line in call("events", archive.path, "--json", "--kind", "feed_gap")[1].splitlines()
    ]
    assert (event["id"], event["ts_start"]) == (GAP.id, "2026-11-20T20:38:21.000000001Z")
    assert (event["seq_first"], event["packets_lost"]) == (7, None)


def test_follow_gives_each_event_once_as_it_comes_and_ends_with_ctrl_c(archive: Archive) -> None:
    command = [*NANOTAPE, "events", str(archive.path), "--follow", "--kind", "mark", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["detail"] == "market opens"
            append_events(archive.path, [Event("mark", BEGIN_NS + 5, host="box", detail="later")], BEGIN_NS + 5)
            assert json.loads(process.stdout.readline())["detail"] == "later"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stdout.read() == ""
        finally:
            process.kill()
