"""What a recorder knows of its feeds, beside the segments, for its successor: the newest and the one before.

A state says the ring sequence that it goes with. Where recovery has cut the archive back behind the newest, the one
before may still do; without any, sequences are followed from the next packet on.
"""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nanotape.storage.feed_findings import Found
from nanotape.storage.packets import RingFacts

STATE_NAME = "feeds.state"
_OLD_NAME = "feeds.state.old"
_VERSION = 2
Name = tuple[str, str, str]
"""Of a line: feed, channel and line."""


@dataclass(frozen=True, slots=True)
class FeedState:
    """One of them."""

    ring_id: str
    ring_seq: int
    """All packets up to it are followed."""
    pending: tuple[Found, ...]
    """Found, and not told yet."""
    names: Mapping[int, Name]
    """What the flow ids of `pending` stand for."""
    decoder: bytes
    blamed: Sequence[Sequence[Any]] = ()
    """Whose fault the gaps of each line were so far, see `GapBlames`."""

    def pending_of(self, ring: RingFacts) -> list[Found]:
        """What is not told yet, by the flow ids of a ring: the one that it was found in, or one made anew since."""
        if ring.ring_id == self.ring_id:
            return list(self.pending)
        ids = {name: flow_id for flow_id, name in names(ring).items()}
        moved = ((each, ids.get(self.names.get(each.flow_id, ("", "", "")))) for each in self.pending)
        return [replace(each, flow_id=flow_id) for each, flow_id in moved if flow_id is not None]


def names(ring: RingFacts) -> dict[int, Name]:
    """Of a ring's flows, by id."""
    return {flow.id: (flow.feed, flow.channel, flow.line) for flow in ring.flows()}


def save_state(directory: Path, state: FeedState) -> None:
    """Makes it the newest.

    Raises:
        OSError: It cannot be written; the one before still stands.
    """
    path = directory / STATE_NAME
    head = {
        "version": _VERSION,
        "ring_id": state.ring_id,
        "ring_seq": state.ring_seq,
        "pending": [asdict(each) for each in state.pending],
        "names": [[flow_id, *name] for flow_id, name in state.names.items()],
        "blamed": state.blamed,
        "crc32": zlib.crc32(state.decoder),
    }
    draft = directory / f"{STATE_NAME}.new"
    draft.write_bytes(json.dumps(head).encode() + b"\n" + state.decoder)
    with suppress(FileNotFoundError):
        os.replace(path, directory / _OLD_NAME)
    os.replace(draft, path)


def load_state(directory: Path, ring_id: str, recorded_seq: int) -> FeedState | None:
    """The newest that the archive has come up to; of another ring, the newest.

    Args:
        directory: ARCHIVE/segments/RING.
        ring_id: Of the ring that is recorded now.
        recorded_seq: Last ring sequence in the archive.
    """
    for name in (STATE_NAME, _OLD_NAME):
        with suppress(OSError, ValueError, TypeError, KeyError):
            state = _read(directory / name)
            if state.ring_id != ring_id or state.ring_seq <= recorded_seq:
                return state
    return None


def _read(path: Path) -> FeedState:
    line, _, rest = path.read_bytes().partition(b"\n")
    head = json.loads(line)
    if head["version"] != _VERSION:
        raise ValueError("it is of another version")
    if zlib.crc32(rest) != head["crc32"]:
        raise ValueError("it is damaged")
    pending = tuple(replace(Found(**each), stream=-1) for each in head["pending"])
    known = {flow_id: (feed, channel, line) for flow_id, feed, channel, line in head["names"]}
    return FeedState(head["ring_id"], head["ring_seq"], pending, known, rest, head.get("blamed", ()))
