"""Dictionaries that only grow, because an Arrow file refuses replaced ones.

Whatever dictionary a batch brings, its values, which are strings, get the same index for the whole life of a segment.
"""

import pyarrow as pa
import pyarrow.compute as pc


class GrowingDictionary:
    """One dictionary column of one segment."""

    def __init__(self, kind: pa.DictionaryType) -> None:
        """Starts empty.

        Args:
            kind: Type of the column.
        """
        self._kind = kind
        self._positions: dict[object, int] = {}
        self._values = pa.array([], kind.value_type)
        self._incoming = pa.array([], kind.value_type)
        self._mapping: list[int | None] = []
        self._mapping_array = pa.array([], kind.index_type)
        self._identity = True

    def __len__(self) -> int:
        """Values so far."""
        return len(self._values)

    def encode(self, column: pa.DictionaryArray) -> pa.DictionaryArray:
        """The same column over this dictionary, which grows by the values that are new."""
        if not column.dictionary.equals(self._incoming):
            self._learn(column.dictionary)
        if not self._positions:
            # pyarrow writes what follows an empty dictionary as its replacement, which the file format refuses.
            self._positions[""] = 0
            self._values = pa.array([""], self._kind.value_type)
        indices = column.indices
        if not self._identity:
            indices = pc.take(self._mapping_array, indices)
        elif indices.type != self._kind.index_type:
            indices = indices.cast(self._kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, self._values, safe=False)

    def _learn(self, incoming: pa.Array) -> None:
        known = len(self._incoming)
        if not incoming.slice(0, known).equals(self._incoming):
            known = 0
        mapping = self._mapping[:known]
        mapping.extend(
            None if value is None else self._positions.setdefault(value, len(self._positions))
            for value in incoming.slice(known).to_pylist()
        )
        if len(self._positions) > len(self._values):
            self._values = pa.array(list(self._positions), self._kind.value_type)
        self._incoming, self._mapping = incoming, mapping
        self._mapping_array = pa.array(mapping, self._kind.index_type)
        self._identity = mapping == list(range(len(mapping)))
