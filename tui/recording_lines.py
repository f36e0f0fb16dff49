"""What a recorder writes, in the lines of the screen and of `top --once`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from nanotape.tui.named_lines import Named, named_lines, wrapped
from nanotape.tui.reader_rows import RecordingRow
from nanotape.tui.style import ERROR, HEAD, OK, WARNING
from nanotape.tui.words import UNKNOWN, brief, count, printable, seconds, share, size

_FREE_WARNING, _FREE_ERROR = 0.10, 0.02
_FULL_SOON_S = 3600.0
_TOLD_LATE_S = 10.0
_NAMES_WIDTH = 15
_NOBODY = "Nobody records: what is captured is kept in the ring alone. nanotape run records, nanotape record too."


def recording_page(rows: Sequence[RecordingRow], width: int) -> list[Text]:
    """All recorders, one below the other, in lines of so many cells."""
    if not rows:
        return [Text(each) for each in wrapped(_NOBODY, width)]
    lines: list[Text] = []
    for row in rows:
        lines.append(Text(printable(f"Recorder {row.recorder} of ring {row.ring}"), HEAD))
        lines += named_lines(recording_lines(row), width, _NAMES_WIDTH)
    return lines


def recording_lines(row: RecordingRow) -> Iterator[Named]:
    """Of one recorder."""
    yield ("state", *_state(row))
    yield "segments", _segments(row), ""
    yield "last rotation", UNKNOWN if row.rotated_s is None else f"{seconds(row.rotated_s)} ago", ""
    written = "" if row.written_bytes is None else f", {size(row.written_bytes)} since it began"
    yield "writes", UNKNOWN if row.written_s is None else f"{size(row.written_s)}/s{written}", ""
    ratio = UNKNOWN if row.ratio is None else f"{row.ratio:.2f} : 1, from frames to what is on the disk"
    yield "compression", ratio, ""
    yield ("disk", *_disk(row))


def _state(row: RecordingRow) -> tuple[str, str]:
    failed = f"; {count(row.write_failures)} packets could NOT BE WRITTEN" if row.write_failures else ""
    recorded = f"{count(row.recorded)} packets recorded{failed}"
    if not row.is_alive:
        return f"DIED; it is started anew, or start it: nanotape run; {recorded}", ERROR
    if row.told_s is not None and row.told_s > _TOLD_LATE_S:
        return f"has told nothing for {seconds(row.told_s)}; {recorded}", WARNING
    return recorded, ERROR if row.write_failures_now else WARNING if row.write_failures else OK


def _segments(row: RecordingRow) -> str:
    if row.told_s is None:
        return f"{UNKNOWN} (it does not tell, as one of an older version)"
    ended = f"{count(row.ended)} ended since it began"
    if row.open_name is None:
        return f"{ended}; none is open"
    return (
        f"{ended}; open {row.open_name}, {size(row.open_bytes)}, {count(row.open_rows)} rows, {brief(row.open_s)} old"
    )


def _disk(row: RecordingRow) -> tuple[str, str]:
    space = row.space
    if space is None:
        return f"{UNKNOWN} (its file system cannot be asked)", WARNING
    said = f"{size(space.free_bytes)} of {size(space.total_bytes)} free ({share(space.free_share)}) at {space.path}"
    if space.kept_bytes:
        said += f"; never full: {size(space.kept_bytes)} are kept free by deleting the oldest"
        bad = space.free_bytes < space.kept_bytes // 2
        return said, (ERROR if space.free_share < _FREE_ERROR else WARNING) if bad else OK
    if row.full_in_s is not None:
        said += f"; full in {seconds(row.full_in_s)} at this rate"
    if space.free_share < _FREE_WARNING:
        return said, ERROR if space.free_share < _FREE_ERROR else WARNING
    return said, WARNING if row.full_in_s is not None and row.full_in_s < _FULL_SOON_S else OK
