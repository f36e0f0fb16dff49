"""A reload of several rings: all is judged before anything is done, and parts are ended and begun in order."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nanotape.capture.errors import PlaceUnusable, ReloadRefused, ServiceError
from nanotape.capture.reload import Reload
from nanotape.config import ConfigError, Settings, loads

BOTH = '[[ring]]\nname = "a"\n[[ring]]\nname = "b"\n'


class FakeService:
    """Notes what is done to it."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts, self.calls = parts, list[str]()
        self.settings: Settings | None = None
        self.fails_on: Settings | None = None
        self.is_full, self.never_begins = False, False

    def pid(self, name: str) -> int | None:
        return 7 if name in self.parts else None

    def go_over(self, settings: Settings) -> None:
        if self.is_full:
            raise PlaceUnusable("plan: cannot be written: No space left on device")
        self.settings = settings

    def end(self, name: str) -> None:
        self.calls.append(f"end {name}")

    def put_off(self, name: str) -> None:
        self.calls.append(f"put off {name}")

    def begin_anew(self, name: str) -> None:
        self.calls.append(f"begin {name}")
        if self.never_begins or self.settings is self.fails_on is not None:
            raise ServiceError(f"{name}: ended before it was ready")


class FakeRun:
    """One ring, which does what it is asked at once."""

    def __init__(self, settings: Settings, parts: tuple[str, ...]) -> None:
        self.settings, self.service, self.has_ended = settings, FakeService(parts), False
        self.name = settings.ring.name

    def ask(self, do: Callable[[Any], Any], _timeout_s: float) -> Any:
        return do(self.service)


class Host:
    """Two rings and the configuration that is on disk."""

    def __init__(self, parts: tuple[str, ...] = ("holder", "capture", "recorder")) -> None:
        self.text, self.lines = BOTH, list[str]()
        self.runs = [FakeRun(each, parts) for each in self.read()]
        services = SimpleNamespace(runs=self.runs)
        self.reload = Reload(services, self.read, self.lines.append)  # type: ignore[arg-type]

    def read(self) -> list[Settings]:
        whole = loads(self.text)
        return [whole.of_ring(name) for name in whole.rings]

    @property
    def calls(self) -> list[list[str]]:
        return [run.service.calls for run in self.runs]


def test_nothing_is_done_where_nothing_has_changed() -> None:
    host = Host()
    assert [each["changed"] for each in host.reload()["rings"]] == [[], []]
    assert host.calls == [[], []]


def test_one_ring_that_cannot_change_keeps_the_other_from_changing() -> None:
    host = Host()
    host.text = BOTH.replace('"a"\n', '"a"\ncapacity = "1 MiB"\n') + '[recorder]\ncompression = "lz4"\n'
    with pytest.raises(ReloadRefused, match=r"^ring\.capacity: cannot change while a service runs"):
        host.reload()
    assert host.calls == [[], []]


def test_rings_that_come_or_go_are_refused_by_name() -> None:
    host = Host()
    host.text = BOTH.replace('"b"', '"c"')
    with pytest.raises(ReloadRefused, match=r"^ring b, ring c: cannot change"):
        host.reload()


def test_a_configuration_that_is_wrong_changes_nothing() -> None:
    host = Host()
    host.text += "[nonsense]\n"
    with pytest.raises(ConfigError):
        host.reload()
    assert host.calls == [[], []]


def test_parts_are_ended_and_begun_in_order_and_only_those() -> None:
    host = Host()
    host.text = BOTH + '[recorder]\ncompression = "lz4"\n[loop]\nbatch = 32\n'
    told = host.reload()["rings"]
    assert host.calls == [["end recorder", "end capture", "begin capture", "begin recorder"]] * 2
    assert told[0]["started_anew"] == ["capture", "recorder"]
    assert host.runs[0].settings.recorder.compression == "lz4"


def test_a_recorder_of_somebody_else_is_not_told_to_have_been_started() -> None:
    host = Host(parts=("capture",))
    host.text = BOTH + '[recorder]\ncompression = "lz4"\n'
    told = host.reload()["rings"]
    assert (told[0]["changed"], told[0]["started_anew"]) == (["recorder.compression"], [])
    assert host.calls == [[], []]


def test_what_does_not_begin_goes_back_and_is_told() -> None:
    host = Host()
    before = host.runs[0].settings
    host.text = BOTH + "[loop]\nbatch = 32\n"
    wanted = host.read()
    host.read = lambda: wanted  # type: ignore[method-assign]
    host.reload = Reload(SimpleNamespace(runs=host.runs), host.read, host.lines.append)  # type: ignore[arg-type]
    host.runs[0].service.fails_on = wanted[0]
    with pytest.raises(ServiceError, match="capture: ended before it was ready"):
        host.reload()
    service = host.runs[0].service
    assert service.calls == ["end capture", "begin capture", "end capture", "begin capture"]
    assert service.settings is before is host.runs[0].settings


def test_rings_that_went_over_before_one_that_cannot_are_named() -> None:
    host = Host()
    host.text = BOTH + "[loop]\nbatch = 32\n"
    host.runs[1].service.never_begins = True
    said = "ring b: capture: ended before it was ready; gone over before it: ring a"
    with pytest.raises(ServiceError, match=f"^{said}$"):
        host.reload()
    assert [run.settings.loop.batch == 32 for run in host.runs] == [True, False]


def test_what_does_not_begin_by_the_old_configuration_either_is_tried_again_later() -> None:
    host = Host()
    host.text = BOTH + '[recorder]\ncompression = "lz4"\n[loop]\nbatch = 32\n'
    service = host.runs[0].service
    service.never_begins = True
    with pytest.raises(ServiceError, match="capture: ended before it was ready"):
        host.reload()
    begun = ["begin capture", "put off capture", "begin recorder", "put off recorder"]
    assert service.calls == ["end recorder", "end capture", "begin capture", "end recorder", "end capture", *begun]


def test_where_the_new_configuration_cannot_be_written_down_nothing_is_ended() -> None:
    host = Host()
    host.text = BOTH + "[loop]\nbatch = 32\n"
    host.runs[0].service.is_full = True
    with pytest.raises(ServiceError, match=r"^ring a: plan: cannot be written"):
        host.reload()
    assert host.calls == [[], []]


def test_a_gap_is_refused_unless_it_is_accepted() -> None:
    channel = '[[channel]]\nname = "x"\nfeed = "f"\nring = "a"\n[[channel.line]]\ngroup = "239.1.1.1"\nport = 1\n'
    other = channel.replace('"x"', '"y"').replace("239.1.1.1", "239.1.1.2")
    host = Host()
    both = '[source]\nkind = "packet"\ninterface = "eth1"\nselect = "multicast"\n'
    host.text = BOTH.replace("[[ring]]", both + "[[ring]]", 1).replace(
        '"b"\n', '"b"\n[ring.source]\ninterface = "eth2"\n'
    )
    host.text += other
    host.runs = [FakeRun(each, ("holder", "capture", "recorder")) for each in host.read()]
    host.reload = Reload(SimpleNamespace(runs=host.runs), host.read, host.lines.append)  # type: ignore[arg-type]
    host.text += channel
    with pytest.raises(ReloadRefused, match=r"^channel x: cannot change without a gap in all channels of ring a"):
        host.reload()
    assert host.calls == [[], []]
    host.reload(interrupt=True)
    assert host.calls[0] == [
        "end recorder", "end holder", "end capture", "begin holder", "begin capture", "begin recorder"
    ]  # fmt: skip
    assert host.calls[1] == []
