"""Each thing that can be wrong with an archive is made wrong, and found; and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from recorder_bench import HandClock, later, recorded
from synthetic import RING_ID, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.manifest import MANIFEST_NAME, Gone, edit_manifest
from nanotape.storage.verify import verify

DAY = "2026-11-20"


def compacted(archive: Archive, clock: HandClock | None = None) -> None:
    compact(archive, CompactOptions(grace_ns=0), clock=clock or HandClock(), log=lambda _: None)


@pytest.fixture
def mixed(archive: Archive) -> Archive:
    """1 to 1000 in Parquet files, then a loss of 50, then a segment up to 1300."""
    recorded(archive, SyntheticRing(newest=1000))
    compacted(archive)
    recorded(archive, SyntheticRing(oldest=1051, newest=1300), clock=later())
    return archive


def test_a_sound_archive_is_sound_and_its_losses_are_told(mixed: Archive) -> None:
    report = verify(mixed)
    assert report.findings == []
    [ring] = report.rings
    assert (ring.first_seq, ring.last_seq, ring.rows) == (1, 1300, 1250)
    assert (ring.missing, ring.lost, ring.unexplained) == (50, 50, 0)
    assert report.files > 6


def test_a_changed_byte_of_a_parquet_file_is_found(mixed: Archive) -> None:
    file = mixed.visible().parquet[0]
    content = bytearray(file.path.read_bytes())
    content[100] ^= 1
    file.path.write_bytes(content)
    assert verify(mixed).findings == [
        f"{file.path}: crc32c {file.entry.crc32c} expected, found {verify(mixed).findings[0].rpartition(' ')[2]}"
    ]


def test_a_parquet_file_that_is_gone_or_short_or_that_nobody_names_is_found(mixed: Archive) -> None:
    first, second = mixed.visible().parquet
    stray = first.path.with_name("stray.parquet")
    stray.write_bytes(first.path.read_bytes())
    first.path.write_bytes(first.path.read_bytes()[:-1])
    second.path.unlink()
    findings = verify(mixed).findings
    assert len(findings) == 3
    assert findings[0].startswith(f"{first.path}: {first.entry.bytes} bytes expected, found {first.entry.bytes - 1}")
    assert findings[1].startswith(f"{second.path}: a file expected")
    assert findings[2].startswith(f"{stray}: expected to be named")


def test_a_segment_that_vanished_is_named_by_its_sequences(archive: Archive) -> None:
    for part in range(3):
        recorded(archive, SyntheticRing(newest=100 * (part + 1)), clock=later(part * 10))
    archive.segments()[1].path.unlink()
    [finding] = verify(archive).findings
    assert "100 sequences between 1 and 300 are missing" in finding
    assert "101 to 200 (0 of them told)" in finding


def test_a_loss_without_its_event_is_found(mixed: Archive) -> None:
    for path in (mixed.path / "segments" / "demo" / "events").iterdir():
        path.unlink()
    [finding] = verify(mixed).findings
    assert "50 lost packets expected in events, as lost_before says, found 0" in finding


def delete(archive: Archive, first_seq: int, last_seq: int, told: bool = True) -> None:
    """The Parquet files that begin with these sequences, as retention does it, or as somebody else might."""
    with edit_manifest(archive.path, "packets", DAY) as edit:
        chosen = [each for each in edit.manifest.files if first_seq <= each.rings[RING_ID].first_seq <= last_seq]
        gone = tuple(Gone(f"packets/date={DAY}/{e.path}", e.rows, 1, e.ts_min_ns, e.ts_max_ns, e.rings) for e in chosen)
        files = tuple(each for each in edit.manifest.files if each not in chosen)
        edit.manifest = replace(edit.manifest, files=files, gone=(*edit.manifest.gone, *(gone if told else ())))
        edit.commit()
    assert chosen
    for each in chosen:
        (archive.path / "packets" / f"date={DAY}" / each.path).unlink()


def test_what_retention_deleted_is_no_finding(archive: Archive) -> None:
    for part in range(3):
        recorded(archive, SyntheticRing(newest=100 * (part + 1)), clock=later(part * 10))
        compacted(archive, later(part * 10))
    delete(archive, 101, 200)
    report = verify(archive)
    assert report.findings == []
    assert (report.rings[0].missing, report.rings[0].deleted) == (100, 100)


def test_a_deletion_does_not_hide_that_other_packets_vanished(archive: Archive) -> None:
    for part in range(5):
        recorded(archive, SyntheticRing(newest=100 * (part + 1)), clock=later(part * 10))
        compacted(archive, later(part * 10))
    delete(archive, 1, 100)
    delete(archive, 201, 300)
    assert verify(archive).findings == []
    delete(archive, 301, 400, told=False)
    [finding] = verify(archive).findings
    assert (
        "100 sequences between 101 and 500 are missing and nothing says why: 201 to 400 (100 of them told)" in finding
    )


def test_a_loss_that_deleted_rows_told_is_no_finding(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    compacted(archive)
    recorded(archive, SyntheticRing(oldest=131, newest=200), clock=later(10))
    compacted(archive, later(10))
    recorded(archive, SyntheticRing(oldest=201, newest=300), clock=later(20))
    delete(archive, 131, 200)
    report = verify(archive)
    assert report.findings == []
    assert (report.rings[0].missing, report.rings[0].lost, report.rings[0].deleted) == (100, 0, 100)


def test_packets_that_were_left_out_on_purpose_are_no_finding(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=300), keep_other=False)
    report = verify(archive)
    assert report.findings == []
    assert report.rings[0].left_out is None
    assert report.rings[0].missing > 50


def test_a_manifest_that_is_none_is_refused(mixed: Archive) -> None:
    path = mixed.path / "packets" / f"date={DAY}" / MANIFEST_NAME
    path.write_text(json.dumps({"version": 99}))
    [finding] = verify(mixed).findings
    assert f"{path}: a manifest of version 1 expected" in finding


def test_the_verb_says_it_in_lines_and_in_json(mixed: Archive, tmp_path: Path) -> None:
    from command_line import call

    status, out, _ = call("verify", mixed.path)
    assert status == 0
    assert "all is as it was written" in out
    mixed.segments()[0].path.write_bytes(b"damage")
    status, out, _ = call("verify", mixed.path, "--json")
    assert status == 1
    [report] = json.loads(out).values()
    assert len(report["findings"]) == 1
