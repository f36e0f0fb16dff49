"""What an archive holds of packets, file by file, in the order in which retention may delete it.

Time recorded decides, never a packet's stamp; within a ring its sequence does, so that a host's clock that jumped makes
no newer file go before an older one. The newest of each ring is never in it.
"""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from nanotape.storage import sidecar
from nanotape.storage.errors import StorageError
from nanotape.storage.manifest import Manifest, day_folder, read_manifests
from nanotape.storage.retired import disk_bytes
from nanotape.storage.segment_names import (
    PART_SUFFIX,
    SEGMENT_SUFFIX,
    SIDECAR_SUFFIX,
    first_sequence,
    opened_ns,
    segment_files,
)

CLOCK_UNSET_BEFORE_NS = 1_577_836_800 * 10**9
"""2020: an earlier time recorded is that of a host whose clock nobody had set."""

RingKey = tuple[str, str]
"""Ring and ring_id."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One complete file of packets."""

    path: str
    """Below the archive."""
    date: str
    """UTC day of recording, whose manifest decides on it."""
    written_ns: int
    """When recording of it began, by the host's clock."""
    bytes: int
    rings: dict[RingKey, int]
    """The highest ring sequence by which it can be told from the others of each ring: of a segment the first."""
    is_segment: bool = False


def holdings(archive: Path) -> tuple[list[Holding], set[RingKey]]:
    """All visible files of packets that are complete, and which rings are being recorded.

    Raises:
        ArchiveError: A manifest cannot be read.
        OSError: A folder cannot be listed.
    """
    manifests = read_manifests(archive, "packets")
    found = [each for manifest in manifests for each in _parquet(archive, manifest)]
    replaced = {key for manifest in manifests for key in manifest.replaces}
    live: set[RingKey] = set()
    for directory in _folders(archive / "segments"):
        for name, suffixes in segment_files(directory).items():
            key = (directory.name, _ring_id(directory, name))
            if PART_SUFFIX in suffixes:
                live.add(key)
            elif SEGMENT_SUFFIX in suffixes and f"{directory.name}/{name}" not in replaced:
                found.append(_segment(archive, directory / (name + SEGMENT_SUFFIX), name, key))
    return found, live


def deletable(found: Sequence[Holding], live: Set[RingKey], now_ns: int) -> list[Holding]:
    """Those that may be deleted, what is to go first first.

    Args:
        found: What there is.
        live: Rings that are being recorded.
        now_ns: UTC: a time recorded that is still to come is no time.
    """
    chains = _chains(found, live, now_ns)
    kept = {chain[-1].path for chain in chains.values()}
    times = {each.path: 0 for each in found}
    for chain in chains.values():
        for each, time in zip(chain, _plausible(chain, now_ns), strict=True):
            times[each.path] = max(times[each.path], time)
    while _raise(times, chains.values()):
        pass  # a file of several rings may move those after it in each of them
    places = {each.path: place for chain in chains.values() for place, each in enumerate(chain)}
    rest = [each for each in found if each.path not in kept]
    return sorted(rest, key=lambda each: (times[each.path], places.get(each.path, 0)))


def _chains(found: Sequence[Holding], live: Set[RingKey], now_ns: int) -> dict[str, list[Holding]]:
    """The files of each ring in their order; a file of rows of no ring is a ring's of no name."""
    by_key: dict[RingKey, list[Holding]] = defaultdict(list)
    for each in found:
        for key in each.rings or [("", each.path)]:
            by_key[key].append(each)
    begins: dict[str, list[tuple[bool, int, RingKey]]] = defaultdict(list)
    for key, files in by_key.items():
        files.sort(key=lambda each: each.rings.get(key, 0))
        begin = next((each.written_ns for each in files if _is_plausible(each.written_ns, now_ns)), now_ns)
        begins[key[0]].append((key in live, begin, key))
    chains = {}
    for ring, parts in begins.items():
        ordered = [each for *_, key in sorted(parts) for each in by_key[key]]
        chains[ring] = list({each.path: each for each in ordered}.values())
    return chains


def _is_plausible(written_ns: int, now_ns: int) -> bool:
    return CLOCK_UNSET_BEFORE_NS <= written_ns <= now_ns


def _plausible(chain: Sequence[Holding], now_ns: int) -> list[int]:
    """The times recorded; in place of one that cannot be right, that of the next which can."""
    times, after = [], now_ns
    for each in reversed(chain):
        after = each.written_ns if _is_plausible(each.written_ns, now_ns) else after
        times.append(after)
    return times[::-1]


def _raise(times: dict[str, int], chains: Collection[list[Holding]]) -> bool:
    """Lets no file of a ring be older than the one before it. Returns whether any was."""
    raised = False
    for chain in chains:
        for before, each in itertools.pairwise(chain):
            if times[each.path] < times[before.path]:
                times[each.path] = times[before.path]
                raised = True
    return raised


def _parquet(archive: Path, manifest: Manifest) -> Iterator[Holding]:
    folder = day_folder(archive, manifest.table, manifest.date).relative_to(archive).as_posix()
    for entry in manifest.files:
        rings = {(held.ring, ring_id): held.last_seq for ring_id, held in entry.rings.items()}
        yield Holding(f"{folder}/{entry.path}", manifest.date, entry.written_ns, entry.bytes, rings)


def _segment(archive: Path, path: Path, name: str, key: RingKey) -> Holding:
    date = f"{name[:4]}-{name[4:6]}-{name[6:8]}"
    below = path.relative_to(archive).as_posix()
    rings = {key: first_sequence(name)}
    return Holding(below, date, opened_ns(name), disk_bytes(path), rings, is_segment=True)


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir())
    except FileNotFoundError:
        return []


def _ring_id(directory: Path, name: str) -> str:
    """Out of the sidecar's head; empty where there is none that can be read."""
    try:
        with (directory / (name + SIDECAR_SUFFIX)).open("rb") as file:
            header = sidecar.parse_header(file.read(sidecar.HEADER_BYTES))
    except (OSError, StorageError):
        return ""
    return header.hex() if header else ""
