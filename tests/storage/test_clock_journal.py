"""A journal is read while it is written, torn, rotated, replaced and spoilt: each entry comes once, and whole."""

import json
import random
from pathlib import Path

import pytest
from clock_lines import SECOND_NS, JournalWriter, change, line_of, sample
from hypothesis import given
from hypothesis import strategies as st

from nanotape.storage.clock_entries import ClockChange, ClockSample, parse_line
from nanotape.storage.clock_journal import ClockJournal, ClockNews

NOTHING = ClockNews()


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    return JournalWriter(tmp_path / "clock")


def at(seconds: int) -> int:
    return 1_795_207_020_000_000_000 + seconds * SECOND_NS


def stamps(news: ClockNews) -> list[int]:
    return [(each.at_ns - at(0)) // SECOND_NS for each in news.samples]


def test_every_column_and_every_null_comes_as_it_was_written(writer: JournalWriter) -> None:
    nothing = ClockSample(at(2), "ptp0", "unknown")
    writer.write(sample(at(1)), nothing, change(at(1)), change(at(1), end_ns=at(2), severity="error"))
    news = ClockJournal(writer.folder).read()
    assert news == ClockNews(tuple(writer.samples), tuple(writer.changes))


def test_a_journal_that_is_not_there_yet_says_nothing_and_is_read_once_it_is(tmp_path: Path) -> None:
    journal = ClockJournal(tmp_path / "clock")
    assert journal.read() == NOTHING
    writer = JournalWriter(tmp_path / "clock")
    writer.write(sample(at(1)))
    assert stamps(journal.read()) == [1]
    assert journal.read() == NOTHING


def test_a_torn_line_waits_until_it_is_whole(writer: JournalWriter) -> None:
    journal, line = ClockJournal(writer.folder), line_of(sample(at(1)))
    for byte in line[:-1]:
        writer.append(bytes([byte]))
        assert journal.read() == NOTHING
    writer.append(line[-1:])
    assert stamps(journal.read()) == [1]
    assert journal.garbage_lines == 0


def test_what_is_none_of_ours_is_skipped_and_counted(writer: JournalWriter) -> None:
    known = json.loads(line_of(sample(at(1))))
    spoilt = [
        {"at_ns": "soon"}, {"at_ns": -1}, {"at_ns": True}, {"at_ns": None}, {"state": "fine"}, {"clock": ""},
        {"clock": None}, {"type": "weather"}, {"error_ns": -1}, {"error_ns": 2**63}, {"gm_class": 2**31},
        {"gm_class": 1.5}, {"growth_ppb": -1}, {"freq_ppb": "much"}, {"source": 5}, {"grandmaster": "\ud800"},
    ]  # fmt: skip
    lines = [json.dumps({**known, **each}).encode() for each in spoilt]
    lines += [b"", b"{", b"\xff\xfe", b"[]", b"3", b"null", b"[" * 100_000, b'{"type":"change"}', b"x" * (1 << 21)]
    writer.append(b"\n".join(lines) + b"\n")
    writer.write(sample(at(2)))
    journal = ClockJournal(writer.folder)
    assert stamps(journal.read()) == [2]
    assert journal.garbage_lines == len(lines)


def test_a_bound_that_is_no_whole_number_is_rounded_up(writer: JournalWriter) -> None:
    line = line_of(sample(at(1))).replace(b'"error_ns": 100', b'"error_ns": 100.2').replace(b": -17", b": -17.4")
    [entry] = [parse_line(line)]
    assert isinstance(entry, ClockSample)
    assert (entry.error_ns, entry.offset_ns) == (101, -17)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_no_value_of_any_column_gets_past_the_check_or_breaks_it(value: object) -> None:
    for name, kind in (("error_ns", int), ("gm_class", int), ("offset_ns", int), ("freq_ppb", float), ("source", str)):
        found = parse_line(
            json.dumps({"type": "sample", "at_ns": 1, "clock": "c", "state": "locked", name: value}).encode()
        )
        assert found is None or isinstance(getattr(found, name), kind | None)  # type: ignore[arg-type,operator]


def test_rotation_loses_nothing_before_while_or_after_it_is_followed(writer: JournalWriter) -> None:
    writer.write(sample(at(1)))
    writer.rotate()
    writer.write(sample(at(2)))
    journal = ClockJournal(writer.folder)
    assert stamps(journal.read()) == [1, 2], "the older file first"
    writer.write(sample(at(3)))
    writer.rotate()
    assert stamps(journal.read()) == [3], "what was written just before"
    writer.write(sample(at(4)))
    writer.rotate()
    writer.write(sample(at(5)))
    assert stamps(journal.read()) == [4, 5]
    for second in (6, 7):
        writer.write(sample(at(second)))
        writer.rotate()
    writer.write(sample(at(8)))
    assert stamps(journal.read()) == [6, 7, 8], "one file came and went between two looks"


def test_a_journal_whose_next_file_is_not_there_yet_is_followed_on(writer: JournalWriter) -> None:
    journal = ClockJournal(writer.folder)
    writer.write(sample(at(1)))
    assert stamps(journal.read()) == [1]
    writer.write(sample(at(2)))
    writer.path.rename(writer.folder / "journal.jsonl.old")
    assert stamps(journal.read()) == [2]
    assert journal.read() == NOTHING
    writer.write(sample(at(3)))
    assert stamps(journal.read()) == [3]


def test_a_line_that_a_dead_service_left_unfinished_spoils_no_other(writer: JournalWriter) -> None:
    journal = ClockJournal(writer.folder)
    writer.append(line_of(sample(at(1)))[:40])
    assert journal.read() == NOTHING
    writer.rotate()
    writer.write(sample(at(2)))
    assert stamps(journal.read()) == [2]
    assert journal.garbage_lines == 1


def test_a_file_that_was_put_in_its_place_or_cut_off_is_read_from_its_beginning(writer: JournalWriter) -> None:
    journal = ClockJournal(writer.folder)
    writer.write(sample(at(1)), sample(at(2)))
    assert stamps(journal.read()) == [1, 2]
    new = writer.path.with_name("new")
    new.write_bytes(line_of(sample(at(3))))
    new.replace(writer.path)
    assert stamps(journal.read()) == [3]
    writer.path.write_bytes(line_of(ClockSample(at(4), "system", "unknown"))[:-1])
    assert journal.read() == NOTHING
    writer.append(b"\n")
    assert stamps(journal.read()) == [4]


def test_a_rewound_journal_comes_again_from_the_oldest_line(writer: JournalWriter) -> None:
    journal = ClockJournal(writer.folder)
    for second in range(4):
        writer.write(sample(at(second)), change(at(second)))
        if second == 1:
            writer.rotate()
    first = journal.read()
    journal.rewind()
    assert journal.read() == first
    assert stamps(first) == [0, 1, 2, 3]


def test_a_writer_and_a_reader_in_any_order_lose_no_entry(tmp_path: Path) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        writer = JournalWriter(tmp_path / str(seed) / "clock")
        journal, found, looks, data = ClockJournal(writer.folder), list[ClockSample | ClockChange](), 0, b""
        for second in range(60):
            entry = sample(at(second)) if second % 3 else change(at(second))
            writer.entries.append(entry)
            data += line_of(entry)
            cut = chance.choice((len(data), chance.randrange(len(data))))
            writer.append(data[:cut])
            data = data[cut:]
            looks -= 1
            if not data and chance.random() < 0.2 and looks <= 0:  # it keeps one old file: not more than two a look
                writer.rotate()
                looks = 1
            if chance.random() < 0.5 or looks == 1:
                news = journal.read()
                found += sorted([*news.samples, *news.changes], key=lambda each: each.at_ns)
        writer.append(data)
        news = journal.read()
        found += sorted([*news.samples, *news.changes], key=lambda each: each.at_ns)
        assert found == writer.entries
        assert journal.garbage_lines == 0
