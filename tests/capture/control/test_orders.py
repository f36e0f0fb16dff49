"""Orders reach a recorder through files, once each, over restarts of either side; with the recorder's own side."""

from __future__ import annotations

import os
import pathlib
from functools import partial

import pytest

from nanotape.capture.accounts import Accounts
from nanotape.capture.control.orders import (
    ORDERS_KEPT,
    ORDERS_NAME,
    OrderBook,
    orders_identity,
    read_orders,
    read_receipt,
    receipt_path,
)
from nanotape.capture.errors import ControlError
from nanotape.storage.errors import StorageError
from nanotape.storage.orders import Order, Orders

OWNERS = Accounts(1, 1, 1, switches=False)


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
        path, receipt = folder / ORDERS_NAME, receipt_path(folder, "recorder")
        self.orders = Orders(
            partial(read_orders, path), receipt, read_receipt(receipt)[0], time, self.lines.append,
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
    return OrderBook(folder, OWNERS, time.utc_ns, time.sleep, lambda: time.monotonic_ns() / 1e9)


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
    assert read_receipt(receipt, os.geteuid()) == (9, {})
    assert read_receipt(receipt, os.geteuid() + 1) == (0, {})


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
