"""`nanotape retain`: deletes what an archive is too large for, once, and says when nothing more may go."""

import json
from pathlib import Path

from command_line import call
from retention_bench import write_segments

from nanotape.storage.archive import Archive


def configured(folder: Path, archive: Archive, limit: str) -> Path:
    path = folder / "retain.toml"
    text = f'host = "box"\n[paths]\narchive = "{archive.path}"\n[archive]\nmax_bytes = "{limit}"\nkeep_free = "0"\n'
    path.write_text(text, encoding="utf-8")
    return path


def test_it_deletes_what_was_recorded_first_as_the_configuration_has_it(archive: Archive, tmp_path: Path) -> None:
    paths = [archive.path / name for name in write_segments(archive, 120)]
    before = sum(path.stat().st_size for path in paths)
    assert before > 2 << 20
    status, output, talk = call("retain", "--config", configured(tmp_path, archive, "2 MiB"), "--json")
    told = json.loads(output)
    assert status == 0, talk
    assert told["deleted"] > 0
    assert told["bytes"] > 0
    assert not paths[0].exists()
    assert paths[-1].exists()
    kinds = [row["kind"] for row in archive.rows("events").to_pylist()]
    assert "retention" in kinds


def test_it_deletes_nothing_where_there_is_room(archive: Archive, tmp_path: Path) -> None:
    paths = [archive.path / name for name in write_segments(archive, 3)]
    status, output, _ = call("retain", "--config", configured(tmp_path, archive, "1 GiB"), "--json")
    assert (status, json.loads(output)["deleted"]) == (0, 0)
    assert all(path.exists() for path in paths)


def test_too_little_room_with_nothing_left_to_delete_is_something_wrong(archive: Archive, tmp_path: Path) -> None:
    """What it keeps in reserve takes all that it is given."""
    paths = [archive.path / name for name in write_segments(archive, 3)]
    status, _, talk = call("retain", "--config", configured(tmp_path, archive, "1 MiB"))
    assert status == 1
    assert "too little room" in talk
    assert paths[-1].exists()
