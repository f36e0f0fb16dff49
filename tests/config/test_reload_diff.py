"""What a reload may change, what it starts anew for that, and what it names as needing a restart."""

from __future__ import annotations

import pytest

from nanotape.config import Settings, loads
from nanotape.config.reload_diff import ReloadDiff, reload_diff

CHANNELS = {name: f"239.1.1.{number}" for number, name in enumerate("abcd", start=1)}


def settings(names: str = "abc", tables: str = "", kind: str = "packet", source: str = "", **groups: str) -> Settings:
    """With a channel for each letter."""
    channels = "".join(
        f'[[channel]]\nname = "{name}"\nfeed = "f"\n'
        f'[[channel.line]]\ngroup = "{groups.get(name, CHANNELS[name])}"\nport = 1000\n'
        for name in names
    )
    return loads(f'[source]\nkind = "{kind}"\ninterface = "eth1"\n{source}\n{tables}\n{channels}').of_ring()


def test_the_same_configuration_changes_nothing() -> None:
    assert reload_diff(settings(), settings()) == ReloadDiff()


@pytest.mark.parametrize(
    ("tables", "changed", "parts"),
    [
        ('[recorder]\ncompression = "lz4"', "recorder.compression", {"recorder"}),
        ('[feeds]\nstale_after = "9s"', "feeds.stale_after", {"recorder"}),
        ("[loop]\nbatch = 32", "loop.batch", {"capture"}),
        ('[archive]\ngrace = "9s"', "archive.grace", {"recorder"}),
        ('[session.day]\nzone = "UTC"\nopen = "09:00"\nclose = "17:00"\n', "session.day", {"recorder"}),
    ],
)
def test_settings_that_may_change_start_only_their_part_anew(tables: str, changed: str, parts: set[str]) -> None:
    found = reload_diff(settings(), settings(tables=tables))
    assert (found.changed, set(found.parts), found.refused, found.interrupts) == ((changed,), parts, (), False)


@pytest.mark.parametrize(
    ("tables", "refused"),
    [
        ('[ring]\ncapacity = "1 MiB"', ("ring.capacity",)),
        ('[paths]\narchive = "/x"\nshm_dir = "/y"', ("paths.archive", "paths.shm_dir")),
        ('[user]\nrecord = "x"', ("user.record",)),
        ('[recorder]\nname = "x"\ncompression = "lz4"', ("recorder.name",)),
        ('[clock]\nmode = "none"', ("clock.mode",)),
        ('[control]\ngroup = "ops"', ("control.group",)),
    ],
)
def test_what_needs_a_restart_is_named_by_its_key(tables: str, refused: tuple[str, ...]) -> None:
    assert reload_diff(settings(), settings(tables=tables)).refused == refused


def test_another_kind_of_source_or_interface_is_named() -> None:
    assert reload_diff(settings(), settings(kind="socket")).refused == ("source.kind",)
    other = loads(
        '[source]\nkind = "packet"\ninterface = "eth1"\n[[channel]]\nname = "a"\nfeed = "f"\n[[channel.line]]\n'
        'group = "239.1.1.1"\nport = 1000\ninterface = "eth2"\n'
    ).of_ring()
    refused = reload_diff(settings("a"), other).refused
    assert refused == ("channel.line.interface eth2", "channel.line.interface eth1")


def test_channels_that_come_go_and_change_are_told_apart() -> None:
    found = reload_diff(settings("abc"), settings("bcd", c="239.9.9.9"))
    assert (found.added, found.removed, found.altered) == (("d",), ("a",), ("c",))
    assert found.changed == ("channel d", "channel a", "channel c")
    assert {"capture", "recorder"} <= found.parts
    assert found.refused == ()


@pytest.mark.parametrize(
    ("kind", "source", "before", "after", "interrupts"),
    [
        ("packet", "", "abc", "ab", False),
        ("packet", "", "abc", "abcd", True),
        ("packet", 'select = "multicast"\njoin = "none"', "abc", "bcd", False),
        ("packet", 'select = "multicast"', "abc", "bcd", True),
        ("afxdp", "", "abc", "ab", False),
        ("afxdp", "", "abc", "bcd", False),
        ("socket", "", "abc", "ab", True),
    ],
)
def test_it_is_known_whether_packets_of_channels_that_stay_are_lost(
    kind: str, source: str, before: str, after: str, interrupts: bool
) -> None:
    found = reload_diff(*(settings(each, kind=kind, source=source) for each in (before, after)))
    assert found.interrupts is interrupts
    assert found.hands_over is (kind == "afxdp")
    assert ("holder" in found.parts) is (found.hands_over or (interrupts and kind != "socket"))
