"""A second reading of MoldUDP64 and ITCH 5.0, from the layouts, with `struct`: the oracle of the simulated exchange."""

import struct
from dataclasses import dataclass, field
from typing import Any

# After type, locate, tracking and the 48-bit timestamp: struct codes (big-endian) and names.
LAYOUTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "S": ("c", ("event",)),
    "R": (
        "8sccIcc2scccccIc",
        (
            "stock", "category", "status", "round_lot", "round_lots_only", "classification", "subtype", "authenticity",
            "short_sale", "ipo", "luld", "etp", "leverage", "inverse",
        ),
    ),
    "A": ("QcI8sI", ("reference", "side", "shares", "stock", "price")),
    "F": ("QcI8sI4s", ("reference", "side", "shares", "stock", "price", "attribution")),
    "E": ("QIQ", ("reference", "shares", "match")),
    "C": ("QIQcI", ("reference", "shares", "match", "printable", "price")),
    "X": ("QI", ("reference", "shares")),
    "D": ("Q", ("reference",)),
    "U": ("QQII", ("replaced", "reference", "shares", "price")),
    "P": ("QcI8sIQ", ("reference", "side", "shares", "stock", "price", "match")),
}  # fmt: skip
LENGTHS = {"S": 12, "R": 39, "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44}
END_OF_SESSION = 0xFFFF


@dataclass(frozen=True)
class MoldPacket:
    """A datagram taken apart."""

    session: str
    sequence: int
    count: int
    messages: tuple[bytes, ...]


def read_mold(payload: bytes) -> MoldPacket:
    """Takes a payload apart; nothing may be left over."""
    session, sequence, count = struct.unpack_from(">10sQH", payload)
    messages = []
    at = 20
    for _ in range(0 if count == END_OF_SESSION else count):
        (length,) = struct.unpack_from(">H", payload, at)
        messages.append(payload[at + 2 : at + 2 + length])
        assert len(messages[-1]) == length
        at += 2 + length
    assert at == len(payload)
    return MoldPacket(session.decode("ascii"), sequence, count, tuple(messages))


def read_itch(message: bytes) -> dict[str, Any]:
    """Takes a message apart, by its type's layout, to the last byte."""
    kind = chr(message[0])
    layout, names = LAYOUTS[kind]
    locate, tracking, high, low = struct.unpack_from(">HHHI", message, 1)
    values = struct.unpack(f">{layout}", message[11:])
    texts = [value.decode("ascii") if isinstance(value, bytes) else value for value in values]
    stamp = {"type": kind, "locate": locate, "tracking": tracking, "since_midnight_ns": high << 32 | low}
    return stamp | dict(zip(names, texts, strict=True))


@dataclass
class Order:
    """A live order."""

    locate: int
    side: str
    shares: int
    price: int


@dataclass
class BookModel:
    """Follows the messages and fails on the first that cannot be."""

    orders: dict[int, Order] = field(default_factory=dict)
    stocks: dict[int, str] = field(default_factory=dict)
    events: str = ""
    last_match: int = 0
    last_reference: int = 0

    def apply(self, message: dict[str, Any]) -> None:
        """Takes one message in."""
        kind, locate = message["type"], message["locate"]
        if kind == "S":
            self.events += message["event"]
            return
        if kind == "R":
            assert locate not in self.stocks
            self.stocks[locate] = message["stock"]
            return
        if "stock" in message:
            assert self.stocks[locate] == message["stock"]
        if kind in "AFU":
            self._enter(message)
        elif kind in "ECXD":
            self._reduce(message)
        if "match" in message:
            assert message["match"] > self.last_match
            self.last_match = message["match"]

    def _enter(self, message: dict[str, Any]) -> None:
        side = message.get("side")
        if message["type"] == "U":
            replaced = self.orders.pop(message["replaced"])
            assert replaced.locate == message["locate"]
            side = replaced.side
        assert message["reference"] > self.last_reference
        assert message["shares"] > 0
        self.last_reference = message["reference"]
        order = Order(message["locate"], side or "?", message["shares"], message["price"])
        opposite = self._prices(order.locate, "S" if side == "B" else "B")
        if opposite:
            assert order.price < min(opposite) if side == "B" else order.price > max(opposite), "the book is crossed"
        self.orders[message["reference"]] = order

    def _prices(self, locate: int, side: str) -> list[int]:
        return [order.price for order in self.orders.values() if (order.locate, order.side) == (locate, side)]

    def _reduce(self, message: dict[str, Any]) -> None:
        order = self.orders[message["reference"]]
        assert order.locate == message["locate"]
        if message["type"] == "D":
            del self.orders[message["reference"]]
            return
        if message["type"] in "EC":
            same = self._prices(order.locate, order.side)
            assert order.price == (max(same) if order.side == "B" else min(same)), "not the best order was executed"
        assert 0 < message["shares"] <= order.shares
        assert message["type"] != "X" or message["shares"] < order.shares
        order.shares -= message["shares"]
        if order.shares == 0:
            del self.orders[message["reference"]]
