"""A support bundle: what can be had, the reasons for what cannot, and nothing that nobody should send."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from command_line import call

from nanotape.capture.support.bundle import PART_BYTES, Part, write_bundle
from nanotape.capture.support.parts import parts_without_settings, support_parts, without_arguments
from nanotape.capture.support.raw_configuration import without_commands
from nanotape.config import ConfigError, loads


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = {}
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            assert file is not None
            found[entry.name] = file.read()
        return found


def refuses() -> bytes:
    raise PermissionError(13, "Permission denied")


def test_what_cannot_be_had_is_named_and_ends_nothing() -> None:
    file = io.BytesIO()
    large = b"old" + b"new" * PART_BYTES
    parts = [Part("a.txt", lambda: b"one"), Part("b.txt", refuses), Part("c.log", lambda: large)]
    gathered = write_bundle(parts, file, "top", lambda: 0.0)
    found = unpacked(file.getvalue())
    manifest: list[dict[str, Any]] = json.loads(found["top/manifest.json"])
    assert sorted(found) == ["top/a.txt", "top/c.log", "top/manifest.json"]
    assert [each["name"] for each in manifest] == [each.name for each in gathered] == ["a.txt", "b.txt", "c.log"]
    assert (manifest[1]["bytes"], manifest[1]["reason"]) == (None, "Permission denied")
    assert found["top/c.log"] == large[-PART_BYTES:]
    assert manifest[2]["reason"] == f"its first {len(large) - PART_BYTES:,} bytes were left out"


def test_arguments_of_commands_are_left_out() -> None:
    others = 'post_compact = []  # default\nname = ["a", "b"]'
    text = 'post_rotate = ["/bin/ship", "--token", "s3cr\\"et]"]  # x.toml:3\n'
    assert without_arguments(text + others) == (
        'post_rotate = ["/bin/ship", "(2 arguments left out)"]  # x.toml:3\n' + others
    )


def test_state_files_and_each_interface_are_in_it(tmp_path: Path) -> None:
    for name in ("main/service.json", "main/readers/recorder.json", "main/plan", "clock/state.json", "clock/ptp4l.log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    settings = loads(f'[paths]\nrun_dir = "{tmp_path}"\n[source]\ninterface = "eth7"\nselect = "udp"\n')
    parts = {each.name: each for each in support_parts(settings, None)}
    assert {"run/main/service.json", "run/main/readers/recorder.json", "run/clock/state.json"} <= set(parts)
    assert parts["run/clock/ptp4l.log"].read() == b"clock/ptp4l.log"
    assert "run/main/plan" not in parts
    assert "host/ethtool/eth7-T.txt" in parts


def test_nothing_behind_a_link_and_nothing_of_a_pipe_comes_into_it(tmp_path: Path) -> None:
    """Who may write state files could have root send what they may not read, or wait for ever."""
    secret, run = tmp_path / "elsewhere" / "state.json", tmp_path / "run"
    for folder in (secret.parent, run / "main" / "readers"):
        folder.mkdir(parents=True)
    secret.write_text("secret")
    (run / "main" / "service.json").symlink_to(secret)
    (run / "clock").symlink_to(secret.parent)
    os.mkfifo(run / "main" / "readers" / "pipe.json")
    settings = loads(f'[paths]\nrun_dir = "{run}"\n')
    state = [each for each in support_parts(settings, None) if each.name.startswith("run/")]
    assert {each.name for each in state} >= {"run/main/service.json", "run/main/readers/pipe.json"}
    file = io.BytesIO()
    assert [each.bytes for each in write_bundle(state, file, "top", lambda: 0.0)] == [None] * len(state)
    assert list(unpacked(file.getvalue())) == ["top/manifest.json"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "nanotape.toml"
    lines = [f'{key} = "{tmp_path}/{key}"' for key in ("run_dir", "shm_dir", "archive")]
    path.write_text("\n".join(["[paths]", *lines, '[recorder]\npost_rotate = ["/bin/true", "hunter2"]\n']))
    return path


def test_the_verb_writes_one_file_for_its_user_alone(tmp_path: Path, config: Path) -> None:
    target = tmp_path / "bundle.tar.gz"
    status, output, talk = call("support-bundle", "--config", config, "-o", target)
    assert (status, output) == (0, "")
    assert f"{target}: " in talk.splitlines()[-1]
    assert target.stat().st_mode & 0o777 == 0o600
    found = {name.partition("/")[2]: content for name, content in unpacked(target.read_bytes()).items()}
    assert json.loads(found["clock.json"])["clock"] == "system"
    assert found["version.txt"].startswith(b"nanotape ")
    assert b"hunter2" not in b"".join(found.values())
    assert os.fsencode(str(tmp_path)) in found["configuration.toml"]
    assert any("without events.jsonl: " in line for line in talk.splitlines())


BROKEN = """
[paths]
run_dir = "{folder}/run"
archive = "{folder}/archive"
[recorder]
post_rotate = ["/bin/ship", "--token",
  "hunter2",
  ]
[events]
on_event = ['/bin/tell', 'swordfish']  # tells
[source]
interfase = "eth7"
"""


def test_a_configuration_that_does_not_load_goes_in_as_it_is_with_what_is_wrong_and_all_else(tmp_path: Path) -> None:
    config, target = tmp_path / "nanotape.toml", tmp_path / "bundle.tar.gz"
    config.write_text(BROKEN.format(folder=tmp_path))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "feed.toml").write_text("[[channel]\n")
    (tmp_path / "run" / "main").mkdir(parents=True)
    (tmp_path / "run" / "main" / "service.json").write_text("{}")
    lines = [f'{key} = "{tmp_path}/{key}"' for key in ("run_dir", "shm_dir", "archive")]
    commands = '[recorder]\npost_rotate = ["/bin/ship", "hunter2"]'
    (tmp_path / "run" / "main" / "nanotape.toml").write_text("\n".join(["[paths]", *lines, commands]))
    status, output, talk = call("support-bundle", "--config", config, "-o", target)
    assert (status, output) == (0, "")
    assert "Traceback" not in talk
    assert "conf.d/feed.toml:1: expected TOML" in talk
    found = {name.partition("/")[2]: content for name, content in unpacked(target.read_bytes()).items()}
    assert b"conf.d/feed.toml:1: expected TOML" in found["configuration-error.txt"]
    assert b'interfase = "eth7"' in found["configuration/nanotape.toml"]
    assert found["configuration/conf.d/feed.toml"] == b"[[channel]\n"
    assert found["version.txt"].startswith(b"nanotape ")
    assert {"run/main/service.json", "run/main/nanotape.toml", "host/proc/meminfo"} <= set(found)
    assert json.loads(found["run/main/clock.json"])["clock"] == "system", "as the running service was configured"
    everything = b"".join(found.values())
    assert b"hunter2" not in everything
    assert b"swordfish" not in everything


def test_a_configuration_that_is_not_there_ends_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    every = list(parts_without_settings(path, ConfigError(["no such file"])))
    parts = [each for each in every if each.name.startswith(("configuration", "doctor"))]
    gathered = {each.name: each.reason for each in write_bundle(parts, io.BytesIO(), "top", lambda: 0.0)}
    missing = {"configuration/none.toml": "No such file or directory"}
    assert gathered == {"configuration-error.txt": None, "doctor-of-defaults.json": None, **missing}


@pytest.mark.parametrize(
    "value",
    [
        '["/bin/ship", "hunter2"]',
        '[\n"/bin/ship",\n"hunter2"\n]',
        '["/bin/ship",\n"--key = hunter2"',
        "'hunter2",
        '["/bin/ship", """\nhunter2"""]',
    ],
)
def test_no_word_of_a_command_is_kept_however_broken_it_is_and_all_after_it_is(value: str) -> None:
    for key in ("post_rotate", '"post_compact"', "events.on_event"):
        text = without_commands(f"[recorder]\n{key} = {value}\nfsync = 'no'\n[archive]\n")
        assert "hunter2" not in text
        assert text.startswith(f"[recorder]\n{key} = (left out")
        assert text.endswith("\nfsync = 'no'\n[archive]\n")
    assert "hunter2" not in without_commands('recorder = { post_rotate = ["a", "hunter2"] }\n')
