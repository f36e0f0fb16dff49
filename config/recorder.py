"""The tables of what is written to disk: `[recorder]` and `[archive]`."""

from typing import Annotated, Literal

from nanotape.config.channel import Section
from nanotape.config.measures import DURATION, SIZE, FreeSpaceRule, Quantity
from nanotape.config.moments import TimesOfDay, TimeZone
from nanotape.config.quantity import FreeSpace
from nanotape.config.rules import Choice, Command, Text, Whole

MILLISECOND_NS = 10**6
SECOND_NS = 10**9
DAY_NS = 86400 * SECOND_NS
ARCHIVE_MINIMUM_BYTES = 1 << 20
ARCHIVE_MAXIMUM_BYTES = 1 << 60


class RecorderSettings(Section):
    """The reader that writes the ring to disk."""

    name: Annotated[str, Text(63, safe=True)] = "recorder"
    """Name under which the recorder publishes its position; 63 bytes at most."""
    compression: Annotated[Literal["zstd", "lz4", "none"], Choice()] = "zstd"
    """Compression of the segments."""
    compression_level: Annotated[int | None, Whole(1, 22)] = None
    """Level of zstd, refused with any other compression; not set: 1."""
    flush_interval: Annotated[int, Quantity(DURATION, 10 * MILLISECOND_NS, 3600 * SECOND_NS)] = SECOND_NS
    """Longest time that a packet waits before it is written to the segment; nanoseconds in the code."""
    rotate_bytes: Annotated[int, Quantity(SIZE, 64 << 10, 1 << 40)] = 1 << 30
    """Bytes of a segment at which the next one is begun."""
    rotate_interval: Annotated[int, Quantity(DURATION, 100 * MILLISECOND_NS, 7 * DAY_NS)] = 3600 * SECOND_NS
    """Time after which the next segment is begun; nanoseconds in the code."""
    rotate_at: Annotated[tuple[str, ...], TimesOfDay()] = ()
    """Times of day at which the next segment is begun as well, such as `["09:30", "16:00"]`, by the clocks of
    `rotate_zone`."""
    rotate_zone: Annotated[str, TimeZone()] = "UTC"
    """IANA name of the time zone of `rotate_at`, such as `America/New_York`."""
    post_rotate: Annotated[tuple[str, ...], Command()] = ()
    """Program and arguments that are run for each segment that is complete, with the segment's path as one more; as the
    recorder's user, one after the other, never waited for."""
    fsync: Annotated[Literal["never", "interval", "batch"], Choice()] = "interval"
    """What a power cut may lose: what the kernel still held; at most a `flush_interval` and what came while the disk
    was at the sync before; or at most a batch."""
    start: Annotated[Literal["oldest", "latest"], Choice()] = "oldest"
    """Where a recorder begins that has nothing to resume: with what the ring still holds, or with what comes next."""
    other: bool | None = None
    """Whether packets of no channel are recorded, among them later fragments that may be of several flows; not set:
    only where no channel is configured."""


class ArchiveSettings(Section):
    """What becomes of segments: how they are compacted, and what is deleted when."""

    keep_free: Annotated[FreeSpace, FreeSpaceRule()] = FreeSpace(share_ppm=100_000)
    """Space that is kept free on the archive's file system by deleting the packets recorded first: a share or a size;
    `0`: none."""
    max_bytes: Annotated[int | None, Quantity(SIZE, ARCHIVE_MINIMUM_BYTES, ARCHIVE_MAXIMUM_BYTES)] = None
    """Bytes that all of the archive may take; above it the packets recorded first are deleted; not set: no limit."""
    compression_level: Annotated[int, Whole(1, 22)] = 6
    """Level of zstd of the Parquet files that `compact` writes; from 9 on it takes several times as long."""
    grace: Annotated[int, Quantity(DURATION, 0, 7 * DAY_NS)] = 600 * SECOND_NS
    """Time that a file which others have replaced is kept, for who is reading it; cut short when less than half of
    `keep_free` is free; nanoseconds in the code."""
    post_compact: Annotated[tuple[str, ...], Command()] = ()
    """Program and arguments that are run for each Parquet file that is complete, with its path as one more."""
