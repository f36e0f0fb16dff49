"""The clocks of a service's NICs, as the clock service measures them: what the plan says, and when it is wrong.

A NIC whose clock turns out to be in another domain has its capture started anew: what waits in RX rings is not lost,
stamps taken for what they are not would be.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from nanotape.capture.clock.journal import is_current, read_state
from nanotape.capture.errors import RingError
from nanotape.capture.plan import NicClock
from nanotape.capture.ring import Ring

INTERVAL_S = 5.0
_DOMAINS = ("utc", "tai", "free", "unknown")
_NIC = "nic"


def measured(run_directory: Path, now_ns: int, planned: Mapping[str, NicClock] | None = None) -> Mapping[str, NicClock]:
    """What is known of each interface's clock; nothing while no clock service tells.

    Args:
        run_directory: Where it tells.
        now_ns: UTC.
        planned: What is in force; stays where it comes to the same.
    """
    state = read_state(run_directory)
    if state is None or not is_current(state, now_ns):
        return {}
    with suppress(KeyError, TypeError):  # a state that is none of ours must not end a capture
        told = state["interfaces"]
        known = [each for each in told if each["domain"] in _DOMAINS]
        return {str(each["interface"]): _clock(each, (planned or {}).get(each["interface"])) for each in known}
    return {}


def _clock(told: Mapping[str, object], planned: NicClock | None) -> NicClock:
    if planned is not None and (planned.domain, planned.tai_offset_s) == (told["domain"], told["utc_offset_s"]):
        return planned  # whoever says so now, as when a master is lost and the kernel still knows
    offset = told["utc_offset_s"] if told["utc_offset_source"] != "kernel" else None
    return NicClock(told["domain"], offset if isinstance(offset, int) else None)  # type: ignore[arg-type]


class ServiceClocks:
    """What a service knows of them."""

    def __init__(
        self,
        run_directory: Path,
        uses_nic_stamps: Callable[[], bool],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Looks once: what the plan is to say.

        Args:
            run_directory: Where the clock service tells.
            uses_nic_stamps: Whether any packet of the service is stamped by its NIC.
            log: Takes one line for each change that matters.
            clock: Seconds.
            utc_ns: Now.
        """
        self._run_directory, self._uses_nic_stamps, self._log = run_directory, uses_nic_stamps, log
        self._clock, self._utc_ns = clock, utc_ns
        self.planned = measured(run_directory, utc_ns())
        """By interface, as the plan in force has it."""
        self._due = clock() + INTERVAL_S

    @property
    def wait_s(self) -> float:
        """How long there is nothing to do."""
        return max(self._due - self._clock(), 0.0)

    def look(self) -> bool:
        """Whether the plan has to be written anew, and the capture started with it; then `planned` is what to write.

        What nobody tells just now is as it was.
        """
        if self._clock() < self._due:
            return False
        self._due = self._clock() + INTERVAL_S
        now = {**self.planned, **measured(self._run_directory, self._utc_ns(), self.planned)}
        changed = [name for name, each in now.items() if each != self.planned.get(name, NicClock())]
        if not changed or not self._uses_nic_stamps():
            return False
        for name in changed:
            was, each = self.planned.get(name, NicClock()), now[name]
            self._log(f"{name}: its clock was {_words(was)} and is {_words(each)}: the capture is started anew with it")
        self.planned = now
        return True


def _words(clock: NicClock) -> str:
    offset = "" if clock.tai_offset_s is None else f", {clock.tai_offset_s} s from UTC"
    return f"{clock.domain}{offset}"


def stamped_by_nics(ring: str, shm_directory: Path) -> Callable[[], bool]:
    """Says of a ring whether one of its sources is; of one that cannot be read just now: no."""

    def uses_nic_stamps() -> bool:
        try:
            with Ring.open(ring, shm_directory) as opened:
                kinds: Sequence[str | None] = [source.stamp_kind for source in opened.sources()]
        except RingError:
            return False
        return _NIC in kinds

    return uses_nic_stamps
