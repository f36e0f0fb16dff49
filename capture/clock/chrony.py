"""What chronyd says of the system's clock, by `chronyc -c`: comma-separated values. Only asks.

The fields are those of chronyc(1), `tracking` and `sources`; signs as found with chronyd 4.3. Lines that are neither
are counted, and None is unknown: of a chronyd that does not answer there is no observation, but a reason.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from nanotape.capture.clock.observation import SYSTEM, Observation

TIMEOUT_S = 2.0
"""chronyc itself tries for some seconds; a look at the clocks must not wait so long."""
NOT_SYNCHRONISED = "Not synchronised"
_LEAPS = {"Normal": 0, "Insert second": 1, "Delete second": -1, NOT_SYNCHRONISED: None}
_NO_REFERENCE, _LOCAL_REFERENCE = "00000000", "7F7F0101"
_TRACKING_FIELDS, _SOURCE_FIELDS = 14, 10
_MODES, _STATES = ("^", "=", "#"), ("*", "+", "-", "?", "x", "~")

Ask = Callable[[], str]
"""Gives chronyc's output; OSError says why there is none."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """A line of `tracking`, in the signs of an Observation: clock minus reference, correction in force."""

    reference_id: str
    name: str
    stratum: int
    reference_time_ns: int
    """When the reference was last measured; 0: never."""
    offset_ns: float
    last_offset_ns: float
    rms_offset_ns: float
    freq_ppb: float
    residual_freq_ppb: float
    skew_ppb: float
    root_delay_ns: float
    root_dispersion_ns: float
    update_interval_s: float
    leap_status: str

    @property
    def is_synchronised(self) -> bool:
        """Whether there is a reference that is somebody else."""
        has_reference = self.reference_id not in (_NO_REFERENCE, _LOCAL_REFERENCE)
        return has_reference and self.leap_status != NOT_SYNCHRONISED

    @property
    def bound_ns(self) -> float:
        """Root distance, with what is not corrected yet: chronyc(1) gives the formula as that of the clock's error."""
        return abs(self.offset_ns) + self.root_dispersion_ns + self.root_delay_ns / 2


@dataclass(frozen=True, slots=True)
class Source:
    """A line of `sources`."""

    mode: str
    """`^` server, `=` peer, `#` reference clock."""
    state: str
    """`*` selected, `+` combined with it, `-` `?` `x` `~` not taken."""
    name: str
    reach: int
    """A bit for each of the last eight polls, the newest lowest; 0: nothing was heard in all of them."""

    @property
    def is_followed(self) -> bool:
        """Whether it is taken, and heard."""
        return self.state in ("*", "+") and self.reach != 0


@dataclass(frozen=True, slots=True)
class ChronyLook:
    """One look at chronyd."""

    observation: Observation | None
    garbage: int
    """Lines that could not be read."""
    reason: str | None = None
    """Why there is no observation."""


def chronyc(server: str | None = None, timeout_s: float = TIMEOUT_S) -> str:
    """Output of `tracking`, then of `sources`. Names are not resolved: that could take longer than the look itself.

    Args:
        server: Address or socket of chronyd; None: where chronyc looks itself.
        timeout_s: After that the answer is given up.

    Raises:
        OSError: There is no chronyc, or chronyd does not answer.
    """
    place = [] if server is None else ["-h", server]
    command = ["chronyc", *place, "-n", "-c", "-m", "tracking", "sources"]
    try:
        done = subprocess.run(
            command, check=False, input="", capture_output=True, text=True, errors="replace", timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"chronyd does not answer within {timeout_s:g} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise ConnectionError(f"chronyd does not answer: chronyc says {said!r}")
    return done.stdout


def observe_chrony(at_ns: int, ask: Ask = chronyc) -> ChronyLook:
    """One look.

    Args:
        at_ns: UTC, now.
        ask: Gives chronyc's output.
    """
    try:
        text = ask()
    except FileNotFoundError:
        return ChronyLook(None, 0, "chronyc is not installed")
    except OSError as error:
        return ChronyLook(None, 0, str(error))
    tracking, sources, garbage = parse_chronyc(text.splitlines())
    if tracking is None:
        return ChronyLook(None, garbage, "chronyc gave no line of tracking")
    return ChronyLook(_observation(at_ns, tracking, sources), garbage)


def parse_chronyc(lines: Sequence[str]) -> tuple[Tracking | None, tuple[Source, ...], int]:
    """The last line of `tracking`, all of `sources`, and how many lines were neither."""
    tracking: Tracking | None = None
    sources: list[Source] = []
    garbage = 0
    for line in filter(None, map(str.strip, lines)):
        fields = line.split(",")
        read = _tracking(fields) or _source(fields)
        if isinstance(read, Tracking):
            tracking = read
        elif read is not None:
            sources.append(read)
        else:
            garbage += 1
    return tracking, tuple(sources), garbage


def _tracking(fields: Sequence[str]) -> Tracking | None:
    if len(fields) != _TRACKING_FIELDS or fields[-1] not in _LEAPS:
        return None
    try:
        number = [Decimal(field) for field in fields[3:-1]]
        stratum, reference = int(fields[2]), int(fields[0], 16)
    except (ValueError, InvalidOperation):
        return None
    if not all(map(Decimal.is_finite, number)) or len(fields[0]) != 8:
        return None
    reference_time, offset, last, rms, freq, residual, skew, delay, dispersion, interval = number
    return Tracking(
        f"{reference:08X}",
        fields[1],
        stratum,
        int(reference_time * 10**9),
        # chronyc gives the correction that the clock still needs: positive, the clock is slow. Tried: a reference
        # 1 ms ahead of the clock gives +0.001, which `chronyc tracking` words "slow of NTP time".
        -float(offset * 10**9),
        -float(last * 10**9),
        float(rms * 10**9),
        # The clock's own error of frequency, positive where it is fast: the correction in force is its opposite.
        -float(freq * 1000),
        float(residual * 1000),
        float(skew * 1000),
        float(delay * 10**9),
        float(dispersion * 10**9),
        float(interval),
        fields[-1],
    )


def _source(fields: Sequence[str]) -> Source | None:
    if len(fields) != _SOURCE_FIELDS or fields[0] not in _MODES or fields[1] not in _STATES:
        return None
    try:
        return Source(fields[0], fields[1], fields[2], int(fields[5], 8))
    except ValueError:
        return None


def _observation(at_ns: int, tracking: Tracking, sources: Sequence[Source]) -> Observation:
    synchronised = tracking.is_synchronised
    # chronyd stays synchronised, with a growing dispersion, long after its last source went: `sources` shows it. The
    # reference time is no mark of a measurement to go by, for NTP measures each minute or each quarter of an hour.
    hears = any(source.is_followed for source in sources) if sources else synchronised
    notes = []
    if tracking.reference_id == _LOCAL_REFERENCE:
        notes.append("chronyd follows nobody: it serves its own clock (`local`)")
    elif synchronised and not hears:
        notes.append(f"chronyd hears no source any more; its last was {tracking.name or tracking.reference_id}")
    return Observation(
        clock=SYSTEM,
        at_ns=at_ns,
        source="chrony",
        method="chronyc",
        has_master=synchronised and hears,
        is_disciplined=synchronised,
        offset_ns=tracking.offset_ns if synchronised else None,
        freq_ppb=tracking.freq_ppb,
        grandmaster=(tracking.name or tracking.reference_id) if synchronised else None,
        leap=_LEAPS[tracking.leap_status],
        bound_ns=tracking.bound_ns if synchronised else None,
        bound_of=tracking.reference_time_ns if synchronised else None,
        notes=tuple(notes),
    )
