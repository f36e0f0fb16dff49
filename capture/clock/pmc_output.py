"""What `pmc` prints, as typed facts: replies by management id, as linuxptp's pmc.c writes them, 3.1 to 4.4.

A line that is nothing of the kind is skipped and counted, never an error. A field that this table does not know is kept
as text: a later version may have more.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

Value = int | float | bool | str

_HEADER = re.compile(
    r"\t(?P<clock>[0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6})-(?P<port>\d{1,5}) seq \d{1,5} "
    r"[A-Z]+ ?(?:MANAGEMENT (?P<id>[A-Z0-9_]+)|MANAGEMENT empty-tlv|MANAGEMENT|MANAGEMENT_ERROR_STATUS|unknown-tlv)? ?",
    re.ASCII,
)
_FIELD = re.compile(r"\t\t(?P<key>\S+)(?:[ \t]+(?P<text>.*\S))?\s*")
_SENDING = re.compile(r"sending: (?:GET|SET|COMMAND|RESPONSE|ACKNOWLEDGE) [A-Z0-9_]+")
_BAD_COMMAND = re.compile(r"bad command: (?:GET )?(?P<id>.*)")
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)
_PHASE = re.compile(r"0x(?P<high>[0-9a-f]{4})'(?P<low>[0-9a-f]{16})\.(?P<part>[0-9a-f]{4})", re.ASCII)
_IDENTITY = re.compile(r"[0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6}(?:-\d{1,5})?", re.ASCII)


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _hex(text: str) -> int | None:
    return int(text, 16) if _HEX.fullmatch(text) else None


def _real(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _flag(text: str) -> bool | None:
    return {"0": False, "1": True, "false": False, "true": True}.get(text)


def _identity(text: str) -> str | None:
    return text if _IDENTITY.fullmatch(text) else None


def _phase_ns(text: str) -> float | None:
    """A ScaledNs: 80 bits of nanoseconds, signed, and 16 of their fraction."""
    found = _PHASE.fullmatch(text)
    if not found:
        return None
    scaled = int(found["high"] + found["low"] + found["part"], 16)
    return (scaled - (1 << 96) if scaled >> 95 else scaled) / 65536


def _text(text: str) -> str | None:
    return text


_Kinds = Mapping[str, Callable[[str], Value | None]]
_TIME_FLAGS: _Kinds = {
    "currentUtcOffset": _whole,
    "leap61": _flag,
    "leap59": _flag,
    "currentUtcOffsetValid": _flag,
    "ptpTimescale": _flag,
    "timeTraceable": _flag,
    "frequencyTraceable": _flag,
    "timeSource": _hex,
}
_QUALITY: _Kinds = {"clockClass": _whole, "clockAccuracy": _hex, "offsetScaledLogVariance": _hex}
_MESSAGES = (
    *("Sync", "Delay_Req", "Pdelay_Req", "Pdelay_Resp", "Follow_Up", "Delay_Resp", "Pdelay_Resp_Follow_Up"),
    *("Announce", "Signaling", "Management"),
)
_SERVICES = (
    *("announce_timeout", "sync_timeout", "delay_timeout", "unicast_service_timeout", "unicast_request_timeout"),
    *("master_announce_timeout", "master_sync_timeout", "qualification_timeout", "sync_mismatch", "followup_mismatch"),
)
FIELDS: Mapping[str, _Kinds] = {
    "TIME_STATUS_NP": {
        "master_offset": _whole,
        "ingress_time": _whole,
        "cumulativeScaledRateOffset": _real,
        "scaledLastGmPhaseChange": _whole,
        "gmTimeBaseIndicator": _whole,
        "lastGmPhaseChange": _phase_ns,
        "gmPresent": _flag,
        "gmIdentity": _identity,
    },
    "CURRENT_DATA_SET": {"stepsRemoved": _whole, "offsetFromMaster": _real, "meanPathDelay": _real},
    "PARENT_DATA_SET": {
        "parentPortIdentity": _identity,
        "parentStats": _whole,
        "observedParentOffsetScaledLogVariance": _hex,
        "observedParentClockPhaseChangeRate": _hex,
        "grandmasterPriority1": _whole,
        "gm.ClockClass": _whole,
        "gm.ClockAccuracy": _hex,
        "gm.OffsetScaledLogVariance": _hex,
        "grandmasterPriority2": _whole,
        "grandmasterIdentity": _identity,
    },
    "TIME_PROPERTIES_DATA_SET": _TIME_FLAGS,
    "GRANDMASTER_SETTINGS_NP": {**_QUALITY, **_TIME_FLAGS},
    "PORT_DATA_SET": {
        "portIdentity": _identity,
        "portState": _text,
        "logMinDelayReqInterval": _whole,
        "peerMeanPathDelay": _whole,
        "logAnnounceInterval": _whole,
        "announceReceiptTimeout": _whole,
        "logSyncInterval": _whole,
        "delayMechanism": _whole,
        "logMinPdelayReqInterval": _whole,
        "versionNumber": _whole,
    },
    "PORT_PROPERTIES_NP": {
        "portIdentity": _identity,
        "portState": _text,
        "timestamping": _text,
        "interface": _text,
    },
    "PORT_HWCLOCK_NP": {"portIdentity": _identity, "phcIndex": _whole, "flags": _whole},
    "PORT_STATS_NP": {
        "portIdentity": _identity,
        **{f"{way}_{message}": _whole for way in ("rx", "tx") for message in _MESSAGES},
    },
    "PORT_SERVICE_STATS_NP": {"portIdentity": _identity, **dict.fromkeys(_SERVICES, _whole)},
    "DEFAULT_DATA_SET": {
        "twoStepFlag": _flag,
        "slaveOnly": _flag,
        "numberPorts": _whole,
        "priority1": _whole,
        **_QUALITY,
        "priority2": _whole,
        "clockIdentity": _identity,
        "domainNumber": _whole,
    },
}
"""Every field of what nanotape asks, and of what else operators look at, and its type."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of one port; port 0 speaks for the whole clock."""

    identity: str
    """Clock identity of who replied."""
    port: int
    management_id: str
    fields: Mapping[str, Value]
    """By the names that pmc prints; what was not printed, or made no sense, is not there."""

    def whole(self, key: str) -> int | None:
        """A whole number; None: not there."""
        value = self.fields.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def real(self, key: str) -> float | None:
        """A number; None: not there."""
        value = self.fields.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, key: str) -> bool | None:
        """Yes or no; None: not there."""
        value = self.fields.get(key)
        return value if isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        """Text; None: not there."""
        value = self.fields.get(key)
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Answer:
    """All that one call of pmc printed."""

    replies: tuple[Reply, ...]
    not_understood: tuple[str, ...]
    """Management ids that this pmc does not know: 3.1 has no PORT_HWCLOCK_NP."""
    refused: int
    """Replies that were a refusal, or empty."""
    garbage: int
    """Lines, and fields, that were nothing that pmc prints."""

    def all(self, management_id: str) -> tuple[Reply, ...]:
        """Every port's reply, in the order of the ports."""
        found = (reply for reply in self.replies if reply.management_id == management_id)
        return tuple(sorted(found, key=lambda reply: reply.port))

    def one(self, management_id: str) -> Reply | None:
        """The first port's reply; None: there was none."""
        return next(iter(self.all(management_id)), None)

    def with_replies(self, replies: Iterable[Reply]) -> "Answer":
        """Itself, and what was asked elsewhere."""
        return replace(self, replies=(*self.replies, *replies))


def parse(printed: str) -> Answer:
    """Reads what pmc printed, on standard output or on both."""
    replies: list[Reply] = []
    unknown: list[str] = []
    refused = garbage = 0
    fields: dict[str, Value] | None = None
    for line in printed.split("\n"):
        header = _HEADER.fullmatch(line)
        if header:
            fields = None
            if header["id"]:
                fields = {}
                replies.append(Reply(header["clock"], int(header["port"]), header["id"], fields))
            else:
                refused += 1
        elif line.startswith("\t\t"):
            garbage += 0 if fields is not None and _put(line, replies[-1].management_id, fields) else 1
        else:
            fields = None
            bad = _BAD_COMMAND.fullmatch(line)
            if bad:
                unknown.append(bad["id"])
            elif line.strip() and not _SENDING.fullmatch(line):
                garbage += 1
    return Answer(tuple(replies), tuple(unknown), refused, garbage)


def _put(line: str, management_id: str, fields: dict[str, Value]) -> bool:
    """Adds a field; False: it makes no sense."""
    found = _FIELD.fullmatch(line)
    if not found:
        return False
    value = FIELDS.get(management_id, {}).get(found["key"], _text)(found["text"] or "")
    if value is None:
        return False
    fields[found["key"]] = value
    return True
