"""Says of a query which channels the view `messages` has nothing of."""

import re
from collections.abc import Callable, Mapping

_READS_MESSAGES = re.compile(r'\b(FROM|JOIN)\s+"?messages\b', re.IGNORECASE)


def unsplit_note(query: str, unsplit: Callable[[], Mapping[str, str]]) -> str | None:
    """A line for whoever asked; None: the query has all, or does not read messages.

    Args:
        query: SQL.
        unsplit: `ArchiveReader.unsplit`; not called without need.
    """
    if not _READS_MESSAGES.search(query) or not (left := unsplit()):
        return None
    named = ", ".join(f"{channel} ({framing})" for channel, framing in left.items())
    return f"messages: none of {named}: the framing does not say where a message ends; their packets are in `packets`"
