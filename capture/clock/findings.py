"""What `nanotape status` says of clocks: a warning for each that is not locked. Packets are captured all the same."""

from collections.abc import Mapping
from typing import Any

from nanotape.capture.clock.status import ClockStatus
from nanotape.capture.findings import Finding, Severity

_DO = {
    "unknown": "see who should discipline it: nanotape clock",
    "free-running": "see why no master is heard: nanotape clock",
    "acquiring": "nothing, if it was just started; else see its offset: nanotape clock",
    "holdover": "see to its master; until it is heard again the error grows",
}


def clock_findings(found: ClockStatus | None) -> tuple[Finding, ...]:
    """One for each clock that is not locked, and for each thing that is wrong.

    Args:
        found: None: no clock service runs, and nothing is known.
    """
    if found is None:
        return ()
    loose = [each for each in found.clocks if each["state"] != "locked"]
    told = [Finding(Severity.WARNING, None, _what(each), _DO.get(str(each["state"]), _DO["unknown"])) for each in loose]
    lines = dict.fromkeys(line for line in found.findings if not any(line in each["why"] for each in loose))
    return (*told, *(Finding(Severity.WARNING, None, f"clock: {line}", "see nanotape clock") for line in lines))


def _what(clock: Mapping[str, Any]) -> str:
    error = clock["error_ns"]
    bound = "its error is unknown" if error is None else f"its error is at most {error:,} ns"
    return f"clock {clock['clock']} is {clock['state']}, {bound}: {clock['why']}"
