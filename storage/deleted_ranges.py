"""Which ring sequences retention deleted, as the manifests tell: stretches, and how many rows were in each."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from nanotape.storage.archive import Archive
from nanotape.storage.manifest import RingRange, read_manifests


class DeletedRanges:
    """Of one ring. Stretches that overlap, as those of compacted feeds do, are one."""

    def __init__(self, held: Sequence[RingRange]) -> None:
        """Takes what each deleted file held of the ring, in any order."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._rows: list[int] = []
        for each in sorted(held, key=lambda held: held.first_seq):
            if self._lasts and each.first_seq <= self._lasts[-1]:
                self._lasts[-1] = max(self._lasts[-1], each.last_seq)
                self._rows[-1] += each.rows
            else:
                self._firsts.append(each.first_seq)
                self._lasts.append(each.last_seq)
                self._rows.append(each.rows)

    @property
    def rows(self) -> int:
        """Of all."""
        return sum(self._rows)

    def rows_within(self, first_seq: int, last_seq: int) -> int:
        """At most so many of these sequences were deleted: the rows of all stretches that reach into them."""
        rows = 0
        for at in range(bisect_left(self._lasts, first_seq), len(self._firsts)):
            if self._firsts[at] > last_seq:
                break
            rows += self._rows[at]
        return min(rows, last_seq - first_seq + 1)


def deleted_ranges(archive: Archive) -> Mapping[str, DeletedRanges]:
    """By ring_id.

    Raises:
        ArchiveError: A manifest cannot be read.
    """
    held: dict[str, list[RingRange]] = {}
    for manifest in read_manifests(archive.path, "packets"):
        for gone in manifest.gone:
            for ring_id, each in gone.rings.items():
                held.setdefault(ring_id, []).append(each)
    return {ring_id: DeletedRanges(each) for ring_id, each in held.items()}
