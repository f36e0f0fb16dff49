import io
import json

import duckdb
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from nanotape.storage.answer import FORMATS, stamp_text, write
from nanotape.storage.errors import QueryError


def answered(sql: str, form: str, limit: int | None = None) -> bytes:
    output = io.BytesIO()
    write(duckdb.connect().sql(sql).to_arrow_reader(), form, output, limit)
    return output.getvalue()


STAMP = "'2026-11-20 14:30:00.000000001Z'::TIMESTAMPTZ_NS"


def test_stamps_keep_nine_digits_within_lists_structs_and_maps_too() -> None:
    sql = f"SELECT {STAMP} AS a, [{STAMP}] AS b, {{'c': {STAMP}, 'd': [NULL]}} AS e, MAP {{1: {STAMP}}} AS f"
    text = "2026-11-20T14:30:00.000000001Z"
    assert json.loads(answered(sql, "json")) == {
        "a": text, "b": [text], "e": {"c": text, "d": [None]}, "f": [{"key": 1, "value": text}],
    }  # fmt: skip
    for form in ("csv", "table"):
        assert answered(sql, form).decode().count(text) == 4


def test_stamps_before_1970_are_right() -> None:
    assert stamp_text(-1) == "1969-12-31T23:59:59.999999999Z"
    assert stamp_text(0) == "1970-01-01T00:00:00.000000000Z"


def test_sums_are_numbers_and_what_json_does_not_have_is_null() -> None:
    sql = "SELECT sum(range) AS a, 'nan'::DOUBLE AS b, '-inf'::DOUBLE AS c, 1.5::DECIMAL(4, 2) AS d FROM range(4)"
    assert json.loads(answered(sql, "json")) == {"a": 6, "b": None, "c": None, "d": "1.50"}
    assert answered(sql, "csv").splitlines()[1] == b'6,nan,-inf,"1.50"'


@pytest.mark.parametrize("form", FORMATS)
def test_columns_of_the_same_name_are_told_apart(form: str) -> None:
    found = answered("SELECT 1 AS a, 2 AS a, 3 AS a_1", form)
    if form == "json":
        assert json.loads(found) == {"a": 1, "a_1": 2, "a_1_1": 3}
    elif form in ("csv", "table"):
        assert found.decode().splitlines()[0].replace('"', "").replace(",", " ").split() == ["a", "a_1", "a_1_1"]
    else:
        table = ipc.open_stream(io.BytesIO(found)).read_all() if form == "arrow" else pq.read_table(io.BytesIO(found))
        assert table.column_names == ["a", "a_1", "a_1_1"]


def test_what_a_format_does_not_have_is_refused_in_a_line() -> None:
    with pytest.raises(QueryError, match=r"parquet: cannot hold such a column .*cast it in the query"):
        answered("SELECT INTERVAL 1 DAY AS a", "parquet")


def test_a_table_shows_its_first_rows_and_says_that_there_are_more() -> None:
    lines = answered("SELECT range AS number FROM range(5)", "table", 2).decode().splitlines()
    assert lines == ["number", "------", "     0", "     1", "... (the first 2 rows; --limit shows more)"]
    assert len(answered("SELECT range AS number FROM range(5)", "table", 5).decode().splitlines()) == 7


def test_an_answer_without_rows_has_its_columns() -> None:
    table = ipc.open_stream(io.BytesIO(answered("SELECT 1::BIGINT AS one LIMIT 0", "arrow"))).read_all()
    assert table.schema.field("one").type == pa.int64()
    assert table.num_rows == 0
