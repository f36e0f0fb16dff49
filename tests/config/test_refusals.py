"""Whatever is wrong is told in one clear line each: where, key, expected, found, what to do. Its neighbour is fine."""

import time
import zoneinfo

import pytest
from config_mistakes import CHANNEL, ETH1, LINE, lines
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.config import flows, loads
from nanotape.config.checks import FLOWS_MAXIMUM, INTERFACES_MAXIMUM
from nanotape.config.reference import rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "hots = 1",
            "x.toml:1: hots: expected a table or key of the configuration, found an unknown key; did you mean host?",
        ),
        (
            "\n[rign]\n",
            "x.toml:2: rign: expected a table or key of the configuration, found an unknown key; did you mean ring?",
        ),
        (
            '[ring]\nname = "x"\ncapasity = 1',
            "x.toml:3: ring.capasity: expected a key of [ring], found an unknown key; did you mean capacity?",
        ),
        (
            '[source]\nflush_interval = "1s"',
            "x.toml:2: source.flush_interval: expected a key of [source], "
            "found an unknown key; it belongs into [recorder]",
        ),
        (
            "[user]\nzzz = 1",
            "x.toml:2: user.zzz: expected a key of [user], found an unknown key; the keys are capture, record, group",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}prot = 1",
            "x.toml:9: channel[0].line[0].prot: expected a key of [channel[0].line[0]], "
            "found an unknown key; did you mean port?",
        ),
        (
            '[ring]\nhugepages = "requires"',
            'x.toml:2: ring.hugepages: expected one of "off", "prefer", "require", '
            'found "requires"; did you mean "require"?',
        ),
        (
            "[source]\nframe_size = 1500",
            "x.toml:2: source.frame_size: expected one of 2048, 4096, found 1500; leave it out for the default, 2048",
        ),
        (
            "[source]\ndescriptors = 65000",
            "x.toml:2: source.descriptors: expected a power of two from 64 to 1048576, found 65000; "
            "the nearest are 32768 and 65536",
        ),
        (
            "[recorder]\nflush_interval = 1",
            'x.toml:2: recorder.flush_interval: expected a duration with its unit ("1s", "250ms") from "10ms" to "1h", '
            'found 1; leave it out for the default, "1s"',
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}".replace("port = 1", "port = 65536"),
            "x.toml:8: channel[0].line[0].port: expected a whole number from 1 to 65535, found 65536; "
            "write for example port = 30001",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}".replace("port = 1", ""),
            "x.toml:6: channel[0].line[0].port: expected a value, found none; add port = 30001",
        ),
        (
            f"{ETH1}{CHANNEL}",
            "x.toml:3: channel[0].line: expected a value, found none; add a [[channel.line]]",
        ),
        (
            '[recorder]\nrotate_zone = "America/New_Yrok"',
            'x.toml:2: recorder.rotate_zone: expected the IANA name of a time zone, such as "America/New_York", '
            'found "America/New_Yrok"; did you mean "America/New_York"?',
        ),
        (
            '[archive]\nkeep_free = "95%"',
            'x.toml:2: archive.keep_free: expected a share from "0%" to "90%" or a size of at most "1048576 TiB", '
            'found "95%"; leave it out for the default, "10%"',
        ),
        ("[recorder]\nother = 1", "x.toml:2: recorder.other: expected true or false, found 1; write it without quotes"),
        ("ring = 5", "x.toml:1: ring: expected a table, found 5; write it as a [ring] of its own"),
        (
            "ring = []",
            "x.toml:1: ring: expected at least one ring, found an array; "
            "write a [[ring]], or leave it out for one ring of the name main",
        ),
        (
            "[channel]",
            "x.toml:1: channel: expected an array of tables, found a table; write each as a [[channel]] of its own",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}".replace("239.0.0.1", "10.0.0.1"),
            "x.toml:7: channel[0].line[0].group: expected a multicast address (224.0.0.0/4 or ff00::/8), found "
            '"10.0.0.1"; `group` is the address that the packets go to; the sender\'s goes into `source`',
        ),
        (
            f"{CHANNEL}{LINE}",
            "x.toml:4: channel[0].line[0].interface: expected an interface, which afxdp needs, found none; "
            "set interface on the line, or source.interface for every line",
        ),
        (
            f'{ETH1}{CHANNEL}{LINE}\n{LINE}name = "B"',
            "x.toml:10: channel[0].line[1]: expected each flow configured once, "
            "found 239.0.0.1:1 from any sender on eth1 "
            "again (first at x.toml:6: channel[0].line[0]); remove one of the two, or tell them apart by group, port, "
            "source, interface or vlan",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}\n{LINE.replace('239.0.0.1', '239.0.0.2')}",
            'x.toml:10: channel[0].line[1].name: expected a line name used once, found "A" again in channel "c" '
            '(first at x.toml:6: channel[0].line[0].name); rename one of the two, for example "B"',
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}\n{CHANNEL}{LINE.replace('239.0.0.1', '239.0.0.2')}",
            'x.toml:11: channel[1].name: expected a channel name used once, found "c" again '
            "(first at x.toml:4: channel[0].name); rename one of the two",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}".replace('"c"', '"other"'),
            'x.toml:4: channel[0].name: expected a name of its own, found "other", which means packets of no channel; '
            "rename the channel",
        ),
        (
            f'{ETH1}{CHANNEL}{LINE}source = "fd00::1"',
            'x.toml:9: channel[0].line[0].source: expected an IPv4 address, as 239.0.0.1 is one, found "fd00::1"; '
            "give group and source of one family",
        ),
        (
            f'{ETH1}kind = "socket"\n{CHANNEL}{LINE}vlan = 7',
            "x.toml:10: channel[0].line[0].vlan: expected no vlan with the socket source, which sees no tag, found 7; "
            "remove vlan and name the interface of that VLAN, or take the afxdp or packet source",
        ),
        (
            f"{ETH1}{CHANNEL}{LINE}vlan = 4095",
            'x.toml:9: channel[0].line[0].vlan: expected a VLAN id from 1 to 4094, or "any", found 4095; '
            "leave vlan out to take untagged frames",
        ),
        (
            '[ring]\ncapacity = 65536\nhold = "1s at 1Mpps"',
            "x.toml:3: ring.hold: expected either capacity or hold, found both (first at x.toml:2: ring.capacity); "
            "remove one of the two",
        ),
        (
            "[loop]\nrealtime = 50",
            "x.toml:2: loop.realtime: expected 0, or loop.core set too, "
            "found 50 without a core, where it would starve the "
            "kernel; set loop.core to an isolated core",
        ),
        (
            '[recorder]\ncompression = "lz4"\ncompression_level = 1',
            "x.toml:3: recorder.compression_level: expected a level for zstd only, found one for lz4; remove it",
        ),
        (
            '[user]\nrecord = "nanotape"',
            "x.toml:2: user.record: expected another user than user.capture, "
            'found "nanotape" for both (first at x.toml:1: '
            "user.capture); name two users: the recorder must not be able to write the ring",
        ),
    ],
)
def test_one_mistake_is_one_line(text: str, expected: str) -> None:
    assert lines(text) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ETH1}{CHANNEL}{LINE}",
        f"{ETH1}{CHANNEL}{LINE}".replace("port = 1", "port = 65535"),
        f"{ETH1}{CHANNEL}{LINE}".replace("239.0.0.1", "ff3e::8000:1") + 'source = "fd00::1"',
        f'{ETH1}{CHANNEL}{LINE}\n{LINE}name = "B"\nport = 2'.replace("port = 1\nname", "name"),
        f'{ETH1}{CHANNEL}{LINE}\n{LINE}name = "B"\ninterface = "eth2"',
        f'{ETH1}{CHANNEL}{LINE}\n{LINE}name = "B"\nvlan = 1',
        f'{ETH1}{CHANNEL}{LINE}\n{LINE}name = "B"\nsource = "10.0.0.1"',
        f'{ETH1}kind = "socket"\n{CHANNEL}{LINE}',
        f'[source]\nkind = "synthetic"\n{CHANNEL}{LINE}',
        '[ring]\nhold = "1s at 1Mpps"',
        "[loop]\nrealtime = 50\ncore = 0",
        '[recorder]\ncompression = "lz4"',
        '[user]\ncapture = 1000\nrecord = "1001"\ngroup = 0',
        '[source]\ninterface = "123456789012345"',
        f'{ETH1}{CHANNEL}{LINE}vlan = "any"',
        f'{ETH1}kind = "socket"\n{CHANNEL}{LINE}vlan = "any"',
    ],
)
def test_the_neighbour_of_a_mistake_is_fine(text: str) -> None:
    assert lines(text) == ()


@pytest.mark.parametrize(
    "setting",
    [
        "ring.name = ''",
        "ring.name = '../x'",
        "ring.name = '.x'",
        "ring.name = 'a b'",
        "ring.name = 'a\\b'",
        "ring.name = 5",
        "ring.capacity = 65535",
        "ring.capacity = '2 TiB'",
        "ring.capacity = true",
        "ring.capacity = 1e9",
        "ring.hold = '0s at 2Mpps'",
        "ring.hold = '10s at 2Mpps of 10000B'",
        "ring.hold = '1d at 1000Mpps'",
        "ring.page_size = '4 KiB'",
        "source.interface = '1234567890123456'",
        "source.interface = 'ééééééé__'",
        "source.interface = 'a/b'",
        "source.interface = '..'",
        "source.interface = 'a b'",
        "source.kind = 'AFXDP'",
        "source.descriptors = 32",
        "source.descriptors = 2097152",
        "source.frame_size = '2048'",
        "source.frame_size = 2048.0",
        "source.synthetic_rate = '1Gpps'",
        "source.native_xdp = 'off'",
        "recorder.other = 'yes'",
        "loop.core = -1",
        "loop.core = 1024",
        "loop.core = true",
        "loop.realtime = 100",
        "user.capture = 'root'",
        "user.capture = 0",
        "user.capture = '00'",
        "user.record = -1",
        "user.record = 4294967295",
        "user.group = 'a:b'",
        "paths.run_dir = 'run'",
        "paths.archive = ''",
        'paths.archive = "/a\\u0000"',
        "recorder.flush_interval = '1ms'",
        "recorder.compression_level = 23",
        "recorder.rotate_interval = 'never'",
        "host = ''",
        "host = ' a'",
        "host = 0x" + "f" * 5000,
        "host = 1979-05-27",
        "host = nan",
    ],
)
def test_a_value_out_of_bounds_is_one_line(setting: str) -> None:
    (line,) = lines(setting)
    assert line.startswith(f"x.toml:1: {setting.split(' ')[0]}: expected ")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("key", "size"), [("channel.name", 63), ("channel.feed", 47), ("channel.session", 63), ("channel.line.name", 15)]
)
def test_texts_that_would_not_fit_the_native_tables_are_refused(key: str, size: int) -> None:
    def told(text: str) -> tuple[str, ...]:
        values = {"channel.name": "c", "channel.feed": "f", "channel.session": "s", "channel.line.name": "l", key: text}
        name, feed, session, line = values.values()
        head = f'[[channel]]\nname = "{name}"\nfeed = "{feed}"\nsession = "{session}"\n'
        table = f'\n[session."{session}"]\n' if len(session.encode()) <= 63 else ""
        return lines(f'{ETH1}{head}{LINE}name = "{line}"{table}')

    assert told("x" * size) == ()
    (line,) = told("x" * (size + 1))
    assert f"this has {size + 1} bytes, found" in line
    if key != "channel.feed":
        assert told("é" * (size // 2)) == ()
        assert len(told("é" * (size // 2 + 1))) == 1


@pytest.mark.parametrize(
    "source", ["0.0.0.0", "239.0.0.1", "255.255.255.255", "::", "fe80::1%eth0", "host", "1.2.3", "::ffff:1"]
)
def test_a_source_is_one_sender(source: str) -> None:
    assert len(lines(f'{ETH1}{CHANNEL}{LINE}source = "{source}"')) == 1


@pytest.mark.parametrize(
    "mistake",
    ['"09:30"', "[9]", '["9:30"]', '["24:00"]', '["09:60"]', '["09:30:61"]', '["09:30", "09:30:00"]', "[09:30:00]"],
)
def test_times_of_day_are_written_as_clocks_show_them(mistake: str) -> None:
    (line,) = lines(f"[recorder]\nrotate_at = {mistake}")
    assert 'an array of times, "HH:MM" or "HH:MM:SS"' in line


@pytest.mark.parametrize("zone", ["", "America", "/usr/share/zoneinfo/UTC", "../UTC", "New York", "utc+1"])
def test_a_time_zone_is_one_of_the_database(zone: str) -> None:
    (line,) = lines(f'[recorder]\nrotate_zone = "{zone}"')
    assert "the IANA name of a time zone" in line


def test_without_a_database_of_time_zones_there_is_utc_and_a_word_of_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zoneinfo, "ZoneInfo", _no_zone)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    assert lines('[recorder]\nrotate_zone = "UTC"') == ()
    (line,) = lines('[recorder]\nrotate_zone = "Europe/Berlin"')
    assert line.endswith('database, which is missing, found "Europe/Berlin"; install tzdata')


def _no_zone(name: str) -> None:
    raise zoneinfo.ZoneInfoNotFoundError(name)


@pytest.mark.parametrize("key", ["recorder.post_rotate", "archive.post_compact"])
@pytest.mark.parametrize("mistake", ['"/bin/upload"', '["upload"]', '["/bin/"]', "[1]", '["/bin/x", 1]', '[""]'])
def test_a_command_is_an_array_that_begins_with_a_path(key: str, mistake: str) -> None:
    (line,) = lines(f"{key} = {mistake}")
    assert "an array of a program's absolute path and its arguments" in line


@pytest.mark.parametrize("mistake", ['"-1%"', '"10 percent"', '"91%"', '"0.00001%"', "-1", "true", "0.1", '""'])
def test_space_to_keep_free_is_a_share_or_a_size(mistake: str) -> None:
    (line,) = lines(f"archive.keep_free = {mistake}")
    assert 'a share from "0%" to "90%" or a size' in line


@pytest.mark.parametrize("mistake", ["ff02::1%eth0", "source"])
def test_an_address_has_no_zone(mistake: str) -> None:
    group, source = ("ff3e::1", "fe80::1%eth0") if mistake == "source" else (mistake, "fe80::1")
    (line,) = lines(f'{ETH1}{CHANNEL}{LINE}source = "{source}"'.replace("239.0.0.1", group))
    assert "%eth0" in line


def test_addresses_written_in_two_ways_are_still_the_same_flow() -> None:
    both = LINE.replace("239.0.0.1", "FF3E:0::8000:1") + LINE.replace("239.0.0.1", "ff3e::8000:0001") + 'name = "B"'
    (line,) = lines(f"{ETH1}{CHANNEL}{both}")
    assert "found [ff3e::8000:1]:1 from any sender on eth1 again" in line


def test_the_interface_that_a_line_names_and_the_one_it_inherits_are_the_same() -> None:
    (line,) = lines(f'{ETH1}{CHANNEL}{LINE}{LINE}name = "B"\ninterface = "eth1"')
    assert "each flow configured once" in line


@pytest.mark.parametrize(
    ("key", "room"), [("run_dir", 103 - len("/main/holder.sock")), ("shm_dir", 255 - len("/main.ring"))]
)
def test_paths_that_native_buffers_cannot_hold_are_refused(key: str, room: int) -> None:
    assert lines(f"paths.{key} = '/{'x' * (room - 1)}'") == ()
    (line,) = lines(f"paths.{key} = '/{'x' * room}'")
    assert f"shorten paths.{key} or ring.name" in line


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    told = lines(f"a = 1\n[source]\ninterface = 1\n[ring]\nname = 1\n{CHANNEL}{LINE}x = 1\n[loop]\ny = 1\n")
    assert [int(line.split(":")[1]) for line in told] == [1, 3, 5, 12, 14]


def many(count: int, interfaces: int = 1) -> str:
    line = '[[channel.line]]\nname = "{0}"\ninterface = "eth{1}"\ngroup = "239.0.{2}.{3}"\nport = 1\n'
    return CHANNEL + "".join(line.format(n, n % interfaces, n >> 8, n & 255) for n in range(count))


def test_the_flow_table_bounds_the_number_of_flows() -> None:
    before = time.monotonic()
    assert len(flows(loads(many(FLOWS_MAXIMUM)))) == FLOWS_MAXIMUM
    (line,) = lines(many(FLOWS_MAXIMUM + 1))
    assert f"expected at most {FLOWS_MAXIMUM} flows, found {FLOWS_MAXIMUM + 1}; " in line
    assert time.monotonic() - before < 20  # a second or two: nothing is quadratic


def test_the_plan_bounds_the_number_of_interfaces() -> None:
    assert lines(many(INTERFACES_MAXIMUM, INTERFACES_MAXIMUM)) == ()
    (line,) = lines(many(INTERFACES_MAXIMUM + 1, INTERFACES_MAXIMUM + 1))
    assert f"expected at most {INTERFACES_MAXIMUM} interfaces" in line


VALUES = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.3f}"),
    st.sampled_from(["true", "inf", "[]", "{}", "[{}]", "[1]", "{ a = 1 }", "1979-05-27T07:32:00Z", "07:32:00"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ),
    st.sampled_from(['"1s"', '"1 GiB"', '"7%"', '"off"', '"1s at 1pps"', '"/x"', '"ff02::1"']),
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([key.strip("`").replace("expect[].", "expect.") for key, *_ in rows()]), VALUES),
        max_size=6,
        unique_by=lambda pair: pair[0],
    )
)
def test_nothing_that_toml_can_say_ends_in_anything_but_settings_or_clear_lines(pairs: list[tuple[str, str]]) -> None:
    plain = [f"{key} = {value}" for key, value in pairs if "[]" not in key]
    ring = [f"{key.removeprefix('ring[].')} = {value}" for key, value in pairs if key.startswith("ring[]")]
    channel = [f"{key.removeprefix('channel[].')} = {value}" for key, value in pairs if key.count("[]") == 1]
    channel = [each for each in channel if not each.startswith("ring[]")]
    if ring:
        plain = [each for each in plain if not each.startswith("ring.")] + ["[[ring]]", *ring]
    line = [f"{key.rsplit('.', 1)[1]} = {value}" for key, value in pairs if key.count("[]") == 2]
    lines("\n".join([*plain, "[[channel]]", *channel, "[[channel.line]]", *line]))
