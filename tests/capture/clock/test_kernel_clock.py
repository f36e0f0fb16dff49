"""adjtimex: its numbers are those of the headers, its answer is read in units, and nothing is ever written."""

from __future__ import annotations

import ctypes
import inspect
import re
import struct
import time
from pathlib import Path

import pytest

from nanotape.capture.clock import kernel_clock
from nanotape.capture.clock.kernel_clock import (
    STA_CLOCKERR,
    STA_DEL,
    STA_INS,
    STA_NANO,
    STA_PLL,
    STA_UNSYNC,
    TIME_DEL,
    TIME_ERROR,
    TIME_INS,
    TIME_OK,
    TIME_OOP,
    TIME_WAIT,
    Answer,
    adjtimex,
    observe_kernel,
    read_kernel_clock,
)

_HEADER = Path("/usr/include/linux/timex.h")
AT_NS = 1_795_000_000 * 10**9


def timex(state: int = TIME_OK, **fields: int) -> Answer:
    """An answer, laid out field by field as linux/timex.h has it, with the offsets of a compiler."""
    places = {
        "modes": (0, "I"), "offset": (8, "q"), "freq": (16, "q"), "maxerror": (24, "q"), "esterror": (32, "q"),
        "status": (40, "i"), "constant": (48, "q"), "tick": (0x58, "q"), "tai": (0xA0, "i"),
    }  # fmt: skip
    raw = bytearray(0xD0)
    for name, value in fields.items():
        place, kind = places[name]
        struct.pack_into(f"={kind}", raw, place, value)
    return state, bytes(raw)


def test_the_structure_is_as_large_as_a_compiler_makes_it() -> None:
    assert kernel_clock._TIMEX.size == 0xD0


@pytest.mark.skipif(not _HEADER.exists(), reason="needs linux/timex.h (linux-libc-dev)")
def test_the_numbers_of_status_and_state_are_those_of_the_header() -> None:
    text = _HEADER.read_text()
    ours = {name: value for name, value in vars(kernel_clock).items() if re.match(r"(STA|TIME)_", name)}
    found = {name: int(value, 0) for name, value in re.findall(r"#define\s+((?:STA|TIME)_\w+)\s+(0x\w+|\d+)", text)}
    assert len(ours) == 12
    assert ours == {name: found[name] for name in ours}


def test_the_real_kernel_answers() -> None:
    found = read_kernel_clock()
    assert abs(found.freq_ppb) <= 500_000
    assert found.max_error_ns >= 0
    assert found.time_state in range(6)
    tai = round(time.clock_gettime(11) - time.clock_gettime(time.CLOCK_REALTIME))  # CLOCK_TAI
    assert (found.tai_s or 0) == tai


def test_a_disciplined_clock_is_told_with_its_bound_its_frequency_and_its_utc_offset() -> None:
    answer = timex(maxerror=1234, esterror=56, status=STA_NANO, freq=-(3 << 16) - (1 << 15), tai=37)
    seen = observe_kernel(AT_NS, lambda: answer)
    assert (seen.clock, seen.at_ns, seen.source, seen.method) == ("system", AT_NS, "kernel", "adjtimex")
    assert seen.is_disciplined is True
    assert seen.bound_ns == 1_234_000
    assert seen.freq_ppb == -3500.0
    assert (seen.utc_offset_s, seen.utc_offset_source, seen.leap) == (37, "kernel", 0)
    assert seen.has_master is None
    assert seen.offset_ns is None  # no PLL of the kernel's: its offset says nothing


def test_an_unsynchronised_clock_has_no_bound_though_maxerror_is_set() -> None:
    seen = observe_kernel(AT_NS, lambda: timex(TIME_ERROR, maxerror=16_000_123, status=STA_UNSYNC | STA_PLL, offset=5))
    assert seen.is_disciplined is False
    assert seen.bound_ns is None
    assert seen.offset_ns is None


def test_a_clock_error_of_the_hardware_is_no_discipline() -> None:
    assert observe_kernel(AT_NS, lambda: timex(TIME_ERROR, status=STA_CLOCKERR)).is_disciplined is False


@pytest.mark.parametrize("max_error_us", [0, 500, 1500])
def test_a_maxerror_that_phc2sys_zeroed_and_the_kernel_let_grow_is_no_bound(max_error_us: int) -> None:
    assert observe_kernel(AT_NS, lambda: timex(maxerror=max_error_us)).bound_ns is None


def test_a_utc_offset_that_nobody_set_is_unknown_and_not_0() -> None:
    seen = observe_kernel(AT_NS, lambda: timex(tai=0))
    assert (seen.utc_offset_s, seen.utc_offset_source) == (None, None)


def test_the_offset_of_the_kernels_pll_is_in_its_unit_and_clock_minus_master() -> None:
    assert observe_kernel(AT_NS, lambda: timex(status=STA_PLL | STA_NANO, offset=700)).offset_ns == -700
    assert observe_kernel(AT_NS, lambda: timex(status=STA_PLL, offset=-3)).offset_ns == 3000


@pytest.mark.parametrize(
    ("state", "status", "leap"),
    [
        (TIME_OK, 0, 0), (TIME_INS, STA_INS, 1), (TIME_DEL, STA_DEL, -1), (TIME_OOP, STA_INS, 1),
        (TIME_WAIT, STA_INS, 0), (TIME_ERROR, STA_UNSYNC | STA_INS, 1), (TIME_ERROR, STA_UNSYNC | STA_DEL, -1),
        (TIME_ERROR, STA_UNSYNC, 0),
    ],
)  # fmt: skip
def test_leap_seconds_are_told_before_they_come_and_not_after(state: int, status: int, leap: int) -> None:
    assert observe_kernel(AT_NS, lambda: timex(state, status=status)).leap == leap


def test_the_call_is_made_with_modes_0_and_there_is_no_way_to_pass_another(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Libc:
        """Notes what the kernel would be told to do."""

        def adjtimex(self, buffer: ctypes.Array[ctypes.c_char]) -> int:
            given.append(buffer.raw)
            return TIME_OK

    monkeypatch.setattr(kernel_clock, "_LIBC", Libc())
    observe_kernel(AT_NS)
    assert given == [bytes(0xD0)]
    assert not inspect.signature(adjtimex).parameters
    callers = re.findall(r"_LIBC\.\w+", inspect.getsource(kernel_clock))
    assert callers == ["_LIBC.adjtimex"]


def test_a_refusal_of_the_kernel_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        """Refuses, as a seccomp filter does."""

        def adjtimex(self, buffer: ctypes.Array[ctypes.c_char]) -> int:
            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr(kernel_clock, "_LIBC", Libc())
    with pytest.raises(OSError, match="Operation not permitted"):
        read_kernel_clock()
