"""By what the packets of a ring's sources are stamped, as each segment's metadata say it: `nanotape_stamps`."""

import json
from collections.abc import Callable, Sequence
from typing import Any

STAMPS_KEY = b"nanotape_stamps"
"""Of the schema's metadata: a JSON list, one object a source, in the order of their slots."""

TellStamps = Callable[[], str]
"""Gives what there is to say when a segment begins."""


def stamps_text(sources: Sequence[Any]) -> str:
    """What the ring's sources say now.

    Args:
        sources: `nanotape.capture.counters.SourceCounters`; what others do not say is null.

    Returns:
        JSON: `source` and `interface`; `kind` as in `ts_kind`, null where it is not known; `domain`, the clock of these
        stamps (`utc`, `tai`, `monotonic`, `free`, `unknown`); `offset_ns`, that clock minus UTC as it is taken off,
        null where no UTC can be made of it.
    """
    return json.dumps(
        [
            {
                "source": getattr(each, "name", None),
                "interface": each.interface or None,
                "kind": getattr(each, "stamp_kind", None),
                "domain": getattr(each, "stamp_domain", "unknown"),
                "offset_ns": getattr(each, "stamp_offset_ns", None),
            }
            for each in sources
        ]
    )
