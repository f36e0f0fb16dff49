"""`nanotape export` and `nanotape replay` as they are called: what goes to which stream, and with which status."""

import json
import sys
from pathlib import Path

import pytest
from command_line import call
from pcapng_file import parse

sys.path.insert(0, str(Path(__file__).parent.parent / "storage"))

from recorder_bench import recorded
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "archive"
    recorded(Archive.create(path), SyntheticRing(newest=500))
    return path


def test_a_file_is_written_and_told_in_words_or_as_json(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "file.pcapng"
    status, out, err = call("export", archive, "-o", target, "--line", "A")
    assert (status, out) == (0, "")
    packets = parse(target.read_bytes()).packets
    assert f"{target}: {len(packets)} packets of 1 rings" in err
    status, out, err = call("export", archive, "-o", target, "--line", "A", "--json")
    report = json.loads(out)
    assert (status, report["packets"], report["drops"]) == (0, len(packets), 0)
    assert report["first_ns"] == packets[0].fields["ts"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.pcapng"]


def test_a_name_that_ends_in_zst_is_compressed(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "file.pcapng.zst"
    assert call("export", archive, "-o", target)[0] == 0
    assert target.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


def test_a_device_is_written_to_and_never_replaced(archive: Path) -> None:
    assert call("export", archive, "-o", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "nonsense = 1"], "nonsense"),
        (["--filter", "udp prt 5"], "libpcap says: "),
        (["--around", "nothing"], "event nothing: expected the id of one"),
        (["--start", "yesterday"], "'yesterday': a moment such as"),
        (["--last", "30"], "a duration such as 30s"),
    ],
)
def test_what_is_no_choice_is_refused_as_usage_and_writes_nothing(
    archive: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    status, out, err = call("export", archive, "-o", tmp_path / "file.pcapng", *options)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_in_one_line(archive: Path, tmp_path: Path) -> None:
    status, _, err = call("export", archive, "-o", tmp_path / "none" / "file.pcapng")
    assert status == 1
    assert "cannot be written: No such file or directory" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--speed", "fast"], "a factor such as 2x or 0.5x expected"),
        (["--rate", "0pps"], "a rate such as 10kpps expected"),
        (["--map", "10.0.0.1=239.1.1.1"], "expected IPv4 multicast groups"),
        (["--source-ip", "::1"], "expected an IPv4 address"),
    ],
)
def test_what_no_replay_can_be_is_refused_as_usage(archive: Path, options: list[str], said: str) -> None:
    status, out, err = call("replay", archive, "-i", "lo", *options)
    assert (status, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err
