"""What a recorder tells of its lines is what its archive says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import feed_ring
import pytest
from feed_ring import FeedReader, FeedRing, feed_recorder, plan

from nanotape.capture.recorded_feeds import FeedsFile, RecordedLine, RecordedTraffic, read_feeds
from nanotape.storage.archive import Archive
from nanotape.storage.feed_attribution import Blame
from nanotape.storage.feed_findings import Found
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_state import STATE_NAME, FeedState, load_state, save_state
from nanotape.storage.gap_blames import GapBlames
from nanotape.storage.gap_stats import Settled


@dataclass
class Place:
    """RUN_DIR and what is told there."""

    run: Path

    @property
    def path(self) -> Path:
        return self.run / "demo" / "readers" / "recorder.feeds.json"

    def lines(self) -> Any:
        feeds = read_feeds(self.run, "demo", "recorder")
        assert feeds is not None
        return feeds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "run")
    made.path.parent.mkdir(parents=True)
    return made


def record(place: Place, archive: Path, newest: int, **options: Any) -> None:
    ring = FeedRing(newest=newest)
    wanted = FeedOptions(is_live=False, facts_path=place.path, **options)
    recorder = feed_recorder(ring, Archive.create(archive), FeedReader(ring), wanted)
    recorder.begin()
    while recorder.step():
        pass
    recorder.ring_gone = True
    recorder.finish()


def test_counts_peaks_and_leads_are_those_of_the_archive(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_ring, "SPACING_NS", 700_000)
    record(place, tmp_path / "archive", 4_000)
    feeds = place.lines()
    rows = Archive(tmp_path / "archive").rows("stats").to_pylist()
    newest = feeds.traffic.second_ns
    over = [each for each in rows if each["packets"] and each["ts"].timestamp() <= newest // 10**9]
    assert {each["ts"].timestamp() for each in over} < {each["ts"].timestamp() for each in rows}
    for line in "AB":
        told, mine = feeds.lines["itch-1", line], [each for each in over if each["line"] == line]
        assert told.framing == "moldudp64"
        assert told.packets == 2_000
        assert told.packets_per_s == mine[-1]["packets"]
        assert told.messages_per_s == mine[-1]["messages"]
        assert told.bits_per_s == 8 * mine[-1]["bytes"]
        assert told.peak_packets_per_s == max(each["packets"] for each in mine)
        assert told.peak_1ms_packets == max(each["peak_1ms_packets"] for each in mine)
        assert told.gaps == len(plan(line, 2_000).missing)
        assert told.missing_ours + told.missing_theirs <= told.missing
    assert feeds.traffic.packets_per_s == sum(each["packets"] for each in over if each["ts"] == over[-1]["ts"])
    assert feeds.traffic.peak_1ms_packets == 2
    assert sum(sum(each.skew_log2 or ()) for each in feeds.lines.values()) > 1_000


def test_a_file_of_an_earlier_version_says_that_the_new_facts_are_unknown(place: Place) -> None:
    line = {"channel": "c", "line": "A", "last_ts_ns": 5, "last_seq": 7, "gaps": 1, "missing": 9}
    place.path.write_text(json.dumps({"at_ns": 5, "lines": [line], "switches": []}))
    feeds = place.lines()
    told = feeds.lines["c", "A"]
    assert (told.packets_per_s, told.gaps_ours, told.first_share, told.skew_log2, told.gaps) == (None,) * 4 + (1,)
    assert feeds.traffic.peak_1ms_bits is None


@pytest.mark.parametrize("wrong", ["x", -(2**70), 2**70, True, [], {}, 1.5e300, [1, "x"], "\x1b[2J"])
def test_what_is_not_what_it_should_be_is_unknown(place: Place, wrong: object) -> None:
    """Whoever reads goes on with it: a screen must not end over another's file."""
    names = [name for name in RecordedLine.__slots__ if name not in ("session", "key", "framing")]
    line = {"channel": "c", "line": "A", **dict.fromkeys(names, wrong)}
    ring = dict.fromkeys(RecordedTraffic.__slots__, wrong)
    place.path.write_text(json.dumps({"at_ns": 5, "lines": [line], "ring": ring}))
    feeds = place.lines()
    told = feeds.lines["c", "A"]
    assert {getattr(told, name) for name in names} <= {None, ()}
    assert feeds.traffic == RecordedTraffic()
    place.path.write_text(json.dumps({"at_ns": wrong, "lines": []}))
    assert read_feeds(place.run, "demo", "recorder") is None


def test_what_has_not_changed_is_not_read_again(place: Place) -> None:
    file = FeedsFile(place.run, "demo", "recorder")
    assert file.read() is None
    for at_ns in (1, 2):
        draft = place.path.with_suffix(".new")
        draft.write_text(json.dumps({"at_ns": at_ns, "lines": []}))
        draft.replace(place.path)
        feeds = file.read()
        assert feeds is not None
        assert feeds.at_ns == at_ns
        assert file.read() is feeds
    place.path.unlink()
    assert file.read() is None


def gap(messages: int) -> Found:
    return Found("gap", 0, 1, None, None, None, 5, 4 + messages, 1, messages, 0, 1, 1, 2, None, 0)


def test_whose_fault_gaps_were_outlives_a_recorder(tmp_path: Path) -> None:
    blames, name = GapBlames(), ("f", "c", "A")
    causes = ("ours", "upstream", "unknown", "ours")
    blames.take([Settled(gap(at + 1), Blame(cause)) for at, cause in enumerate(causes)], {1: name})
    expected = {"gaps_ours": 2, "missing_ours": 5, "gaps_theirs": 1, "missing_theirs": 2}
    assert blames.of_line(name) == expected
    save_state(tmp_path, FeedState("r", 9, (), {}, b"decoder", blames.saved()))
    state = load_state(tmp_path, "r", 9)
    assert state is not None
    later = GapBlames()
    later.restore(state.blamed)
    later.take([Settled(gap(1), Blame("upstream"))], {1: name})
    assert later.of_line(name) == expected | {"gaps_theirs": 2, "missing_theirs": 3}


def test_a_state_of_an_earlier_version_has_blamed_nobody(tmp_path: Path) -> None:
    save_state(tmp_path, FeedState("r", 9, (), {}, b"decoder", [["f", "c", "A", 1, 1, 1, 1]]))
    head, rest = (tmp_path / STATE_NAME).read_bytes().split(b"\n", 1)
    old = {key: value for key, value in json.loads(head).items() if key != "blamed"}
    (tmp_path / STATE_NAME).write_bytes(json.dumps(old).encode() + b"\n" + rest)
    state = load_state(tmp_path, "r", 9)
    assert state is not None
    assert state.blamed == ()
