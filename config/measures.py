"""What sizes, shares, durations, rates and `hold` may be: numbers with a unit in text; quantity.py knows the form."""

from collections.abc import Callable
from dataclasses import dataclass

from nanotape.config import quantity
from nanotape.config.rules import JsonSchema, Rule, is_whole, refused

FRAME_MINIMUM_BYTES = 60
FRAME_MAXIMUM_BYTES = 9216
FREE_MAXIMUM_PERCENT = 90
FREE_MAXIMUM_BYTES = 1 << 60
AS_RECORDED_PPM = 10**6
"""Speed of a file that is read as fast as it was recorded, in millionths."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of number with a unit."""

    noun: str
    bare: bool
    """A number without a unit is taken to be in the smallest one."""
    pattern: str
    read: Callable[[str], int]
    write: Callable[[int], str]


SIZE = Measure(
    'a size ("512 MiB", or a number of bytes)', True, quantity.SIZE_PATTERN, quantity.parse_size, quantity.size_text
)
DURATION = Measure(
    'a duration with its unit ("1s", "250ms")',
    False,
    quantity.DURATION_PATTERN,
    quantity.parse_duration,
    quantity.duration_text,
)
RATE = Measure(
    'a rate ("300kpps", or a number of packets a second)',
    True,
    quantity.RATE_PATTERN,
    quantity.parse_rate,
    quantity.rate_text,
)


@dataclass(frozen=True, slots=True)
class Quantity(Rule):
    """A number of one measure in its range; the value is in the smallest unit: bytes, nanoseconds, packets a second."""

    measure: Measure
    minimum: int
    maximum: int

    def parse(self, value: object) -> int:
        """Returns the number in the smallest unit."""
        measure = self.measure
        expected = f'{measure.noun} from "{measure.write(self.minimum)}" to "{measure.write(self.maximum)}"'
        number = value if measure.bare and is_whole(value) else None
        if isinstance(value, str):
            try:
                number = measure.read(value)
            except ValueError:
                raise refused(expected) from None
        if not isinstance(number, int) or not self.minimum <= number <= self.maximum:
            raise refused(expected)
        return number

    def plain(self, value: int) -> str:
        """Text with a unit."""
        return self.measure.write(value)

    def schema(self) -> JsonSchema:
        """Text with a unit, or an integer in its range."""
        text: JsonSchema = {"type": "string", "pattern": f"^{self.measure.pattern}$"}
        if not self.measure.bare:
            return text
        return {"anyOf": [{"type": "integer", "minimum": self.minimum, "maximum": self.maximum}, text]}


@dataclass(frozen=True, slots=True)
class Speed(Rule):
    """How fast a file is read: `recorded`, `max`, or a factor; the value is in millionths, 0 for `max`."""

    def parse(self, value: object) -> int:
        """Returns millionths of the speed at which the file was recorded; 0: as fast as it goes."""
        expected = '"recorded", "max", or a factor from "0.001x" to "1000000x"'
        if value in ("recorded", "max"):
            return AS_RECORDED_PPM if value == "recorded" else 0
        try:
            ppm = quantity.parse_factor(value) if isinstance(value, str) else 0
        except ValueError:
            ppm = 0
        if not 1000 <= ppm <= 10**12:
            raise refused(expected)
        return ppm

    def plain(self, value: int) -> str:
        """Text that reads as the same speed."""
        words = {0: "max", AS_RECORDED_PPM: "recorded"}
        return words.get(value) or quantity.factor_text(value)

    def schema(self) -> JsonSchema:
        """Text of one pattern."""
        return {"type": "string", "pattern": f"^(recorded|max|{quantity.FACTOR_PATTERN})$"}


@dataclass(frozen=True, slots=True)
class FreeSpaceRule(Rule):
    """Space to be kept free on a file system: a share of it, or a size."""

    def parse(self, value: object) -> quantity.FreeSpace:
        """Returns a FreeSpace."""
        largest = quantity.size_text(FREE_MAXIMUM_BYTES)
        expected = f'a share from "0%" to "{FREE_MAXIMUM_PERCENT}%" or a size of at most "{largest}"'
        try:
            free = quantity.parse_free_space(str(value) if is_whole(value) else value if isinstance(value, str) else "")
        except ValueError:
            raise refused(expected, 'write for example "10%" or "50 GiB"; "0" keeps none') from None
        if free.size_bytes > FREE_MAXIMUM_BYTES or free.share_ppm > FREE_MAXIMUM_PERCENT * 10_000:
            raise refused(expected)
        return free

    def plain(self, value: quantity.FreeSpace) -> str:
        """Text that reads as the same."""
        return quantity.free_space_text(value)

    def schema(self) -> JsonSchema:
        """Text of one pattern, or a number of bytes."""
        number: JsonSchema = {"type": "integer", "minimum": 0, "maximum": FREE_MAXIMUM_BYTES}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{quantity.FREE_SPACE_PATTERN}$"}]}


@dataclass(frozen=True, slots=True)
class HoldRule(Rule):
    """What a ring must hold: `10s at 2Mpps`, optionally `of 242B`; `maximum` bounds the bytes that it comes to."""

    maximum: int

    def parse(self, value: object) -> quantity.Hold:
        """Returns a Hold."""
        expected = 'a duration at a rate, such as "10s at 2Mpps" or "10s at 2Mpps of 242B"'
        try:
            hold = quantity.parse_hold(value) if isinstance(value, str) else None
        except ValueError:
            hold = None
        if hold is None or not hold.duration_ns or not hold.rate_pps:
            raise refused(expected)
        frame_bytes = quantity.HOLD_FRAME_BYTES if hold.frame_bytes is None else hold.frame_bytes
        if not FRAME_MINIMUM_BYTES <= frame_bytes <= FRAME_MAXIMUM_BYTES:
            raise refused(f'a frame size after `of` from "{FRAME_MINIMUM_BYTES}B" to "{FRAME_MAXIMUM_BYTES}B"')
        if hold.ring_bytes > self.maximum:
            raise refused(f"at most {quantity.size_text(self.maximum)} to hold", "ask for less time or a lower rate")
        return hold

    def plain(self, value: quantity.Hold) -> str:
        """Text that reads as the same Hold."""
        return quantity.hold_text(value)

    def schema(self) -> JsonSchema:
        """Text of one pattern."""
        return {"type": "string", "pattern": f"^{quantity.HOLD_PATTERN}$"}
