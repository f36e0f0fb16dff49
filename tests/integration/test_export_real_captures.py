"""pcap, import, export: what tshark and tcpdump read of the export is what they read of the original, bit for bit."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pcap_file import LINUX_SLL, read_pcap
from simulated_packets import Feed, batches, write_pcap

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.export import ExportOptions, export
from nanotape.storage.frame_stream import FrameChoice

FIELDS = (
    "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols", "eth.src", "eth.dst", "ip.src", "ip.dst",
    "ip.checksum", "ip.ttl", "udp.srcport", "udp.dstport", "udp.length", "udp.checksum", "udp.payload", "tcp.seq",
    "data.data",
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    not (shutil.which("tshark") and shutil.which("tcpdump") and shutil.which("mergecap")),
    reason="needs tshark, mergecap and tcpdump (apt-get install tshark tcpdump)",
)


def output(*command: str | Path) -> list[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def tshark(path: Path) -> list[str]:
    options = [word for name in FIELDS for word in ("-e", name)]
    return output("tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=a", *options)


def tcpdump(path: Path, stamps: str = "-tt") -> list[str]:
    """Each packet's line and bytes; not the first line, which names the file's link type on stderr."""
    return output("tcpdump", "-r", path, "-S", stamps, "--nano", "-nn", "-v", "-xx")


def imported(paths: list[Path], folder: Path) -> Path:
    from nanotape.storage.import_options import ImportOptions
    from nanotape.storage.pcap_import import import_captures

    archive = folder / "archive"
    import_captures(paths, archive, ImportOptions(again=True), log=lambda _: None)
    return archive


def exported(archive: Path, to: Path, where: str | None = None, **options: object) -> Path:
    with (to.parent / "unused").open("wb") as unused:
        export(open_archive(archive), to, unused, ExportOptions(FrameChoice(where=where), **options))  # type: ignore[arg-type]
    return to


def has_right_stamps(path: Path) -> bool:
    """Of others the import says so and takes another: nothing to compare."""
    return not any(frame.bad_stamp for frame in read_pcap(path).frames)


@pytest.fixture(scope="module")
def originals(captures: Path) -> list[Path]:
    return [path for path in sorted(captures.rglob("*.pcap")) if has_right_stamps(path)]


@pytest.fixture(scope="module")
def archive(originals: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(originals, tmp_path_factory.mktemp("imported"))


def test_tshark_reads_of_all_captures_what_it_reads_of_the_originals(
    originals: list[Path], archive: Path, tmp_path: Path
) -> None:
    joined = tmp_path / "joined.pcapng"
    output("mergecap", "-a", "-F", "pcapng", "-w", joined, *originals)
    expected = tshark(joined)
    assert len(expected) > 1000
    assert sorted(tshark(exported(archive, tmp_path / "all.pcapng"))) == sorted(expected)


def test_tcpdump_reads_of_all_captures_what_it_reads_of_the_originals(
    originals: list[Path], archive: Path, tmp_path: Path
) -> None:
    expected = [line for path in originals for line in tcpdump(path)]  # joined files of several lengths it refuses
    assert len(expected) > 1000
    assert sorted(tcpdump(exported(archive, tmp_path / "all.pcapng"))) == sorted(expected)


def test_cooked_frames_come_back_although_their_stamps_cannot(captures: Path, tmp_path: Path) -> None:
    paths = sorted((captures / "tcpdump").glob("timestamp_invalid_*.pcap"))
    assert all(read_pcap(path).link_type == LINUX_SLL and not has_right_stamps(path) for path in paths)
    found = exported(imported(paths, tmp_path), tmp_path / "cooked.pcapng")
    expected = [line for path in paths for line in tcpdump(path, "-t")]
    assert expected
    assert tcpdump(found, "-t") == expected


def test_the_packets_of_a_file_come_in_its_order_with_each_nanosecond(captures: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("cisco/fusion_hpt_example.pcap", "bats/mcastpitch_realtime_useq.pcap")):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = exported(imported([captures / name], folder), folder / "file.pcapng")
        assert tshark(found) == tshark(captures / name)
        assert tcpdump(found) == tcpdump(captures / name)


@pytest.mark.slow
def test_each_capture_comes_back_in_its_own_order(originals: list[Path], tmp_path: Path) -> None:
    for number, original in enumerate(originals):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = exported(imported([original], folder), folder / "file.pcapng")
        assert tshark(found) == tshark(original), original


@pytest.mark.slow
def test_a_simulated_hour_comes_back_also_from_parquet(tmp_path: Path) -> None:
    packets, lines = 200_000, 8
    original = tmp_path / "hour.pcap"
    count = write_pcap(original, batches(Feed(packets=packets, rate=packets / lines / 3600)))
    archive = imported([original], tmp_path)
    expected = tshark(original)
    assert len(expected) == count
    first, last = (float(line.partition("\t")[0]) for line in (expected[0], expected[-1]))
    assert 3500 < last - first < 3700
    assert tshark(exported(archive, tmp_path / "segments.pcapng")) == expected
    assert compact(Archive(archive), CompactOptions(grace_ns=0), log=lambda _: None).errors == []
    assert Archive(archive).segments() == []
    found = exported(archive, tmp_path / "parquet.pcapng")
    assert tshark(found) == expected
    assert tcpdump(found) == tcpdump(original)
