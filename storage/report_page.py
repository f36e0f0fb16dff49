"""A day's report as one HTML file that needs nothing else: its pictures are SVG inside it."""

from collections.abc import Iterator
from html import escape

from nanotape.storage.answer import stamp_text
from nanotape.storage.audit_text import audit_lines
from nanotape.storage.event_follow import event_line
from nanotape.storage.report import DayReport, LineDay
from nanotape.storage.report_text import clock_text

_COLOURS = {
    "clean": "#2e7d32", "quiet": "#90a4ae", "clock_degraded": "#f9a825", "gap_upstream": "#ef6c00",
    "gap_unknown": "#d84315", "gap_ours": "#c62828", "deleted": "#6a1b9a", "not_captured": "#eceff1",
}  # fmt: skip
_WIDTH, _LEFT, _ROW = 960, 150, 18
_STYLE = (
    "body{font:14px/1.4 sans-serif;margin:2em;color:#222;max-width:1130px}"
    "pre{background:#f6f8fa;padding:1em;overflow:auto}h2{margin-top:1.6em}svg text{font:11px sans-serif}"
    ".key span{display:inline-block;width:1em;height:1em;margin:0 .3em 0 1em}"
)


def report_page(report: DayReport) -> str:
    """The whole file."""
    title = f"nanotape report of {escape(report.date)} ({escape(report.tz)})"
    verdict = list(audit_lines(report.sheet))[-1]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p><strong>{escape(verdict)}</strong></p>",
        "<h2>Completeness</h2>",
        _key(report),
        _stripes(report),
        "<h2>Packets a second</h2>",
        *(_curve(line, report) for line in report.lines if line.packets),
        "<h2>Peaks</h2>",
        _peaks(report.lines),
        f"<h2>Clock</h2><p>{escape(clock_text(report))}</p>",
        f"<h2>Books</h2><pre>{escape(chr(10).join(audit_lines(report.sheet)))}</pre>",
        f"<h2>Events</h2><pre>{escape(chr(10).join(map(event_line, report.events)) or 'none worth a word')}</pre>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _key(report: DayReport) -> str:
    items = "".join(
        f'<span style="background:{_COLOURS[state]}"></span>{state.replace("_", " ")} {share:.1%}'
        for state, share in report.shares.items()
    )
    return f'<p class="key">{items or "nothing was configured or came"}</p>'


def _stripes(report: DayReport) -> str:
    """A row a line, a cell an interval."""
    rows = []
    for number, line in enumerate(report.lines):
        y = number * _ROW
        rows.append(f'<text x="0" y="{y + 12}">{escape(_name(line))}</text>')
        width = _WIDTH / max(1, len(line.states))
        for begin, count, state in _runs(line.states):
            x = _LEFT + begin * width
            rows.append(
                f'<rect x="{x:.2f}" y="{y}" width="{count * width:.2f}" height="{_ROW - 4}" fill="{_COLOURS[state]}">'
                f"<title>{escape(_name(line))}: {state.replace('_', ' ')}</title></rect>"
            )
    height = len(report.lines) * _ROW
    return _svg(height + 20, "\n".join([*rows, *_hours(report, height)]))


def _runs(states: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    begin = 0
    for at in range(1, len(states) + 1):
        if at == len(states) or states[at] != states[begin]:
            yield begin, at - begin, states[begin]
            begin = at


def _curve(line: LineDay, report: DayReport) -> str:
    height, top = 60, max(line.rates, default=0.0)
    step = _WIDTH / max(1, len(line.rates))
    points = " ".join(
        f"{_LEFT + (at + 0.5) * step:.1f},{height - (rate / top if top else 0) * (height - 4):.1f}"
        for at, rate in enumerate(line.rates)
    )
    drawn = f'<polyline points="{points}" fill="none" stroke="#1565c0" stroke-width="1.2"/>'
    names = f'<text x="0" y="14">{escape(_name(line))}</text><text x="0" y="30">max {top:,.0f}/s</text>'
    base = f'<line x1="{_LEFT}" y1="{height}" x2="{_LEFT + _WIDTH}" y2="{height}" stroke="#bbb"/>'
    return _svg(height + 20, names + base + drawn + "".join(_hours(report, height)))


def _hours(report: DayReport, y: int) -> Iterator[str]:
    """The times of a day below a picture; a day of a zone may have 23 or 25 hours."""
    hours = (report.end_ns - report.begin_ns) / 3.6e12
    for hour in range(0, int(hours) + 1, 4):
        x = _LEFT + hour / hours * _WIDTH
        yield f'<text x="{x:.1f}" y="{y + 14}" text-anchor="middle" fill="#666">{hour} h</text>'


def _peaks(lines: tuple[LineDay, ...]) -> str:
    head = "<tr><th>channel</th><th>line</th><th>packets</th><th>in 1 ms</th><th>when</th><th>in 1 s</th></tr>"
    rows = "".join(
        f"<tr><td>{escape(each.channel)}</td><td>{escape(each.line or '-')}</td><td>{each.packets:,}</td>"
        f"<td>{each.peak_1ms_packets:,}</td><td>{stamp_text(each.peak_1ms_ns)[:19]}Z</td><td>{each.peak_1s_packets:,}</td></tr>"
        for each in lines
        if each.packets
    )
    return f'<table border="0" cellpadding="4">{head}{rows}</table>'


def _name(line: LineDay) -> str:
    return f"{line.channel} {line.line or ''}".strip()


def _svg(height: int, content: str) -> str:
    return f'<svg width="{_LEFT + _WIDTH + 20}" height="{height}" xmlns="http://www.w3.org/2000/svg">{content}</svg>'
