"""The page of figures and its plots: made of a report and of nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from crafted_report import PARTS, report

from nanotape.cli.bench import page
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.figures import figures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page made of the crafted report."""
    page.write(report(), tmp_path / "performance.md")
    return tmp_path / "performance.md"


def test_the_page_names_every_target_and_what_became_of_it(written: Path) -> None:
    rows = {row.split(" | ")[0][2:]: row for row in written.read_text().splitlines() if row.startswith("| ")}
    for target in report()["targets"]:
        assert target["name"] in rows
    assert rows["record zstd 1"].endswith("| 2.5 Mpps a core | at least 3 | **no** |")
    assert rows["ring"].endswith("| 31.2 ns a packet | at most 40 | yes |")
    assert rows["sustain"].endswith("| not measured | at most 0 | - |")
    assert "- `record zstd 1`: zstd 1 alone takes 345 ns of the 400 ns a packet." in written.read_text()


def test_every_plot_of_the_page_is_there_and_tells_in_words_what_it_shows(written: Path) -> None:
    images = re.findall(r"!\[(.+?)\]\((.+?)\)", written.read_text())
    assert {path for _, path in images} == {
        f"performance/{name}.svg"
        for name in ("ring", "wire-loss", "wire-cpu", "latency-1000", "latency-300000", "record", "path", "tuning")
    }
    assert all(len(alt) > 20 for alt, _ in images)
    for _, path in images:
        picture = ElementTree.parse(written.parent / path).getroot()  # well-formed
        assert picture.tag == f"{SVG}svg"
        assert picture.attrib["aria-label"]


def test_the_same_report_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / "performance.md"
    page.write(json.loads(json.dumps(report())), again)
    assert again.read_bytes() == written.read_bytes()
    for plot in written.with_suffix("").glob("*.svg"):
        assert (again.with_suffix("") / plot.name).read_bytes() == plot.read_bytes()


def test_the_page_tells_date_machine_steal_time_notes_and_what_was_not_measured(written: Path) -> None:
    text = written.read_text()
    assert "on 2026-11-20, not by hand" in text
    assert "20:37" not in text
    assert "| CPU | made of card |" in text
    assert "- A note of the ring." in text
    assert "Steal time in 9 of 9 repetitions; median 2.00%, at most 2.00% of the machine." in text
    assert "## sustain\n\nNot measured: this machine | has no disk." in text


def test_a_quick_run_is_said_to_be_one(tmp_path: Path) -> None:
    assert "quick run" not in page.page(report(), "performance")
    assert "quick run" in page.page(report() | {"quick": True}, "performance")


def test_plots_that_an_earlier_run_had_and_this_one_has_not_are_removed(written: Path) -> None:
    (written.with_suffix("") / "holiday.svg").touch()
    page.write(report(PARTS[:1]), written)
    names = sorted(path.name for path in written.with_suffix("").iterdir())
    assert names == ["holiday.svg", "ring.svg"], "and nobody else's are"


def test_plots_of_latency_leave_out_what_the_table_leaves_out() -> None:
    part = next(part for part in report()["parts"] if part["name"] == "latency")
    stolen = [one | {"steal": 0.3, "p50": one["p50"] * 100} for one in part["repetitions"]]
    assert figures(part | {"repetitions": part["repetitions"] + stolen}) == figures(part)


def test_every_plot_can_be_removed_again() -> None:
    drawn = [figure for part in report()["parts"] for figure in figures(part)]
    assert all(page._OURS.fullmatch(figure.name) for figure in drawn)


def test_a_part_that_measured_nothing_has_no_plot_and_does_no_harm() -> None:
    empty = {"name": "wire", "title": "", "repetitions": [], "summary": {}, "notes": []}
    assert figures(empty) == []
    assert "## wire" in page.page(report([]) | {"parts": [empty]}, "performance")


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot be written: .*; choose another with --page"):
        page.write(report(), tmp_path / "file" / "performance.md")
