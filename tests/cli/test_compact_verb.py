import json
import os
from pathlib import Path

import pytest
from command_line import call
from synthetic_archive import make_archive

from nanotape.storage.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return make_archive(tmp_path / "archive")


def test_it_compacts_says_what_it_did_and_has_nothing_to_do_then(archive: Archive) -> None:
    status, out, said = call("compact", archive.path)
    assert (status, out) == (0, "")
    assert "packets " in said
    assert archive.segments() == []
    assert archive.table().num_rows == 1000
    assert (archive.path / "nanotape.sql").exists()
    assert "nothing to compact" in call("compact", archive.path)[2]


def test_a_report_for_programs(archive: Archive) -> None:
    report = json.loads(call("compact", archive.path, "--json")[1])
    [packets] = [day for day in report["days"] if day["table"] == "packets"]
    assert (packets["rows"], report["errors"]) == (1000, [])
    assert len(report["paths"]) >= packets["files"]


def test_an_operators_command_gets_the_new_files(archive: Archive, tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/seen\n')
    script.chmod(0o755)
    config = tmp_path / "nanotape.toml"
    config.write_text(f'[source]\nkind = "synthetic"\n[archive]\npost_compact = ["{script}"]\ncompression_level = 1\n')
    assert call("compact", archive.path, "--config", config)[0] == 0
    seen = sorted((tmp_path / "seen").read_text().split())
    assert seen == sorted(map(os.fspath, archive.path.glob("*/date=*/**/*.parquet")))


def test_what_is_no_archive_is_one_line(tmp_path: Path) -> None:
    status, out, said = call("compact", tmp_path / "none")
    assert (status, out, said.count("\n")) == (1, "", 1)
    assert "an archive directory expected" in said
