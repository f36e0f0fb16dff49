"""The demo's last words: the account as text, and lines to paste."""

from nanotape.cli.demo.verdict import LineVerdict, Verdict


def report_text(verdict: Verdict) -> str:
    """The account as a page of text."""
    rows = [
        "",
        f"source    {verdict.source}, ring on {verdict.memory}",
        f"sent      {verdict.sent:>12,} packets, by the exchange's own log",
        f"in ring   {verdict.captured:>12,}",
        f"recorded  {verdict.recorded:>12,}",
        *(f"lost      {count:>12,} {stage}" for stage, count in verdict.lost.items() if count),
        *(_line(line) for line in verdict.lines),
        *(
            f"killed    {name} with SIGKILL {count} time{'s' if count > 1 else ''}; it went on where it was"
            for name, count in _kills(verdict)
        ),
        f"delay     {_delays(verdict)} from stamp to ring",
        f"on disk   {verdict.archive_bytes / 1e6:,.1f} MB for {verdict.payload_bytes / 1e6:,.1f} MB of payload",
        "BALANCED" if verdict.balanced else f"NOT BALANCED: {verdict.unexplained:,} packets unexplained",
        "",
        f"The archive is {verdict.archive}. Ask it:",
        "",
        "  from nanotape.storage.archive import Archive",
        f'  print(Archive("{verdict.archive}").sql("""{verdict.query}"""))',
        *("     " + "  ".join(str(value) for value in row) for row in verdict.answer),
        "",
        f'  import polars; polars.scan_ipc("{verdict.archive}/segments/demo/*.arrow").group_by("line").len().collect()',
    ]
    return "\n".join(rows)


def _kills(verdict: Verdict) -> list[tuple[str, int]]:
    return [(name, count) for name, count in verdict.kills.items() if count]


def _line(line: LineVerdict) -> str:
    bytes_said = "byte for byte as sent" if line.same_bytes else "NOT the bytes that were sent"
    return (
        f"line {line.name}    {line.recorded:>12,} of {line.sent:,}, {bytes_said}; "
        f"gaps upstream: {line.gaps_found} found of "
        f"{line.gaps_made} made, {line.messages_missing:,} messages"
    )


def _delays(verdict: Verdict) -> str:
    def text(value: int | None) -> str:
        return "unknown" if value is None else f"{value / 1000:,.1f} us"

    return ", ".join(f"{name} {text(value)}" for name, value in verdict.rx_delay_ns.items())
