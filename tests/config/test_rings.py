"""Several rings in one file: each is settings of its own, each line has its ring, and what cannot be is told once."""

from pathlib import Path

import pytest
from config_mistakes import CHANNEL, lines

from nanotape.config import ConfigError, Settings, flows, interfaces, load, loads
from nanotape.config.show import effective, effective_json, json_schema, summary, summary_text

TWO = """\
[source]
descriptors = 4096
[loop]
batch = 32
[recorder]
rotate_interval = "5min"
[[ring]]
name = "a"
[ring.source]
interface = "eth0"
[ring.loop]
core = 2
[[ring]]
name = "b"
capacity = "1 GiB"
[ring.source]
interface = "eth1"
descriptors = 8192
[ring.recorder]
rotate_interval = "1min"
"""
ITCH = f"""\
{CHANNEL}[[channel.line]]
name = "A"
group = "239.0.0.1"
port = 1
interface = "eth0"
[[channel.line]]
name = "B"
group = "239.0.0.2"
port = 2
interface = "eth1"
"""
OTHER = '[[channel]]\nname = "d"\nfeed = "g"\nring = "b"\nline = [{ group = "239.0.0.3", port = 3 }]\n'
RINGS = '[[ring]]\nname = "a"\n[ring.source]\ninterface = "eth0"\n[[ring]]\nname = "b"\n'
LINE = '[[channel.line]]\ngroup = "239.0.0.1"\nport = 1\n'


@pytest.fixture
def two() -> Settings:
    return loads(TWO + ITCH + OTHER, "x.toml")


def test_each_ring_is_settings_of_its_own(two: Settings) -> None:
    assert two.rings == ("a", "b")
    a, b = (two.of_ring(name) for name in two.rings)
    assert (a.ring.name, a.ring.capacity_bytes, a.source.interface, a.loop.core) == ("a", 256 << 20, "eth0", 2)
    assert (b.ring.name, b.ring.capacity_bytes, b.source.interface, b.loop.core) == ("b", 1 << 30, "eth1", None)
    assert [(line.channel, line.line, line.port) for line in flows(a)] == [("c", "A", 1)]
    assert [(line.channel, line.line, line.port) for line in flows(b)] == [("c", "B", 2), ("d", "A", 3)]
    assert (interfaces(a), interfaces(b), interfaces(two)) == (["eth0"], ["eth1"], ["eth0", "eth1"])
    assert flows(two) == [*flows(a), *flows(b)]
    assert (a.paths, a.user, a.host, a.rings) == (two.paths, two.user, two.host, ("a",))
    assert a.of_ring("a") == a.of_ring() == a


def test_what_a_ring_leaves_unset_is_as_in_the_tables_at_the_top(two: Settings) -> None:
    a, b = (two.of_ring(name) for name in two.rings)
    assert (a.source.descriptors, b.source.descriptors) == (4096, 8192)
    assert (a.loop.batch, b.loop.batch) == (32, 32)
    assert (a.recorder.rotate_interval, b.recorder.rotate_interval) == (300 * 10**9, 60 * 10**9)
    assert (a.recorder.fsync, b.recorder.fsync) == ("interval", "interval")


def test_a_value_that_a_ring_sets_to_the_default_is_its_own() -> None:
    found = loads('loop.batch = 32\n[[ring]]\nname = "a"\nloop.batch = 64\n[[ring]]\nname = "b"')
    assert [found.of_ring(name).loop.batch for name in found.rings] == [64, 32]


def test_one_ring_of_several_has_to_be_named(two: Settings) -> None:
    for ask in (lambda: two.of_ring(), lambda: two.ring):
        with pytest.raises(ConfigError, match=r"^x.toml: expected one ring, found several: a, b; say which: --ring"):
            ask()
    with pytest.raises(ConfigError, match=r"^x.toml: expected one of the rings a, b, found c; correct the name"):
        two.of_ring("c")
    with pytest.raises(ConfigError, match=r"expected the ring main, found a;"):
        loads("").of_ring("a")


def test_an_array_of_one_ring_is_one_ring() -> None:
    found = loads(f'[[ring]]\n[ring.source]\ninterface = "eth0"\n{CHANNEL}{LINE}')
    assert (found.rings, found.ring.name, found.of_ring().source.interface) == (("main",), "main", "eth0")
    assert [flow.interface for flow in flows(found)] == ["eth0"]


def test_a_ring_that_is_not_told_apart_by_its_interface_is_named() -> None:
    rings = '[source]\nkind = "synthetic"\n[[ring]]\nname = "a"\n[[ring]]\nname = "b"\n'
    found = loads(f'{rings}{CHANNEL}ring = "a"\n{LINE}{LINE}name = "B"\nring = "b"\n')
    assert [flow.line for name in found.rings for flow in flows(found.of_ring(name))] == ["A", "B"]
    assert loads(f'ring.name = "x"\n{CHANNEL}ring = "x"\n{LINE}interface = "e"').of_ring().rings == ("x",)


def test_a_line_without_an_interface_inherits_the_one_at_the_top_and_goes_to_the_ring_that_does_too() -> None:
    rings = '[source]\ninterface = "eth0"\n[[ring]]\nname = "a"\n[[ring]]\nname = "b"\nsource.interface = "eth1"\n'
    found = loads(f'{rings}{CHANNEL}{LINE}{LINE}name = "B"\ninterface = "eth1"\n')
    lines = [(flow.line, flow.interface) for name in found.rings for flow in flows(found.of_ring(name))]
    assert lines == [("A", "eth0"), ("B", "eth1")]


def test_what_another_rings_channel_sets_is_not_said_of_ours() -> None:
    theirs = f'{CHANNEL}role = "snapshot"\nring = "a"\n{LINE}'
    ours = '[[channel]]\nname = "d"\nfeed = "f"\nring = "b"\n' + LINE + 'interface = "e"\n'
    found = loads(RINGS + theirs + ours)
    view = found.of_ring("b")
    assert [channel.name for channel in view.channel] == ["d"]
    assert view.origins.of(("channel", 0, "role")) is None
    assert view.origins.of(("channel", 0, "line", 0, "interface")) is not None


def test_what_is_in_force_is_shown_for_each_ring_and_loads_to_the_same_settings(two: Settings) -> None:
    assert loads(effective(two)) == two
    origins = effective_json(two)["origins"]
    assert origins["ring[1].source.descriptors"] == "x.toml:18"
    assert origins["ring[0].source.descriptors"] == "x.toml:2"
    assert origins["ring[0].source.fanout"] == "default"
    assert effective_json(two)["settings"]["ring"][0]["source"]["descriptors"] == 4096


def test_a_rings_settings_say_where_they_come_from_and_load_to_the_same(two: Settings) -> None:
    for name in two.rings:
        view = two.of_ring(name)
        assert loads(effective(view)) == view
    shown = effective(view).splitlines()
    assert shown[0] == "# in force: x.toml"
    told = [
        "descriptors = 8192  # x.toml:18",
        "batch = 32  # x.toml:4",
        'name = "b"  # x.toml:14',
        "port = 2  # x.toml:32",
    ]
    assert set(told) <= set(shown)
    assert 'name = "d"  # x.toml:35' in shown
    assert "[ring]" in shown


def test_a_line_that_departs_from_the_ring_of_its_channel_leaves_each_ring_settings_that_load() -> None:
    """The recorder of each ring reads what is in force for that ring, which knows of no other."""
    found = loads(f'{RINGS}{CHANNEL}ring = "b"\n{LINE}ring = "a"\n{LINE}name = "B"\ninterface = "eth1"\n')
    views = [found.of_ring(name) for name in found.rings]
    assert [loads(effective(view)) for view in views] == views
    assert [(channel.ring, line.name) for view in views for channel in view.channel for line in channel.line] == [
        (None, "A"),
        ("b", "B"),
    ]


def test_the_summary_counts_rings_and_tells_each(two: Settings) -> None:
    facts = summary(two)
    assert (facts["channels"], facts["flows"], facts["interfaces"]) == (2, 3, ["eth0", "eth1"])
    assert [(each["ring"], each["flows"], each["source"]) for each in facts["rings"]] == [
        ("a", 1, "afxdp"),
        ("b", 2, "afxdp"),
    ]
    assert summary_text(two).splitlines() == [
        "x.toml: fine: 2 rings, 2 channels, 3 flows",
        "  1 channel, 1 flow, source afxdp on eth0, ring a of 256 MiB (hugepages prefer)",
        "  2 channels, 2 flows, source afxdp on eth1, ring b of 1 GiB (hugepages prefer)",
    ]


def test_rings_of_several_files_come_together_and_one_table_replaces_them(tmp_path: Path) -> None:
    file, more = tmp_path / "nanotape.toml", tmp_path / "conf.d" / "b.toml"
    more.parent.mkdir()
    file.write_text('[[ring]]\nname = "a"\n', encoding="utf-8")
    more.write_text('[[ring]]\nname = "b"\n[ring.loop]\ncore = 1\n', encoding="utf-8")
    found = load(file)
    assert found.rings == ("a", "b")
    assert str(found.origins.of(("ring", 1, "loop", "core"))) == f"{more}:4"
    more.write_text('[ring]\nname = "c"\n', encoding="utf-8")
    assert load(file).rings == ("c",)


def test_the_schema_takes_one_ring_or_an_array() -> None:
    schema = json_schema()
    one, several = schema["properties"]["ring"]["oneOf"]
    assert one == {"$ref": "#/$defs/RingSettings"}
    assert (several["type"], several["items"]) == ("array", {"$ref": "#/$defs/RingTable"})
    assert set(schema["$defs"]["RingTable"]["properties"]) == {
        *schema["$defs"]["RingSettings"]["properties"],
        "source",
        "loop",
        "recorder",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[[ring]]\nname = "a"\n[[ring]]\n',
            'x.toml:3: ring[1].name: expected a name, which each of several rings needs, found none; add name = "..."',
        ),
        (
            '[[ring]]\nname = "a"\n[[ring]]\nname = "a"\n',
            'x.toml:4: ring[1].name: expected a ring name used once, found "a" again '
            "(first at x.toml:2: ring[0].name); rename one of the two",
        ),
        (
            '[[ring]]\nname = "a"\n[ring.sorce]\n',
            "x.toml:3: ring[0].sorce: expected a key of [ring[0]], found an unknown key; did you mean source?",
        ),
        (
            '[[ring]]\nname = "a"\n[ring.source]\ndescriptors = 7\n',
            "x.toml:4: ring[0].source.descriptors: expected a power of two from 64 to 1048576, found 7; "
            "leave it out for the default, 65536",
        ),
        (
            '[ring]\nname = "a"\n[ring.source]\n',
            "x.toml:3: ring.source: expected a key of [ring], found an unknown key; "
            "write [[ring]] instead of [ring] to give it a source of its own",
        ),
        (
            f'{RINGS}{CHANNEL}{LINE}interface = "eth9"\n',
            "x.toml:10: channel[0].line[0]: expected a line that one of the rings a, b takes, found "
            '"eth9", which is no ring\'s source.interface; say which: ring = "NAME"',
        ),
        (
            f"{RINGS}{CHANNEL}{LINE}",
            "x.toml:10: channel[0].line[0]: expected a line that one of the rings a, b takes, found no interface; "
            'say which: ring = "NAME"',
        ),
        (
            f'{RINGS}{CHANNEL}ring = "c"\n{LINE}',
            'x.toml:10: channel[0].ring: expected one of the rings "a", "b", found "c"; '
            "correct the name, or add a [[ring]] of it",
        ),
        (
            f'{RINGS}{CHANNEL}{LINE}interface = "eth0"\nring = "c"\n',
            'x.toml:14: channel[0].line[0].ring: expected one of the rings "a", "b", found "c"; '
            "correct the name, or add a [[ring]] of it",
        ),
        (
            f'{CHANNEL}{LINE}interface = "eth0"\nring = "c"\n',
            'x.toml:8: channel[0].line[0].ring: expected the ring "main", found "c"; '
            "correct the name, or add a [[ring]] of it",
        ),
        (
            f'{RINGS}[ring.source]\ninterface = "eth0"\n{CHANNEL}ring = "a"\n{LINE}{LINE}name = "B"\nring = "b"\n',
            'x.toml:8: ring[1].source.interface: expected an interface captured by one ring, found "eth0" for a and b '
            "(first at x.toml:4: ring[0].source.interface); let one ring take all of it, or give each an interface of "
            "its own",
        ),
        (
            f"{RINGS}[ring.loop]\ncore = 3\n[loop]\ncore = 3\n",
            "x.toml:8: ring[1].loop.core: expected a core for one loop, found 3 for a and b "
            "(first at x.toml:10: loop.core); give each ring a core of its own in its [ring.loop]",
        ),
        (
            f"{RINGS}[loop]\ncore = 3\n",
            "x.toml:8: loop.core: expected a core for one loop, found 3 for a and b; "
            "give each ring a core of its own in its [ring.loop]",
        ),
        (
            f'{RINGS}[ring.source]\nkind = "pcap"\n',
            "x.toml:7: ring[1].source.file: expected a capture file, which pcap reads, found none; set source.file",
        ),
        (
            f"{RINGS}[loop]\nrealtime = 5\n",
            "x.toml:8: loop.realtime: expected 0, or loop.core set too, found 5 without a core, where it would starve "
            "the kernel; set loop.core to an isolated core",
        ),
        (
            f'{RINGS}{CHANNEL}{LINE}interface = "eth0"\n{LINE}name = "B"\nring = "b"\n',
            "x.toml:14: channel[0].line[1].interface: expected an interface, which afxdp needs, found none; "
            "set interface on the line, or source.interface for every line",
        ),
    ],
)
def test_one_mistake_is_one_line(text: str, expected: str) -> None:
    assert lines(text) == (expected,)


def test_a_line_of_an_interface_that_two_rings_have_is_told_beside_the_interface() -> None:
    told = lines(f'{RINGS}[ring.source]\ninterface = "eth0"\n{CHANNEL}{LINE}interface = "eth0"\n')
    assert told == (
        'x.toml:12: channel[0].line[0]: expected a line that one ring takes, found "eth0", which a and b have; '
        'say which: ring = "NAME"',
    )


def test_a_mistake_above_several_rings_is_told_once() -> None:
    told = lines('[source]\ndescriptors = 5\n[[ring]]\nname = "a"\n[[ring]]\nname = "b"\n')
    assert [line.split(" expected")[0] for line in told] == ["x.toml:2: source.descriptors:"]


@pytest.mark.parametrize(
    "text",
    [
        TWO + ITCH + OTHER,
        '[source]\nkind = "pcap"\nfile = "/f"\n[[ring]]\nname = "a"\n[[ring]]\nname = "b"\n',
        f'{RINGS}[ring.source]\nkind = "synthetic"\ninterface = "eth0"\n{CHANNEL}ring = "a"\n{LINE}',
        f'{RINGS}[ring.loop]\ncore = 3\n[loop]\nidle = "spin"\n',
        'ring = [{ name = "a" }, { name = "b", loop = { core = 1 } }]',
        "[[ring]]\n",
    ],
)
def test_the_neighbour_of_a_mistake_is_fine(text: str) -> None:
    assert lines(text) == ()
