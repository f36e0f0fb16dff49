import json
import xml.dom.minidom
from pathlib import Path

import pytest
from command_line import call
from synthetic_archive import make_archive, record_more

from nanotape.storage.archive import Archive

STAMPED = "2026-10-14"  # the day of the synthetic packets' stamps


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = make_archive(tmp_path / "archive")
    record_more(made, 1051, 1200)
    return made


def test_a_day_says_what_came_what_was_lost_and_what_is_not_known(archive: Archive) -> None:
    status, out, _ = call("report", archive.path, STAMPED)
    assert status == 1, "50 packets are lost"
    assert "lost: ring demo, recorder_lapped: 50 packets in 1 events" in out
    assert "itch-1 A: 334 packets in a millisecond of 2026-10-14T17:46:40Z" in out
    assert "who was first is not known" in out
    assert "clock: unknown: nothing of it was recorded" in out
    assert "capture_loss" in out.splitlines()[-1]


def test_a_page_needs_nothing_else_and_has_a_picture_for_each_line(archive: Archive, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    call("report", archive.path, STAMPED, "--html", page)
    text = page.read_text()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    pictures = [part.split("</svg>")[0] for part in text.split("<svg")[1:]]
    assert len(pictures) == 4, "completeness, and a curve for each of three lines"
    for picture in pictures:
        xml.dom.minidom.parseString(f"<svg{picture}</svg>")
    assert text.count("<polyline") == 3
    assert "itch-1 A: gap ours" in text


def test_a_report_for_programs_and_mistakes(archive: Archive, tmp_path: Path) -> None:
    found = json.loads(call("report", archive.path, STAMPED, "--json")[1])
    assert [line["packets"] for line in found["lines"]] == [384, 383, 383]
    assert found["clock"] is None
    assert call("report", archive.path, "2026-13-01")[0] == 1
    assert call("report", STAMPED)[0] == 2
    status, _, said = call("report", archive.path, STAMPED, "--html", tmp_path / "none" / "x.html")
    assert (status, said.count("\n")) == (1, 1)
    quiet = call("report", archive.path, "2026-01-01")[1]
    assert "nothing was recorded in this time" in quiet
