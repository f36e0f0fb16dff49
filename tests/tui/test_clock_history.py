"""The last minutes of a clock are what its service wrote down and told; what is unknown is a gap."""

from __future__ import annotations

from pathlib import Path

from clock_lines import SECOND_NS, line_of, sample

from nanotape.tui.clock_history import ClockHistory, in_columns, plot, read_samples

NOW_NS = 1_795_219_200 * SECOND_NS


def journal(folder: Path, name: str, offsets: dict[int, int | None], tail: bytes = b"") -> None:
    lines = [line_of(sample(NOW_NS + second * SECOND_NS, offset_ns=offset)) for second, offset in offsets.items()]
    (folder / "clock").mkdir(exist_ok=True)
    (folder / "clock" / name).write_bytes(b"".join(lines) + tail)


def test_the_journal_and_the_one_before_are_read_and_each_sample_counts_once(tmp_path: Path) -> None:
    journal(tmp_path, "journal.jsonl.old", {-3: 5, -2: 6})
    journal(tmp_path, "journal.jsonl", {-1: -7, 0: None}, tail=b'{"type": "sample", "at')
    history = ClockHistory()
    history.add(read_samples(tmp_path))
    history.add(read_samples(tmp_path))
    found = history.points("system", NOW_NS)
    assert [(each.at_ns, each.offset_ns) for each in found] == [
        (NOW_NS - 3 * SECOND_NS, 5), (NOW_NS - 2 * SECOND_NS, 6), (NOW_NS - SECOND_NS, -7), (NOW_NS, None)
    ]  # fmt: skip


def test_no_journal_is_no_history(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "journal.jsonl").mkdir()
    assert read_samples(tmp_path) == []


def test_what_is_not_a_sample_is_passed_over() -> None:
    history = ClockHistory()
    history.add([{"at_ns": "x"}, {}, {"clock": "system", "at_ns": None, "offset_ns": 1, "error_ns": 2, "state": "x"}])
    assert history.points("system", NOW_NS) == []


def test_it_forgets_what_is_older_than_it_keeps() -> None:
    history = ClockHistory(kept_ns=10 * SECOND_NS)
    for second in range(100):
        told = {
            "clock": "system",
            "at_ns": NOW_NS + second * SECOND_NS,
            "offset_ns": second,
            "error_ns": 1,
            "state": "",
        }
        history.add([told])
    assert len(history.points("system", NOW_NS + 99 * SECOND_NS)) == 10
    assert sum(map(len, history._points.values())) <= 11


def test_a_column_shows_the_offset_furthest_from_zero_and_a_gap_stays_one() -> None:
    history = ClockHistory()
    for second, offset in {-9: 3, -8: -50, -7: 20, -2: 1, -1: None, 0: 4}.items():
        told = {"clock": "system", "at_ns": NOW_NS + second * SECOND_NS, "offset_ns": offset, "error_ns": 1}
        history.add([{**told, "state": "locked"}])
    points = history.points("system", NOW_NS)
    assert in_columns(points, NOW_NS, 10 * SECOND_NS, 5) == [-50, 20, None, 1, 4]


def test_the_plot_stands_above_and_below_its_line() -> None:
    assert plot([100, -100, 0, None, 50], 5) == [
        "█    ",
        "█   █",
        "─── ─",
        " █   ",
        " █   ",
    ]  # fmt: skip
    assert plot([], 3) == ["", "", ""]
    assert plot([None, None], 3) == ["  ", "  ", "  "]
    assert plot([0, 0], 3) == ["  ", "──", "  "]
