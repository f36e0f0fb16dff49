"""Events as rows: what is written of each, and which fit what somebody looks for. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from rich.text import Text

from nanotape.tui import style, words

Event = dict[str, Any]
SEVERITIES = ("info", "warning", "error")
_STYLES = {"info": "", "warning": style.WARNING, "error": style.ERROR}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What is looked for; empty: everything."""

    kind: str = ""
    least: str = "info"
    """The lowest severity."""
    typed: str = ""
    """Words: `channel:NAME` wants that channel, any other one stands somewhere in the event."""

    @property
    def is_open(self) -> bool:
        """Whether it lets everything through."""
        return self == EventFilter()

    def fits(self, event: Event) -> bool:
        """Whether an event is looked for."""
        if self.kind and event["kind"] != self.kind:
            return False
        if SEVERITIES.index(self.least) > _rank(event["severity"]):
            return False
        return all(_has(event, word) for word in self.typed.lower().split())

    def next_kind(self, events: Iterable[Event]) -> "EventFilter":
        """With the kind after its own, of those that there are; after the last: all."""
        kinds = ["", *sorted({event["kind"] for event in events})]
        at = kinds.index(self.kind) if self.kind in kinds else 0
        return replace(self, kind=kinds[(at + 1) % len(kinds)])

    def next_severity(self) -> "EventFilter":
        """With the next higher severity as the lowest; after error: all."""
        return replace(self, least=SEVERITIES[(SEVERITIES.index(self.least) + 1) % len(SEVERITIES)])

    @property
    def words(self) -> str:
        """What it wants, for people."""
        parts = [self.kind, f"{self.least} and worse" if self.least != "info" else "", self.typed]
        return ", ".join(each for each in parts if each) or "all"


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def _has(event: Event, word: str) -> bool:
    name, colon, value = word.partition(":")
    if colon and name in ("channel", "line", "ring", "kind", "host", "stage", "cause"):
        return str(event[name] or "").lower() == value
    return word in event_words(event).lower() or word in str(event["kind"]) or word in str(event["severity"])


def event_key(event: Event) -> object:
    """What tells an event from others."""
    return event["id"]


def event_severity(event: Event) -> tuple[str, str]:
    """The severity's word and its colour."""
    severity = words.printable(str(event["severity"]))
    return severity, _STYLES.get(severity, "")


def event_place(event: Event) -> str:
    """Where it befell: channel and line, or the ring, or the host."""
    if event["channel"]:
        return "/".join(each for each in (event["channel"], event["line"]) if each)
    return str(event["ring"] or event["host"] or words.UNKNOWN)


def event_words(event: Event) -> str:
    """What befell, without when, how bad and what kind."""
    return "  ".join(_parts(event))


def _parts(event: Event) -> Iterator[str]:
    if event["ts_end"] is not None and event["ts_end"] != event["ts_start"]:
        length_ns = event["ts_end"] - event["ts_start"]
        yield f"for {words.seconds(length_ns / 1e9) if length_ns >= 10**9 else words.nanoseconds(length_ns)}"
    yield event_place(event)
    if event["seq_kind"]:
        yield f"{event['seq_kind']} {event['seq_first']}..{event['seq_last']}"
    if event["packets_lost"] is not None:
        yield f"{event['packets_lost']:,} packets"
    if event["messages_lost"] is not None:
        yield f"{event['messages_lost']:,} messages"
    yield from (f"{name} {event[name]}" for name in ("cause", "stage", "filled_by") if event[name])
    if event["detail"]:
        yield str(event["detail"])


def event_text(event: Event) -> Text:
    """One event in a line."""
    severity, styled = event_severity(event)
    return Text.assemble(
        f"{words.date_time(event['ts_start'])[5:]} ",
        (f"{severity:<8}", styled),
        f"{words.printable(str(event['kind'])):<12} ",
        words.printable(event_words(event)),
    )
