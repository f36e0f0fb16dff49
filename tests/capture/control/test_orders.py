"""Orders reach a recorder through files, once each, over restarts of either side; with the recorder's own side."""

from __future__ import annotations

import json
import os
import pathlib
from functools import partial

import pytest
from service_rig import NOBODY

from nanotape.capture.accounts import Accounts
from nanotape.capture.control.orders import (
    ORDERS_KEPT,
    ORDERS_NAME,
    OrderBook,
    orders_identity,
    read_orders,
)
from nanotape.capture.control.receipts import own_receipt, read_receipt, receipt_path, recorder_uids
from nanotape.capture.errors import ControlError
from nanotape.config.settings import User
from nanotape.storage.errors import StorageError
from nanotape.storage.orders import Order, Orders

OWNERS = Accounts(1, 1, 1, switches=False)
US = os.geteuid()


class Time:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * 10**9

    def utc_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        self.now_ns += 10**9
        return self.now_ns

    def sleep(self, _seconds: float) -> None:
        """Returns at once."""


class Recorder:
    """The recorder's side over the files of a folder, and what it has done."""

    def __init__(self, folder: pathlib.Path, time: Time) -> None:
        self.done: list[str] = []
        self.lines: list[str] = []
        self.failure: StorageError | None = None
        path, receipt = folder / ORDERS_NAME, partial(own_receipt, folder, "recorder", US)
        self.orders = Orders(
            partial(read_orders, path), receipt, read_receipt(folder, "recorder", {US})[0], time, self.lines.append,
            partial(orders_identity, path), max((each.number for each in read_orders(path)), default=0),
        )  # fmt: skip

    def look(self) -> list[str]:
        self.orders.obey(lambda: self.done.append("rotate"), self._mark)
        return self.done

    def _mark(self, order: Order) -> None:
        if self.failure:
            raise self.failure
        self.done.append(order.text)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "readers").mkdir()
    return tmp_path


@pytest.fixture
def book(folder: pathlib.Path, time: Time) -> OrderBook:
    return OrderBook(folder, OWNERS, {US}, time.utc_ns, time.sleep, lambda: time.monotonic_ns() / 1e9)


def test_an_order_is_carried_out_once_and_its_receipt_is_waited_for(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    recorder = Recorder(folder, time)
    first, second = book.give("mark", "open"), book.give("rotate")
    assert second.number > first.number
    assert recorder.look() == ["open", "rotate"]
    assert recorder.look() == ["open", "rotate"]
    book.wait_done(second, "recorder", 5)


def test_a_mark_waits_for_a_recorder_that_is_away_and_a_rotation_does_not(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    book.give("rotate")
    mark = book.give("mark", "while away")
    with pytest.raises(ControlError, match="has not carried it out within 3 s; it will when it runs again"):
        book.wait_done(mark, "recorder", 3)
    assert Recorder(folder, time).look() == ["while away"]
    assert Recorder(folder, time).look() == []
    book.wait_done(mark, "recorder", 3)


def test_a_rotation_is_carried_out_though_the_clock_was_set_back(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    recorder = Recorder(folder, time)
    time.now_ns -= 500 * 10**9
    order = book.give("rotate")
    assert recorder.look() == ["rotate"]
    book.wait_done(order, "recorder", 5)


def test_a_receipt_of_another_user_is_none(folder: pathlib.Path) -> None:
    receipt = receipt_path(folder, "recorder")
    receipt.write_text('{"done": 9, "failed": {}}', encoding="utf-8")
    assert read_receipt(folder, "recorder", {US}) == (9, {})
    assert read_receipt(folder, "recorder", {US + 1}) == (0, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make another's files")
@pytest.mark.parametrize("taken", ["recorder.orders.json", ".recorder.orders.json.new"])
def test_who_takes_the_receipts_name_can_neither_forge_nor_prevent_one(
    folder: pathlib.Path, book: OrderBook, time: Time, taken: str
) -> None:
    forged = folder / "readers" / taken
    forged.write_text(json.dumps({"done": 1 << 62, "failed": {}}), encoding="utf-8")
    os.chown(forged, NOBODY, NOBODY)
    order = book.give("mark", "x")
    with pytest.raises(ControlError, match="has not carried it out"):
        book.wait_done(order, "recorder", 3)
    assert Recorder(folder, time).look() == ["x"]
    book.wait_done(order, "recorder", 3)
    assert forged.stat().st_uid == NOBODY, "it is not ours to touch"
    again = book.give("rotate")
    recorder = Recorder(folder, time)  # a successor goes on with what the first has said
    assert recorder.look() == []
    last = book.give("rotate")
    assert recorder.look() == ["rotate"]
    book.wait_done(last, "recorder", 3)
    assert again.number < last.number
    assert len(list((folder / "readers").glob("recorder.orders.*.json"))) == 1, "one other name, and the same again"


def test_a_service_believes_the_configured_recorder_and_its_own_user() -> None:
    assert recorder_uids(User(record="64203")) == {US, 64203}
    assert recorder_uids(User(record="no-such-user-here")) == {US}


def test_a_link_in_the_place_of_a_draft_has_nothing_overwritten(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    precious = folder / "segment"
    precious.write_text("packets", encoding="utf-8")
    receipt = receipt_path(folder, "recorder")
    receipt.with_name(f".{receipt.name}.new").symlink_to(precious)
    recorder = Recorder(folder, time)
    order = book.give("rotate")
    recorder.look()
    assert precious.read_text(encoding="utf-8") == "packets"
    book.wait_done(order, "recorder", 5)


def test_what_fails_is_told_to_who_ordered_it_and_the_next_is_carried_out(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    recorder = Recorder(folder, time)
    recorder.failure = StorageError("the disk is full")
    order, following = book.give("mark", "x"), book.give("rotate")
    assert recorder.look() == ["rotate"]
    with pytest.raises(ControlError, match="mark: the recorder could not: the disk is full"):
        book.wait_done(order, "recorder", 5)
    book.wait_done(following, "recorder", 5)


def test_only_the_newest_orders_are_kept(folder: pathlib.Path, book: OrderBook, time: Time) -> None:
    for number in range(ORDERS_KEPT + 3):
        book.give("mark", str(number))
    assert Recorder(folder, time).look()[0] == "3"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"orders": [{"number": "x"}]}',
        b'{"orders": {"a": 1}}',
        b"\xff",
        b'{"done": Infinity, "failed": {}}',
    ],
)
def test_a_file_that_cannot_be_read_orders_nothing(folder: pathlib.Path, time: Time, content: bytes) -> None:
    (folder / ORDERS_NAME).write_bytes(content)
    receipt_path(folder, "recorder").write_bytes(content)
    assert Recorder(folder, time).look() == []


def test_a_receipt_that_cannot_be_written_is_a_line_of_the_log(
    folder: pathlib.Path, book: OrderBook, time: Time
) -> None:
    recorder = Recorder(folder, time)
    book.give("rotate")
    (folder / "readers").rmdir()
    assert recorder.look() == ["rotate"]
    assert "cannot be written" in recorder.lines[0]
