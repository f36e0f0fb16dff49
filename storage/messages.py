"""Packets split into their messages: sequence, type where the framing shows one, and bytes; no field is decoded.

A packet that cannot be split gives one row without a message, which says why: never a wrong message. Packets of
framings that do not say where a message ends give no row; `ArchiveReader.unsplit` names their channels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.config.framing import Framing, Messages
from nanotape.storage.arrivals import Longs
from nanotape.storage.channel_framings import ChannelFramings, can_split
from nanotape.storage.message_split import Bytes, cut, types
from nanotape.storage.schema import NAME, column, packets_schema

PACKET_COLUMNS = (
    "ts", "host", "feed", "channel", "line", "feed_session", "feed_key", "feed_seq", "feed_count", "feed_status",
    "ts_send", "payload_len", "payload", "ring_id", "ring_seq",
)  # fmt: skip
"""Columns of packets that are needed."""
ROWS_MAX = 16_384
"""Packets that are split at once."""
PROBLEMS = ("bad", "truncated", "lengths", "count", "not_decoded")
"""bad: the header does not fit the framing; truncated: not all of the payload is there; lengths: the messages' lengths
do not come to the payload's; count: there are not as many as the header says; not_decoded: the header was not read."""
_BAD, _TRUNCATED, _LENGTHS, _COUNT, _NOT_DECODED = range(5)
_COPIED = ("ts", "host", "feed", "channel", "line", "feed_session", "feed_key", "feed_status", "ts_send")


def _schema() -> pa.Schema:
    packets = packets_schema()
    no_message = "null: the packet could not be split, see problem"
    fields = [
        column("feed_seq", pa.int64(), "sequence of the message", null="null: it has none, or see problem"),
        column("msg_index", pa.int32(), "its place in the packet, from 0 on", null=no_message),
        column("msg_type", NAME, "its type, as the framing shows it", null="null: it shows none, or see problem"),
        column("message", pa.binary(), "its bytes, without a length that is not part of it", null=no_message),
        column("problem", NAME, f"why it could not be split: {', '.join(PROBLEMS)}", null="null: it could"),
    ]
    copied = [packets.field(name) for name in _COPIED]
    return pa.schema([*copied, *fields, packets.field("ring_id"), packets.field("ring_seq")])


SCHEMA = _schema()


class MessageStream:
    """Messages as DuckDB asks for them: anew each time that a query reads them."""

    def __init__(self, split: Callable[[], pa.RecordBatchReader]) -> None:
        """`split` makes a reader of SCHEMA."""
        self._split = split

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A fresh stream; see Arrow's PyCapsule interface."""
        return self._split().__arrow_c_stream__(requested_schema)


def message_batches(packets: pa.RecordBatchReader, framings: ChannelFramings) -> Iterator[pa.RecordBatch]:
    """The messages of packets, in their order.

    Args:
        packets: With PACKET_COLUMNS.
        framings: Of their channels.
    """
    for batch in packets:
        for at in range(0, batch.num_rows, ROWS_MAX):
            found = _split(batch.slice(at, ROWS_MAX), framings)
            if found.num_rows:
                yield found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of messages to be: `begin` and `end` of the bytes, `problem` negative: none."""

    packet: Longs
    index: Longs
    seq_step: Longs
    """What is added to the packet's sequence; negative: it has none."""
    begin: Longs
    end: Longs
    kind: Longs
    """Place in `texts`; negative: none."""
    problem: Longs


def _split(batch: pa.RecordBatch, framings: ChannelFramings) -> pa.RecordBatch:
    payload = batch.column("payload")
    offsets = np.frombuffer(payload.buffers()[1], np.int32)[payload.offset : payload.offset + len(payload) + 1]
    buffer = payload.buffers()[2]
    data = np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, np.uint8)
    texts: list[str] = []
    parts = [
        _of_framing(batch, rows, (framing, framing.messages), data, offsets.astype(np.int64), texts)
        for rows, framing in _by_framing(batch, framings)
        if framing.messages is not None and can_split(framing)
    ]
    if not parts:
        return pa.RecordBatch.from_arrays([pa.array([], each.type) for each in SCHEMA], schema=SCHEMA)
    names = ("packet", "index", "seq_step", "begin", "end", "kind", "problem")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    order = np.argsort(columns[0], kind="stable")
    return _batch(batch, _Rows(*(each[order] for each in columns)), data, texts)


def _by_framing(batch: pa.RecordBatch, framings: ChannelFramings) -> Iterator[tuple[Longs, Framing]]:
    stamps = batch.column("ts").cast(pa.int64()).to_numpy()
    flat, dictionaries = np.zeros(batch.num_rows, np.int64), []
    for name in ("host", "channel", "line"):
        array = batch.column(name)
        dictionaries.append([None, *array.dictionary.to_pylist()])
        flat = flat * len(dictionaries[-1]) + pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False) + 1
    present, places = np.unique(flat, return_inverse=True)
    for number, code in enumerate(present.tolist()):
        code, line = divmod(code, len(dictionaries[2]))
        host, channel = divmod(code, len(dictionaries[1]))
        place = (dictionaries[0][host], dictionaries[1][channel], dictionaries[2][line])
        mine = np.flatnonzero(places == number)
        for chosen, framing in framings.in_force(place, stamps[mine]):
            yield mine[chosen], framing


def _of_framing(
    batch: pa.RecordBatch,
    rows: Longs,
    ruled: tuple[Framing, Messages],
    data: Bytes,
    offsets: Longs,
    texts: list[str],
) -> _Rows:
    framing, rule = ruled
    count = pc.fill_null(batch.column("feed_count"), 0).cast(pa.int64()).to_numpy()[rows]
    begin, end = offsets[rows], offsets[rows + 1]
    problem = _problems(batch, rows, end - begin)
    tried = np.flatnonzero((problem < 0) & (count > 0))
    most = count[tried] if framing.count is not None else np.full(len(tried), 1 << 32)
    found, fits = cut(data, begin[tried], end[tried], most, rule, framing.endian)
    problem[tried[~fits]] = _LENGTHS
    if framing.count is not None:
        is_short = fits & (np.bincount(found.payload, minlength=len(tried)) != count[tried])
        problem[tried[is_short]] = _COUNT
        found = found.at(~is_short[found.payload])
    kind, own = types(data, found, rule.type, framing.endian)
    kind = np.where(kind < 0, -1, kind + len(texts))
    texts += own
    packet = rows[tried[found.payload]]
    steps = found.index if framing.count is not None else np.zeros(len(found.index), np.int64)
    steps = np.where(_is(batch, "unsequenced")[packet], -1, steps)
    failed = np.flatnonzero(problem >= 0)
    none = np.full(len(failed), -1, np.int64)
    return _Rows(
        np.concatenate([packet, rows[failed]]),
        np.concatenate([found.index, none]),
        np.concatenate([steps, none]),
        np.concatenate([found.begin + rule.skip, none * 0]),
        np.concatenate([found.end, none * 0]),
        np.concatenate([kind, none]),
        np.concatenate([np.full(len(found.index), -1, np.int64), problem[failed]]),
    )


def _problems(batch: pa.RecordBatch, rows: Longs, held: Longs) -> Longs:
    """Why packets cannot be split that hold so many bytes of their payload; negative: perhaps they can."""
    lengths = batch.column("payload_len").cast(pa.int64()).to_numpy()[rows]
    problem = np.where(lengths > held, _TRUNCATED, -1)
    problem[_is(batch, "bad")[rows]] = _BAD
    problem[_is(batch, None)[rows]] = _NOT_DECODED
    return problem


def _is(batch: pa.RecordBatch, status: str | None) -> npt.NDArray[np.bool_]:
    column_ = batch.column("feed_status").cast(pa.string())
    found = pc.is_null(column_) if status is None else pc.is_in(column_, pa.array([status]))
    which: npt.NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return which


def _batch(packets: pa.RecordBatch, rows: _Rows, data: Bytes, texts: list[str]) -> pa.RecordBatch:
    taken = packets.select([*_COPIED, "ring_id", "ring_seq", "feed_seq"]).take(pa.array(rows.packet))
    columns = {name: taken.column(name) for name in (*_COPIED, "ring_id", "ring_seq")}
    has_none, is_failed = rows.seq_step < 0, rows.problem >= 0
    first = pc.fill_null(taken.column("feed_seq"), 0).to_numpy()
    no_seq = has_none | pc.is_null(taken.column("feed_seq")).to_numpy(zero_copy_only=False)
    columns["feed_seq"] = pa.array(first + np.maximum(rows.seq_step, 0), mask=no_seq)
    columns["msg_index"] = pa.array(rows.index.astype(np.int32), mask=is_failed)
    columns["msg_type"] = _texts(rows.kind, texts)
    columns["message"] = _bytes(data, rows.begin, rows.end, is_failed)
    columns["problem"] = _texts(rows.problem, list(PROBLEMS))
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _texts(places: Longs, texts: list[str]) -> pa.Array:
    indices = pa.array(np.maximum(places, 0).astype(np.int32), mask=places < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


def _bytes(data: Bytes, begin: Longs, end: Longs, is_null: npt.NDArray[np.bool_]) -> pa.Array:
    """A binary column of these stretches."""
    lengths = end - begin
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)
    valid = pa.array(~is_null).buffers()[1]
    buffers = [valid, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data[places])]
    return pa.Array.from_buffers(pa.binary(), len(lengths), buffers)
