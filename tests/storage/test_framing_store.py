"""An archive keeps the framings that only its configuration knew."""

from pathlib import Path

from nanotape.config.framing import BUILT_IN, Framing
from nanotape.storage.framing_store import FRAMINGS_NAME, keep_framings, known_framings

OWN = Framing.model_validate(
    {
        "endian": "big",
        "header": 12,
        "sequence": {"offset": 0, "width": 8},
        "count": {"offset": 8, "width": 2},
        "status": {"offset": 10, "values": {"7": "heartbeat"}},
        "expect": [{"offset": 11, "width": 1, "values": [1, 2]}],
    }
)


def test_built_in_framings_are_not_written_down(tmp_path: Path) -> None:
    keep_framings(tmp_path, BUILT_IN)
    assert list(tmp_path.iterdir()) == []
    assert known_framings(tmp_path) == BUILT_IN


def test_own_framings_are_read_back_as_they_were_and_added_to(tmp_path: Path) -> None:
    keep_framings(tmp_path, {**BUILT_IN, "house": OWN})
    keep_framings(tmp_path, {"other": BUILT_IN["eurex-eobi"]})
    changed = OWN.model_copy(update={"heartbeat_next": True})
    keep_framings(tmp_path, {"house": changed})
    assert known_framings(tmp_path) == {**BUILT_IN, "house": changed, "other": BUILT_IN["eurex-eobi"]}
    assert [path.name for path in tmp_path.iterdir()] == [FRAMINGS_NAME]


def test_a_file_that_is_none_is_no_more_than_no_file(tmp_path: Path) -> None:
    (tmp_path / FRAMINGS_NAME).write_text("{", encoding="utf-8")
    assert known_framings(tmp_path) == BUILT_IN
    keep_framings(tmp_path, {"house": OWN})
    assert known_framings(tmp_path)["house"] == OWN
