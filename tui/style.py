"""Colours by meaning, out of the 16 that every terminal has, so that they are right over SSH and in true colour.

Colour is never the only sign: each severity has a word, which is always written beside it.
"""

from collections.abc import Iterable, Mapping

from rich.text import Text

from nanotape.capture.finding import Finding, Severity

OK, WARNING, ERROR = "green", "yellow", "bold red"
QUIET = "dim"
"""What is there to look up and not to be looked at."""
HEAD = "bold"
ACCENT = "cyan"

STYLES = {Severity.OK: OK, Severity.WARNING: WARNING, Severity.ERROR: ERROR}
BANNERS = {Severity.OK: "black on green", Severity.WARNING: "black on yellow", Severity.ERROR: "bold white on red"}
WORDS = {Severity.OK: "OK", Severity.WARNING: "WARN", Severity.ERROR: "ERROR"}
WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.OK)
RICH_THEME, PLAIN_THEME = "textual-dark", "ansi-dark"


def worst(findings: Iterable[Finding]) -> Severity:
    """The worst severity among them."""
    return min((finding.severity for finding in findings), key=WORST_FIRST.index, default=Severity.OK)


def banner(severity: Severity) -> Text:
    """The severity's word on its colour."""
    return Text(f" {WORDS[severity]} ", BANNERS[severity])


def finding_text(finding: Finding) -> Text:
    """A finding in one line, without what to do."""
    where = f"{finding.ring}: " if finding.ring else ""
    return Text.assemble((f"{WORDS[finding.severity]:<6}", STYLES[finding.severity]), where, finding.what)


def of_share(part: float | None, warning: float, error: float) -> str:
    """The style of a share that is bad when it is high."""
    if part is None:
        return QUIET
    return ERROR if part >= error else WARNING if part >= warning else OK


def of_loss(lost: int | None, lost_now: int | None = None) -> str:
    """The style of a count that ought to be 0: red while it grows, yellow where it has."""
    if lost_now:
        return ERROR
    return WARNING if lost else OK


def theme_of(environ: Mapping[str, str]) -> str:
    """The theme that a terminal can show: the 16 colours of the terminal's own, unless it says that it has them all."""
    return RICH_THEME if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") else PLAIN_THEME
