"""Memory for the decoded columns of one batch, filled by native code and handed on as Arrow arrays."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.feeds.framing_table import STATUSES
from nanotape.native import ffi

_NAME = pa.dictionary(pa.int32(), pa.string())
_STAMP = pa.timestamp("ns", "UTC")
_WIDTHS = {"session": 4, "key": 4, "status": 4, "seq": 8, "count": 2, "send_ns": 8, "first": 1}
_BITMAPS = ("session_valid", "key_valid", "status_valid", "seq_valid", "send_valid")
_POINTERS = {name: field.type for name, field in ffi.typeof("struct nt_feed_columns").fields}


class FeedColumns:
    """For `rows` packets."""

    def __init__(self, rows: int) -> None:
        """Allocates; nothing is filled in yet."""
        self._rows = rows
        self.native = ffi.new("struct nt_feed_columns *")
        sizes = {name: rows * width for name, width in _WIDTHS.items()} | dict.fromkeys(_BITMAPS, (rows + 7) // 8)
        self._buffers = {name: pa.allocate_buffer(size) for name, size in sizes.items()}
        for name, buffer in self._buffers.items():
            setattr(self.native, name, ffi.cast(_POINTERS[name], buffer.address))
        self.first: npt.NDArray[np.uint8] = (
            np.frombuffer(self._buffers["first"], np.uint8, rows) if rows else np.empty(0, np.uint8)
        )

    def arrays(self, labels: pa.StringArray) -> Mapping[str, pa.Array]:
        """What was decoded, by the names of `packets`.

        Args:
            labels: Sessions and keys by index.
        """
        native = self.native
        return {
            "feed_session": self._named("session", labels, native.session_nulls),
            "feed_key": self._named("key", labels, native.key_nulls),
            "feed_status": self._named("status", _statuses(), native.status_nulls),
            "feed_seq": self._plain("seq", "seq", pa.int64(), native.seq_nulls),
            "feed_count": self._plain("count", "seq", pa.uint16(), native.seq_nulls),
            "ts_send": self._plain("send_ns", "send", _STAMP, native.send_nulls),
        }

    def _plain(self, name: str, valid: str, kind: pa.DataType, nulls: int) -> pa.Array:
        validity = self._buffers[f"{valid}_valid"] if nulls else None
        return pa.Array.from_buffers(kind, self._rows, [validity, self._buffers[name]], nulls)

    def _named(self, name: str, dictionary: Any, nulls: int) -> pa.DictionaryArray:
        validity = self._buffers[f"{name}_valid"] if nulls else None
        parts = [validity, self._buffers[name]]
        return pa.DictionaryArray.from_buffers(_NAME, self._rows, parts, dictionary, nulls)


@cache
def _statuses() -> pa.StringArray:
    """Made when it is needed: with its first array pyarrow loads pandas, where it is installed."""
    return pa.array(STATUSES, pa.string())
