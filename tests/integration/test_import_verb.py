"""`nanotape import` as a user calls it: what it says, its exit status, Ctrl-C, and another user than root."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess

import pytest
from command_line import NANOTAPE, as_nobody, call, refusal
from deadline import wait_for
from file_rig import expected, made, recorded
from pcap_file import pcap_bytes

from nanotape.storage.archive import Archive


def put(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def test_json_goes_to_stdout_and_what_is_wrong_to_stderr_by_name(tmp_path: pathlib.Path) -> None:
    frames = made(100)
    put(tmp_path / "good.pcap", pcap_bytes(frames))
    put(tmp_path / "cut.pcap", pcap_bytes(frames)[:-3])
    put(tmp_path / "notes.txt", b"no capture")
    paths = [tmp_path / name for name in ("good.pcap", "cut.pcap", "notes.txt")]
    status, output, errors = call("import", *paths, "--to", tmp_path / "a", "--json")
    assert status == 1
    facts = json.loads(output)
    assert [each["packets"] for each in facts["files"]] == [100, 99, 0]
    assert facts["totals"] == {
        "files": 3, "files_given": 3, "imported": 2, "damaged": 1, "refused": 1, "packets": 199,
        "bytes": paths[0].stat().st_size + paths[1].stat().st_size,
    }  # fmt: skip
    assert facts["files"][1]["damage"]["offset"] == 24 + 99 * (16 + 222)
    assert f"{paths[2]}: expected a capture file" in errors
    assert "Traceback" not in errors
    assert recorded(Archive(tmp_path / "a")) == expected(frames + frames[:99])


def test_a_folder_is_imported_and_a_second_time_refused_in_one_line_each(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        put(tmp_path / "in" / f"{number}.pcap", pcap_bytes(made(10, gap_ns=number + 1)))
    status, output, errors = call("import", tmp_path / "in", "--to", tmp_path / "a")
    assert (status, output) == (0, "")
    assert "30 packets of 3 files imported, 0 damaged, 0 refused" in errors
    status, _, errors = call("import", tmp_path / "in", "--to", tmp_path / "a")
    assert status == 1
    lines = errors.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:3]] == [f"{tmp_path}/in/{n}.pcap" for n in range(3)]
    assert lines[3:] == ["nanotape: 0 packets of 0 files imported, 0 damaged, 3 refused"]
    assert len(recorded(Archive(tmp_path / "a"))) == 30


def test_a_folder_without_captures_and_an_archive_without_a_parent_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    line = refusal("import", tmp_path / "in", "--to", tmp_path / "a", unchanged=[tmp_path], status=1)
    assert "expected capture files in this folder, found none" in line
    path = put(tmp_path / "in" / "f.pcap", pcap_bytes(made(3)))
    line = refusal("import", path, "--to", tmp_path / "no" / "a", unchanged=[tmp_path], status=1)
    assert "its parent directory does not exist" in line


def test_control_c_ends_in_order_and_the_next_import_goes_on(tmp_path: pathlib.Path) -> None:
    frames = made(150_000)
    path = put(tmp_path / "f.pcap", pcap_bytes(frames))
    config = put(tmp_path / "n.toml", b'[recorder]\nflush_interval = "100ms"\n')
    command = [*NANOTAPE, "import", os.fspath(path), "--to", os.fspath(tmp_path / "a"), "--config", os.fspath(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        wait_for(lambda: (tmp_path / "a" / "imports.jsonl").exists(), "the import to begin", 30)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        errors = process.stderr.read()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "told to stop" in errors
    assert all(facts.complete for facts in Archive(tmp_path / "a").segments())
    had = recorded(Archive(tmp_path / "a"))
    assert had == expected(frames[: len(had)])
    assert len(had) < len(frames)
    status, _, errors = call("import", path, "--to", tmp_path / "a", "--config", config)
    assert status == 0, errors
    assert recorded(Archive(tmp_path / "a")) == expected(frames)


@pytest.mark.root
def test_a_user_without_rights_imports_compressed_files_too(tmp_path: pathlib.Path) -> None:
    frames = made(1000)
    with as_nobody() as (wrap, work):
        path = put(work / "f.pcap", pcap_bytes(frames))
        subprocess.run(["gzip", "--keep", path], check=True)
        (work / "f.pcap.gz").chmod(0o644)
        done = subprocess.run(
            [*wrap, "import", path, work / "f.pcap.gz", "--to", work / "a"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert recorded(Archive(work / "a")) == expected(frames + frames)


@pytest.mark.root
def test_what_root_imports_belongs_to_the_archives_owner_and_may_be_read_by_all(tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "a"
    archive.mkdir()
    os.chown(archive, 1234, 4321)
    path = put(tmp_path / "f.pcap", pcap_bytes(made(100)))
    status, _, errors = call("import", path, "--to", archive)
    assert status == 0, errors
    for each in archive.rglob("*"):
        facts = each.stat()
        assert (facts.st_uid, facts.st_gid) == (1234, 4321), each
        if each.suffix in (".arrow", ".sum", ".jsonl"):
            assert facts.st_mode & 0o444 == 0o444, each
