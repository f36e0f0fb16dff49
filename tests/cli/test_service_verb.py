"""`nanotape service` and `nanotape retain`: exit statuses, what goes to stdout, what is written where."""

from __future__ import annotations

import json
import pathlib

import pytest
from command_line import call, refusal

CONFIG = """
[source]
interface = "eth1"

[[channel]]
name = "a"
feed = "a"
framing = "moldudp64"

[[channel.line]]
name = "A"
group = "239.1.1.1"
port = 31001
"""


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "nanotape.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_install_writes_below_a_root_and_prints_the_commands_that_start_it(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    root = tmp_path / "root"
    status, output, talk = call("service", "install", "--config", config, "--root", root)
    assert status == 0, talk
    assert output.splitlines()[0] == "systemd-sysusers"
    assert "nanotape-capture@main.service" in output.splitlines()[-1]
    drop_in = root / "etc/systemd/system/nanotape-capture@main.service.d/50-nanotape.conf"
    assert f"capture --ring %i --config {config}" in drop_in.read_text()
    assert (root / "etc/systemd/system/nanotape-record@.service").stat().st_mode & 0o777 == 0o644


def test_a_dry_run_prints_all_and_writes_nothing(config: pathlib.Path, tmp_path: pathlib.Path) -> None:
    status, output, _ = call("service", "install", "--dry-run", "--config", config, "--root", tmp_path / "root")
    assert status == 0
    assert output.count("==> ") >= 15
    assert not (tmp_path / "root").exists()


def test_status_tells_what_is_there_what_is_missing_and_what_is_otherwise(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    root, words = tmp_path / "root", ("--config", config, "--root", tmp_path / "root")
    assert call("service", "status", *words)[0] == 1
    call("service", "install", *words)
    status, output, _ = call("service", "status", *words, "--json")
    told = json.loads(output)
    assert (status, told["fine"], set(told["files"].values()), told["units"]) == (0, True, {"present"}, None)
    (root / "etc/tmpfiles.d/nanotape.conf").unlink()
    (root / "etc/systemd/system/nanotape.target").write_text("")
    status, output, _ = call("service", "status", *words)
    lines = dict(reversed(line.split(maxsplit=1)) for line in output.splitlines())
    assert status == 1
    assert lines[f"{root}/etc/tmpfiles.d/nanotape.conf"] == "missing"
    assert lines[f"{root}/etc/systemd/system/nanotape.target"] == "differs"


def test_what_was_put_in_place_for_a_ring_that_is_gone_is_removed_and_its_units_named(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    root, words = tmp_path / "root", ("--config", config, "--root", tmp_path / "root")
    system = root / "etc/systemd/system"
    other = tmp_path / "other.toml"
    other.write_text('[ring]\nname = "theirs"\n' + CONFIG)
    assert call("service", "install", "--config", other, "--root", root)[0] == 0
    config.write_text('[ring]\nname = "old"\n' + CONFIG)
    assert call("service", "install", *words)[0] == 0
    own = system / "nanotape-record@old.service.d" / "60-mine.conf"
    own.write_text("[Service]\n")
    config.write_text('[ring]\nname = "new"\n' + CONFIG)
    gone = [system / f"nanotape-{part}@old.service.d" / "50-nanotape.conf" for part in ("capture", "record")]

    status, output, _ = call("service", "status", *words)
    assert status == 1
    assert [line for line in output.splitlines() if line.startswith("left over")] == [
        f"left over {path}" for path in gone
    ]
    _, _, talk = call("service", "install", "--dry-run", *words)
    assert all(path.exists() and f"{path}: of a ring that is configured no longer" in talk for path in gone)

    status, output, talk = call("service", "install", *words)
    assert status == 0
    assert output.splitlines()[0] == "systemctl disable --now nanotape-capture@old.service nanotape-record@old.service"
    assert all(f"{path}: removed" in talk for path in gone)
    assert not gone[0].parent.exists()
    assert own.exists(), "who wrote it may want it back"
    assert (system / "nanotape-record@theirs.service.d" / "50-nanotape.conf").exists(), "of another configuration"
    assert call("service", "status", *words)[0] == 0
    assert not call("service", "install", *words)[1].startswith("systemctl disable")


def test_a_root_that_is_no_folder_is_refused(config: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "root").write_text("")
    words = ("service", "install", "--config", config, "--root", tmp_path / "root")
    assert "cannot be written" in refusal(*words, unchanged=[tmp_path], status=2)


def test_retain_tells_what_it_deleted(tmp_path: pathlib.Path) -> None:
    status, output, talk = call("retain", tmp_path, "--json")
    assert (status, json.loads(output)) == (0, {"deleted": 0, "bytes": 0, "is_exhausted": False}), talk


def test_retain_refuses_an_archive_that_is_not_there(tmp_path: pathlib.Path) -> None:
    refusal("retain", tmp_path / "none", unchanged=[tmp_path], status=1)
