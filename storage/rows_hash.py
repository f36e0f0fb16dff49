"""A hash of rows, the same however they are ordered or split: tells whether two sets of files hold the same.

It covers every column. It is the sum of DuckDB's hash of each row, so that it may differ between versions of DuckDB:
the text says which made it, and only texts of one version are compared.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa

_MODULUS = 1 << 128


class RowsHash:
    """Grows by batches."""

    def __init__(self, schema: pa.Schema) -> None:
        """Of no rows.

        Args:
            schema: Of the batches.
        """
        self.rows = 0
        self._sum = 0
        self._connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": "false"})
        columns = ", ".join(f'"{name}"' for name in schema.names)
        self._query = f"SELECT count(*), sum(hash({columns})::HUGEINT)::VARCHAR FROM rows"  # noqa: S608 - our own names

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Takes rows in."""
        if not batch.num_rows:
            return
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        self._connection.register("rows", table)
        count, total = self._connection.execute(self._query).fetchall()[0]
        self.rows += count
        self._sum = (self._sum + int(total)) % _MODULUS

    def __str__(self) -> str:
        """As manifests have it."""
        return f"duckdb-{duckdb.__version__}:{self._sum:032x}"


def total(hashes: Iterable[str]) -> str:
    """The hash of all rows of several texts.

    Raises:
        ValueError: They are of several versions, or there is none.
    """
    parts = [each.partition(":") for each in hashes]
    [version] = {version for version, _, _ in parts}
    return f"{version}:{sum(int(digits, 16) for _, _, digits in parts) % _MODULUS:032x}"
