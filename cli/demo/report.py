"""The demo's last words: the account as text, and lines to paste."""

import sys

from nanotape.cli.demo.verdict import LineVerdict, Verdict

_WIDTH = 10


def report_text(verdict: Verdict) -> str:
    """The account as a page of text, of at most 80 columns where paths are short."""
    rows = [
        ("source", f"{verdict.source}: {verdict.title}"),
        ("ring", f"on {verdict.memory}"),
        ("sent", f"{verdict.sent:>11,} packets, by the exchange's own log"),
        ("in ring", f"{verdict.captured:>11,}"),
        ("recorded", f"{verdict.recorded:>11,}"),
        *_losses(verdict),
        *(row for line in verdict.lines for row in _line(line)),
        *(("kill -9", _kill(verdict, name)) for name in verdict.kills),
        ("delay", f"{_delays(verdict)} (stamp to poll)"),
        ("on disk", f"{verdict.archive_bytes / 1e6:,.1f} MB, for {verdict.payload_bytes / 1e6:,.1f} MB of payload"),
    ]
    text = [f"{name:<{_WIDTH}}{value}".rstrip() for name, value in rows]
    return "\n".join(["", *text, "", _judgement(verdict), "", *_to_paste(verdict)])


def _losses(verdict: Verdict) -> list[tuple[str, str]]:
    lost = [("lost", f"{count:>11,} {stage.replace('_', ' ')}") for stage, count in verdict.lost.items() if count]
    return lost or [("lost", f"{0:>11}")]


def _line(line: LineVerdict) -> list[tuple[str, str]]:
    said = "byte for byte as sent" if line.same_bytes else "NOT the bytes that were sent"
    gaps = f"{line.gaps_found} found of {line.gaps_made} that the exchange made, {line.messages_missing:,} messages"
    return [(f"line {line.name}", f"{line.recorded:>11,} of {line.sent:,}, {said}"), ("", f"gaps upstream: {gaps}")]


def _kill(verdict: Verdict, name: str) -> str:
    restarts = verdict.restarts.get(name, 0)
    again = f"restarted {_times(restarts)}" if restarts else "NOT restarted"
    if restarts == verdict.kills[name] and verdict.balanced:
        again += ", it went on where it was"
    return f"{name}, {_times(verdict.kills[name])}; {again}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _delays(verdict: Verdict) -> str:
    def text(value: int | None) -> str:
        return "unknown" if value is None else f"{value / 1000:,.1f} us"

    return ", ".join(f"{name} {text(value)}" for name, value in verdict.rx_delay_ns.items())


def _judgement(verdict: Verdict) -> str:
    if verdict.balanced:
        return "BALANCED: every packet is accounted for"
    if verdict.unexplained:
        return f"NOT BALANCED: {verdict.unexplained:,} packets unexplained"
    return "NOT BALANCED: the recorded bytes are not those that were sent"


def _to_paste(verdict: Verdict) -> list[str]:
    """Python without indentation, and its answer as a comment: all of it can be pasted as it stands."""
    select, rest = verdict.query.split(" FROM ")
    return [
        f"The archive is in {verdict.archive}. To paste into {sys.executable}:",
        "",
        "from nanotape.storage import open_archive",
        f'print(open_archive("{verdict.archive}").sql("""',
        select,
        f'FROM {rest}"""))',
        *("# " + "  ".join(str(value) for value in row) for row in verdict.answer),
        "",
        "import polars  # pip install polars",
        f'print(polars.scan_ipc("{verdict.archive}/segments/demo/*.arrow")',
        '.group_by("line").len().collect())',
    ]
