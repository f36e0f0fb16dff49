"""How a recorder is set, and what it counts."""

from dataclasses import dataclass, field

from nanotape.storage.encoder import Compression
from nanotape.storage.ring_source import Start
from nanotape.storage.segment import Fsync


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """How a recorder batches, rotates and syncs."""

    batch_rows: int = 65_536
    """Rows of a full batch: fewer compress worse, more cost memory."""
    batch_bytes: int = 32 << 20
    """Bytes of frames of a full batch."""
    flush_interval_s: float = 1.0
    """What was read is in the segment no later than this, however few rows; what the disk has: see `fsync`."""
    rotate_bytes: int = 1 << 30
    """Size at which a segment is ended."""
    rotate_interval_s: float = 3600.0
    """Age at which a segment is ended."""
    rotate_at: tuple[str, ...] = ()
    """Times of day, HH:MM or HH:MM:SS, at which a segment is ended."""
    rotate_zone: str = "UTC"
    """IANA name of the zone that `rotate_at` is meant in."""
    fsync: Fsync = Fsync.INTERVAL
    """What a power cut may lose: see Fsync."""
    compression: Compression = field(default_factory=Compression)
    """Of the segments' buffers."""
    start: Start = "oldest"
    """Where to begin with a ring that the archive does not know."""
    keep_other: bool = True
    """Whether packets of no configured channel are recorded too."""
    idle_sleep_s: float = 0.005
    """Pause when the ring had little to give."""
    drain_s: float = 2.0
    """How long a stop goes on reading while the ring's writer goes on writing; the rest is for the next start. When the
    writer is gone all of the ring is read, however long it takes."""


@dataclass(frozen=True, slots=True)
class RecorderTotals:
    """What one recorder did since it began."""

    recorded: int
    """Rows in segments."""
    lost: int
    """Records that the ring overwrote before they were read."""
    write_failures: int
    """Rows that were read and could not be written."""
    written_bytes: int
    """Bytes of messages, without footers."""
    first_seq: int | None
    """Ring sequence of the first row in a segment; None without one."""
    last_seq: int | None
    """Ring sequence of the last row in a segment; None without one."""
    begin_seq: int | None = None
    """Ring sequence that it began at: what came before was an earlier recorder's, or unwanted. None: not known yet."""
    backlog: int | None = None
    """Records published and not read when it finished: left in the ring for the next recorder. None: not finished.

    Then `newest ring sequence + 1 - begin_seq = recorded + left_out + lost + write_failures + backlog`."""
    left_out: int = 0
    """Rows that were read and not recorded, since they are of no channel."""
