"""Files merge as promised, every value remembers its line, and what cannot be read is one clear line."""

import os
from pathlib import Path

import pytest

from nanotape.config import ConfigError, load, loads
from nanotape.config.document import parse, read


def write(folder: Path, main: str, **drop_ins: str) -> Path:
    (folder / "conf.d").mkdir(exist_ok=True)
    for name, text in drop_ins.items():
        (folder / "conf.d" / f"{name}.toml").write_text(text, encoding="utf-8")
    file = folder / "nanotape.toml"
    file.write_text(main, encoding="utf-8")
    return file


def lines_of(file: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(file)
    return error.value.lines


def test_tables_merge_arrays_of_tables_append_and_the_later_value_wins(tmp_path: Path) -> None:
    main = 'a = 1\nlist = [1, 2]\n[t]\nx = 1\ny = 1\n[[c]]\nn = "one"\n'
    file = write(tmp_path, main, b='list = [3]\n[t]\ny = 2\n[[c]]\nn = "two"\n[[c.d]]\nk = 0\n', c="[t]\ny = 3\n")
    document = read(file)
    assert document.tree == {
        "a": 1,
        "list": [3],
        "t": {"x": 1, "y": 3},
        "c": [{"n": "one"}, {"n": "two", "d": [{"k": 0}]}],
    }
    b, c = tmp_path / "conf.d" / "b.toml", tmp_path / "conf.d" / "c.toml"
    assert document.origins.files == (file, b, c)
    assert {path: str(place) for path, place in document.origins.places.items()} == {
        ("a",): f"{file}:1",
        ("list",): f"{b}:1",
        ("list", 0): f"{b}:1",
        ("t",): f"{file}:3",
        ("t", "x"): f"{file}:4",
        ("t", "y"): f"{c}:2",
        ("c",): f"{file}:6",
        ("c", 0): f"{file}:6",
        ("c", 0, "n"): f"{file}:7",
        ("c", 1): f"{b}:4",
        ("c", 1, "n"): f"{b}:5",
        ("c", 1, "d"): f"{b}:6",
        ("c", 1, "d", 0): f"{b}:6",
        ("c", 1, "d", 0, "k"): f"{b}:7",
    }


def test_drop_ins_are_read_in_the_order_of_their_names_and_only_those(tmp_path: Path) -> None:
    file = write(tmp_path, "", **{"20": 'host = "b"\n', "10": 'host = "a"\n', ".hidden": "]", "x.toml.bak": ""})
    (tmp_path / "conf.d" / "README").write_text("not TOML", encoding="utf-8")
    assert load(file).host == "b"


def test_a_file_without_conf_d_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_bytes(b'[ring]\r\nname = "x"\r\n')
    settings = load(file)
    assert settings.files == (file,)
    assert str(settings.origins.of(("ring", "name"))) == f"{file}:2"
    assert settings.origins.of(("ring", "capacity")) is None


def test_settings_from_different_files_are_equal_when_their_values_are() -> None:
    assert loads('host = "a"', "one") == loads('# same\nhost = "a"', "two")
    assert loads('host = "a"') != loads('host = "b"')


def test_a_refusal_names_the_drop_in_that_said_it(tmp_path: Path) -> None:
    file = write(tmp_path, '[[channel]]\nname = "a"\nfeed = "f"\nline = []\n', b="\n[[channel]]\nnom = 1\n")
    drop_in = tmp_path / "conf.d" / "b.toml"
    assert [line.split(": expected")[0] for line in lines_of(file)] == [
        f"{file}:4: channel[0].line",
        f"{drop_in}:2: channel[1].name",
        f"{drop_in}:2: channel[1].feed",
        f"{drop_in}:2: channel[1].line",
        f"{drop_in}:3: channel[1].nom",
    ]


def test_a_missing_file_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path / "none.toml")
    assert line.startswith(f"{tmp_path}/none.toml: expected a configuration file, found none; ")
    assert "-c FILE" in line


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path)
    assert line.startswith(f"{tmp_path}: expected a file, found a directory; ")


def test_a_path_that_cannot_be_one_is_refused_too() -> None:
    (line,) = lines_of(Path("/a\0b"))
    assert "expected a readable file" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes nobody for a moment")
@pytest.mark.parametrize("closed", ["nanotape.toml", "conf.d", "conf.d/b.toml"])
def test_what_may_not_be_read_is_said_not_passed_over(tmp_path: Path, closed: str) -> None:
    file = write(tmp_path, "", b="")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(0o755)
    (tmp_path / closed).chmod(0)
    os.seteuid(65534)
    try:
        (line,) = lines_of(file)
    finally:
        os.seteuid(0)
    assert line.startswith(f"{tmp_path / closed}: expected to read ")
    (tmp_path / closed).chmod(0o700)
    assert load(file).files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb = \n", "x.toml:2: expected TOML, found an error at column 5: Invalid value; "),
        ("a = 1\n\na = 2\n", "x.toml:3: expected TOML, found an error at column 6: Cannot overwrite a value; "),
        ('a = 1\nb = "', "x.toml:2: expected TOML, found an error at the end: Unterminated string; "),
        ("a = " + "9" * 5000, "x.toml:1: expected TOML, found an error: "),
        ("a = " + "[" * 20000, "x.toml: expected TOML, found tables or arrays nested too deeply; "),
    ],
)
def test_what_is_not_toml_is_one_line_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "x.toml")
    assert str(error.value).startswith(expected)
    assert len(error.value.lines) == 1


def test_what_is_not_utf_8_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b'a = 1\nb = "\xff"\n')
    assert lines_of(file) == (f"{file}:2: expected UTF-8, found byte 0xff; save the file as UTF-8",)


def test_every_bad_file_is_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "a = ", b="b = ", c="")
    assert [line.split(":")[0] for line in lines_of(file)] == [str(file), str(tmp_path / "conf.d" / "b.toml")]
