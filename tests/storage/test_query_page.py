"""Every example in docs/query.md runs as it stands there."""

import importlib.util
import re
from pathlib import Path

import pytest
from recorder_bench import HandClock, later, recorded
from synthetic import SyntheticRing

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.named_queries import QUERIES
from nanotape.storage.views import FLAGS, MACROS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `archive` in it: Parquet files, a segment, and a loss."""
    found = tmp_path_factory.mktemp("page")
    archive = Archive.create(found / "archive")
    recorded(archive, SyntheticRing(oldest=11, newest=500))
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    recorded(archive, SyntheticRing(oldest=521, newest=900), clock=later())
    return found


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_examples_run(repository: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    examples = blocks(repository / "docs" / "query.md", "python")
    assert len(examples) > 5
    for example in examples:
        if "# needs pandas" not in example or importlib.util.find_spec("pandas"):
            exec(compile(example, "docs/query.md", "exec"), names)
    assert names["losses"].num_rows == 2  # type: ignore[attr-defined]
    assert sum(names["table"].column("packets").to_pylist()) == 490 + 380  # type: ignore[attr-defined]


def test_the_sql_examples_run(repository: Path, folder: Path) -> None:
    examples = blocks(repository / "docs" / "query.md", "sql")
    assert len(examples) > 4
    answers = [open_archive(folder / "archive").sql(example).to_arrow_table() for example in examples]
    assert sum(answers[0].column("packets").to_pylist()) == 490 + 380
    [around] = [answer for answer in answers if "lost_before" in answer.column_names]
    assert around.column("lost_before").to_pylist().count(10) == 1


def test_every_named_query_macro_and_flag_is_on_the_page(repository: Path) -> None:
    text = (repository / "docs" / "query.md").read_text(encoding="utf-8")
    macros = re.findall(r"MACRO (\w+)\(", MACROS)
    assert len(macros) > 6
    for word in (*QUERIES, *FLAGS.values()):
        assert f"`{word}`" in text, word
    for macro in macros:
        assert f"`{macro}(" in text, macro
