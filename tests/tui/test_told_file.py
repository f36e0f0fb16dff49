"""What others tell is read when it has changed, and a line's rate is asked for seldom."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanotape.tui.line_rate import LineRates
from nanotape.tui.told_file import ToldFile


def test_a_file_is_read_only_when_it_has_changed(tmp_path: Path) -> None:
    path, read = tmp_path / "told", []

    def reading() -> str | None:
        read.append(1)
        return path.read_text(encoding="utf-8") if path.exists() else None

    file = ToldFile(path, reading)
    assert [file.told(), file.told()] == [None, None]
    assert len(read) == 1
    for content in ("one", "two and more"):
        draft = tmp_path / "draft"
        draft.write_text(content, encoding="utf-8")
        draft.replace(path)
        assert [file.told(), file.told()] == [content, content]
    assert len(read) == 3
    path.unlink()
    assert file.told() is None


def test_what_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    answers = iter([OSError("not now"), "now"])

    def reading() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    file = ToldFile(tmp_path / "told", reading)
    with pytest.raises(OSError, match="not now"):
        file.told()
    assert file.told() == "now"


def test_a_line_rate_is_the_kernels_in_bits_and_is_asked_again_after_a_while(tmp_path: Path) -> None:
    now = [0]
    for name, speed in (("eth1", "25000"), ("eth2", "-1"), ("eth3", "what")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "speed").write_text(f"{speed}\n", encoding="ascii")
    rates = LineRates(lambda: now[0], tmp_path)
    assert rates.of("eth1") == 25 * 10**9
    assert [rates.of(name) for name in ("eth2", "eth3", "eth4", "", "..", "a/b")] == [None] * 6
    (tmp_path / "eth1" / "speed").write_text("100000\n", encoding="ascii")
    assert rates.of("eth1") == 25 * 10**9
    now[0] = 11 * 10**9
    assert rates.of("eth1") == 100 * 10**9
