"""What a query found, as somebody wants it: a table to look at, CSV, JSON, Arrow or Parquet.

Stamps keep all nine digits in each of them.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from nanotape.storage.errors import QueryError

FORMATS = ("table", "csv", "json", "arrow", "parquet")
_HEX_SHOWN = 32


def write(answer: pa.RecordBatchReader, form: str, output: BinaryIO, limit: int | None = None) -> int:
    """Writes all rows.

    Args:
        answer: The rows; all but a table are written as they come.
        form: One of FORMATS. json: an object a line; numbers that JSON does not have are null.
        output: Takes bytes.
        limit: A table shows so many rows at most; None: all.

    Returns:
        How many rows there were, at least.

    Raises:
        QueryError: A column is of a type that the format does not have.
    """
    try:
        return _write(_with_distinct_names(answer), form, output, limit)
    except pa.ArrowNotImplementedError as error:
        raise QueryError(f"{form}: cannot hold such a column ({error}); cast it in the query, to VARCHAR say") from None


def _write(answer: pa.RecordBatchReader, form: str, output: BinaryIO, limit: int | None) -> int:
    if form == "table":
        return _write_table(answer, output, limit)
    rows = 0
    if form == "json":
        for batch in answer:
            output.write("".join(json.dumps(row, default=str) + "\n" for row in _rows(batch)).encode())
            rows += batch.num_rows
        return rows
    schema = (
        pa.schema([pa.field(each.name, _plain(each.type)) for each in answer.schema])
        if form == "csv"
        else answer.schema
    )
    with _writer(form, output, schema) as writer:
        for batch in answer:
            writer.write_batch(_as_text(batch, schema) if form == "csv" else batch)
            rows += batch.num_rows
    return rows


def _with_distinct_names(answer: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """A second column of a name becomes NAME_1, as DuckDB itself calls it in a table: a reader would lose it."""
    names: list[str] = []
    for name in answer.schema.names:
        number, found = 0, name
        while found in names:
            number += 1
            found = f"{name}_{number}"
        names.append(found)
    if names == answer.schema.names:
        return answer
    schema = pa.schema([field.with_name(name) for field, name in zip(answer.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(
        schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in answer)
    )


def _writer(form: str, output: BinaryIO, schema: pa.Schema) -> Any:
    if form == "csv":
        return pcsv.CSVWriter(output, schema)
    if form == "arrow":
        return ipc.new_stream(output, schema)
    return pq.ParquetWriter(output, schema, compression="zstd", write_page_checksum=True)


def _plain(kind: pa.DataType) -> pa.DataType:
    """What CSV can say."""
    return kind if _is_number(kind) or pa.types.is_boolean(kind) else pa.string()


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_whole_decimal(kind)


def _is_whole_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.scale == 0


def _as_text(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column if field.type == column.type else pa.array(list(map(_text, _values(column))), pa.string())
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _write_table(answer: pa.RecordBatchReader, output: BinaryIO, limit: int | None) -> int:
    lines: list[list[str]] = []
    more = False
    for batch in answer:
        for row in zip(*(map(_shown, _values(column)) for column in batch.columns), strict=True):
            if limit is not None and len(lines) == limit:
                more = True
                break
            lines.append(list(row))
        if more:
            break
    names = answer.schema.names
    widths = [max([len(name), *(len(line[at]) for line in lines)]) for at, name in enumerate(names)]
    right = [_is_number(each.type) for each in answer.schema]
    out = [_line(names, widths, right), _line(["-" * width for width in widths], widths, right)]
    out += [_line(line, widths, right) for line in lines]
    if more:
        out.append(f"... (the first {limit} rows; --limit shows more)")
    output.write(("\n".join(out) + "\n").encode())
    return len(lines)


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    parts = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(parts).rstrip()


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    columns = [list(_values(column)) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield {name: _for_json(value) for name, value in zip(batch.schema.names, values, strict=True)}


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _values(column: pa.Array) -> Iterator[Any]:
    """Python values; stamps as text with all nine digits."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        nanoseconds = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).to_pylist()
        return (None if each is None else stamp_text(each) for each in nanoseconds)
    if _is_whole_decimal(kind):  # what sums are
        return (None if each is None else int(each) for each in column.to_pylist())
    if pa.types.is_time(kind):
        return iter(column.cast(pa.string()).to_pylist())
    if pa.types.is_date(kind) or pa.types.is_duration(kind) or pa.types.is_decimal(kind):
        return (None if each is None else str(each) for each in column.to_pylist())
    if pa.types.is_nested(kind):
        return map(_inside, column)
    return iter(column.to_pylist())


def _inside(value: pa.Scalar) -> Any:
    """What a list, a struct or a map holds, by the same rules."""
    if not value.is_valid:
        return None
    if pa.types.is_struct(value.type):
        return {name: _inside(each) for name, each in value.items()}
    if pa.types.is_nested(value.type) and not pa.types.is_union(value.type):
        return list(map(_inside, value.values))
    [plain] = _values(pa.array([value], value.type))
    return _for_json(plain)


def stamp_text(ns: int) -> str:
    """2026-11-20T14:30:00.000000001Z, which sorts, and which every verb reads."""
    seconds, fraction = divmod(ns, 10**9)
    days, second = divmod(seconds, 86_400)
    day = pa.scalar(days, pa.int32()).cast(pa.date32())
    return f"{day}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{fraction:09d}Z"


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


def _shown(value: Any) -> str:
    text = _text(value)
    if text is None:
        return "null"
    if isinstance(value, bytes) and len(text) > _HEX_SHOWN:
        return f"{text[:_HEX_SHOWN]}... ({len(value)} bytes)"
    return f"{value:.6g}" if isinstance(value, float) else text.replace("\n", " ")
