"""What a supervisor that executes itself anew leaves to itself: holders, captures and locks, by their descriptors.

The kernel keeps process id, children and descriptors across execve(2); what is known of them goes by the environment.
"""

import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field

VARIABLE = "NANOTAPE_INHERITED"


@dataclass(frozen=True, slots=True)
class InheritedChild:
    """A process that goes on."""

    pid: int
    stdout: int
    """What it says."""
    tie: int
    """A holder's succession, a capture's lifeline: it ends when the last copy is closed."""


@dataclass(frozen=True, slots=True)
class InheritedRing:
    """What goes on of one ring."""

    lock: int
    children: Mapping[str, InheritedChild] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)


def leave(rings: Mapping[str, InheritedRing], environment: MutableMapping[str, str]) -> None:
    """Has the program that is executed next find the rings, and the descriptors open."""
    for ring in rings.values():
        for each in (ring.lock, *(fd for child in ring.children.values() for fd in (child.stdout, child.tie))):
            os.set_inheritable(each, True)
    environment[VARIABLE] = json.dumps({name: asdict(ring) for name, ring in rings.items()})


def take(environment: MutableMapping[str, str] = os.environ) -> dict[str, InheritedRing]:
    """The rings that the program before this one has left to it; none when it was started as usual.

    What cannot be read is closed by no one: the processes end with this one.
    """
    told = environment.pop(VARIABLE, "")
    try:
        found = {name: _ring(each) for name, each in json.loads(told or "{}").items()}
    except (ValueError, TypeError, KeyError, AttributeError):  # of a version that leaves other things
        return {}
    for ring in found.values():
        for each in (ring.lock, *(fd for child in ring.children.values() for fd in (child.stdout, child.tie))):
            os.set_inheritable(each, False)
    return found


def _ring(told: Mapping[str, object]) -> InheritedRing:
    children, restarts = told["children"], told["restarts"]
    if not isinstance(children, dict) or not isinstance(restarts, dict):
        raise TypeError("children")
    kept = {
        name: InheritedChild(int(each["pid"]), int(each["stdout"]), int(each["tie"])) for name, each in children.items()
    }
    return InheritedRing(int(str(told["lock"])), kept, {str(name): int(count) for name, count in restarts.items()})
