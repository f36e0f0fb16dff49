"""The formats of /proc and /sys: lists and masks of CPUs, and that what is absent is never a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.host.root import HostRoot, Unreadable, cpu_list, cpu_mask, cpu_text


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8", {0, 1, 2, 3, 8}),
        ("", set()),
        (" (null)\n", set()),
        ("managed_irq,domain,2-3", {2, 3}),
        ("0-7:2/4", {0, 1, 4, 5}),
    ],
)
def test_a_list_of_cpus_is_read(text: str, cpus: set[int]) -> None:
    assert cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["3-", "1,,x2-", "0x3"])
def test_what_is_no_list_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="expected a list of CPUs"):
        cpu_list(text)


@given(st.frozensets(st.integers(0, 200)))
def test_what_is_written_is_read_back(cpus: frozenset[int]) -> None:
    assert cpu_list("" if cpu_text(cpus) == "none" else cpu_text(cpus)) == cpus


@given(st.frozensets(st.integers(0, 200), min_size=1))
def test_a_mask_is_read_back(tmp_path_factory: pytest.TempPathFactory, cpus: frozenset[int]) -> None:
    folder = tmp_path_factory.mktemp("mask")
    (folder / "mask").write_text(cpu_mask(cpus), encoding="ascii")
    assert HostRoot(folder).mask("mask") == cpus


def test_a_mask_has_words_of_32_bits() -> None:
    assert cpu_mask([0, 33]) == "2,00000001"
    assert cpu_mask([3]) == "8"


def test_what_is_absent_or_odd_is_unreadable_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("many", encoding="ascii")
    root = HostRoot(tmp_path)
    with pytest.raises(Unreadable, match="/proc/x: No such file"):
        root.text("proc/x")
    with pytest.raises(Unreadable, match="/odd: expected a number, found 'many'"):
        root.number("odd")
