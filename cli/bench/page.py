"""docs/performance.md and its plots: a pure function of a report, so that it can be made again without measuring."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.figures import Figure, figures
from nanotape.cli.bench.report import Report, steal_line, summary_table, target_rows
from nanotape.cli.bench.targets import promise

_HOW = """## To repeat it

```
make bench                                    all of it, and this page; it takes about {minutes} minutes
make bench BENCH="--quick"                    under two minutes, for correctness: its figures say little
nanotape bench ring                           one part; nanotape bench --help lists them
nanotape bench path --source memory           where the bottleneck of your box is, without a wire
nanotape bench --json > bench.json            every single repetition
nanotape bench --from bench.json --page FILE  the page of it, without measuring again
```

Every part runs its contenders in turn, again and again, and reports the median with the least and the most. Ratios are
of one run. On a shared machine look at the steal time first: what the hypervisor took, no program can give back.
"""
_MINUTES = 30
_OURS = re.compile(r"ring|wire-loss|wire-cpu|latency-\d+|record|path|tuning")
"""Names of plots: other pictures in their folder are not ours to remove."""


def write(report: Report, path: Path) -> None:
    """Writes the page, and its plots into a folder of its name beside it.

    Raises:
        BenchError: It cannot be written.
    """
    folder = path.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = [figure for part in report["parts"] for figure in figures(part)]
        for old in {path for path in folder.glob("*.svg") if _OURS.fullmatch(path.stem)}:
            old.unlink()  # an earlier run may have had more
        for figure in drawn:
            (folder / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
        path.write_text(page(report, folder.name), encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{error.filename}: cannot be written: {error.strerror}; choose another with --page") from None


def page(report: Report, folder: str) -> str:
    """The page as Markdown.

    Args:
        report: As `nanotape bench --json` prints it.
        folder: Where the plots are, seen from the page.
    """
    blocks = [_head(report), _targets(report), _machine(report)]
    blocks += [_part(part, folder) for part in report["parts"]]
    blocks += [f"## {name}\n\nNot measured: {why}." for name, why in report.get("absent", {}).items()]
    return "\n\n".join([*blocks, _HOW.format(minutes=_MINUTES)])


def _head(report: Report) -> str:
    quick = "**This was a quick run, for correctness: its figures say little about speed.** " if report["quick"] else ""
    return (
        "# Performance\n\n"
        f"{quick}Written by `nanotape bench` (nanotape {report['nanotape']}) on {report['when'][:10]}, not by hand. "
        "All figures are of the machine below, medians of interleaved repetitions, the least and the most in brackets."
    )


def _targets(report: Report) -> str:
    rows = [
        [name, _meaning(name), value, target, {"yes": "yes", "NO": "**no**"}.get(met, met)]
        for name, value, target, met, _ in target_rows(report)
    ]
    whys = [f"- `{name}`: {why}." for name, _, _, _, why in target_rows(report) if why]
    table = _table(["target", "what", "measured", "wanted", "met"], rows)
    return "\n\n".join(["## Targets", table, *(["\n".join(whys)] if whys else [])])


def _meaning(name: str) -> str:
    return promise(name).meaning


def _machine(report: Report) -> str:
    return "## The machine\n\n" + _table(["", ""], [[name, value] for name, value in report["machine"].items()])


def _part(part: dict[str, Any], folder: str) -> str:
    headings, rows = summary_table(part["summary"])
    blocks = [f"## {part['name']}: {part['title']}"]
    blocks += [_image(figure, folder) for figure in figures(part)]
    blocks += [_table(headings, rows)] if rows else []
    blocks.append("\n".join(f"- {note}" for note in [*part["notes"], steal_line(part)]))
    return "\n\n".join(blocks)


def _image(figure: Figure, folder: str) -> str:
    return f"![{figure.alt}]({folder}/{figure.name}.svg)"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
