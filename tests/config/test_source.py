"""Where packets come from: what a source comes to, and what excludes what, in one clear line each."""

import pytest
from config_mistakes import CHANNEL, ETH1, LINE, lines

from nanotape.config import flows, interfaces, loads

MANY_INTERFACES = CHANNEL + "".join(f'{LINE}name = "{number}"\ninterface = "{number}"\n' for number in range(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'{ETH1}select = "all"',
            'x.toml:3: source.select: expected "channels", "multicast" or "udp" with afxdp, found "all", which would '
            'take ARP, IGMP and PTP away from the kernel; copy instead: set kind = "packet" or delivery = "sniff"',
        ),
        (
            f'{ETH1}delivery = "steal"\nselect = "all"',
            'x.toml:4: source.select: expected "channels", "multicast" or "udp" with afxdp, found "all", which would '
            'take ARP, IGMP and PTP away from the kernel; copy instead: set kind = "packet" or delivery = "sniff"',
        ),
        (
            '[source]\nkind = "packet"\nselect = "udp"',
            'x.toml:3: source.select: expected source.interface set too, found "udp" without one; '
            "set source.interface to where all else is taken",
        ),
        (
            '[source]\nselect = "multicast"',
            'x.toml:2: source.select: expected source.interface set too, found "multicast" without one; '
            "set source.interface to where all else is taken",
        ),
        (
            f'{ETH1}kind = "socket"\nselect = "multicast"\n{CHANNEL}{LINE}',
            'x.toml:4: source.select: expected "channels" with socket, which sees no other packets, found "multicast"; '
            "remove select, or take the packet source",
        ),
        (
            '[source]\nkind = "synthetic"\nselect = "all"',
            'x.toml:3: source.select: expected "channels" with synthetic, which sees no other packets, found "all"; '
            "remove select, or take the packet source",
        ),
        (
            '[source]\nkind = "pcap"',
            "x.toml:1: source.file: expected a capture file, which pcap reads, found none; set source.file",
        ),
        (
            f'[source]\nkind = "pcap"\nfile = "/f"\n{CHANNEL}{LINE}interface = "a"\n{LINE}name = "B"\ninterface = "b"',
            "x.toml:4: channel: expected lines of one interface with pcap, found a, b; "
            "remove interface from the lines: all of a file comes from one source",
        ),
        (
            f'{ETH1}kind = "packet"\nfanout = 16\n{MANY_INTERFACES}',
            "x.toml:4: source.fanout: expected at most 64 sockets, found 16 on each of 5 interfaces; "
            "set a smaller fanout",
        ),
        (
            f'{ETH1}delivery = "sniff"\ndescriptors = 1048576\nframe_size = 4096',
            "x.toml:4: source.descriptors: expected less than 4 GiB for each packet socket, "
            "found 1048576 of 4096 bytes; set fewer, or frame_size = 2048",
        ),
        (
            '[source]\nkind = "pcap"\nfile = "/f"\n[recorder]\nstart = "latest"',
            'x.toml:5: recorder.start: expected "oldest" with pcap, found "latest", which would leave out what the '
            "file gave before; remove it",
        ),
        (
            f'{ETH1}select = "udp"\n[recorder]\nother = false',
            "x.toml:5: recorder.other: expected true where no channel is configured, found false, so that nothing "
            "would be recorded; add a [[channel]], or remove other",
        ),
    ],
)
def test_one_mistake_is_one_line(text: str, expected: str) -> None:
    assert lines(text) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        f'{ETH1}kind = "socket"\nselect = "channels"\n{CHANNEL}{LINE}',
        f'{ETH1}kind = "packet"\nselect = "all"',
        f'{ETH1}delivery = "sniff"\nselect = "all"',
        f'{ETH1}select = "udp"',
        f'{ETH1}select = "udp"\n[recorder]\nother = false\n{CHANNEL}{LINE}',
        "[recorder]\nother = false",  # nothing is captured as yet
        f'[source]\nselect = "udp"\n{CHANNEL}{LINE}interface = "a"\n{LINE}name = "B"\ninterface = "b"',
        f'{ETH1}kind = "packet"\ndescriptors = 1048576\n{CHANNEL}{LINE}',
        f"{ETH1}descriptors = 1048576\nframe_size = 4096\n{CHANNEL}{LINE}",
        f'{ETH1}kind = "packet"\nfanout = 12\n{MANY_INTERFACES}',
        f"{ETH1}fanout = 16\n{MANY_INTERFACES}",
        '[source]\nkind = "pcap"\nfile = "/f"\nselect = "udp"',
        f'[source]\nkind = "pcap"\nfile = "/f"\n{CHANNEL}{LINE}',
        f'[source]\nkind = "pcap"\ninterface = "a"\nfile = "/f"\n{CHANNEL}{LINE}interface = "b"',
        '[source]\nfile = "/f"\nspeed = "max"\ndelivery = "steal"',
    ],
)
def test_the_neighbour_of_a_mistake_is_fine(text: str) -> None:
    assert lines(text) == ()


@pytest.mark.parametrize(
    "setting",
    [
        "source.select = 'channel'",
        "source.delivery = 'share'",
        "source.promiscuous = 1",
        "source.fanout = 0",
        "source.fanout = 17",
        "source.file = 'a.pcap'",
        "source.file = '/a/'",
        "source.file = ''",
        f"source.file = '/{'x' * 255}'",
        "source.speed = 'fast'",
        "source.speed = 10",
        "source.speed = '10'",
        "source.speed = '0x'",
        "source.speed = '0.0009x'",
        "source.speed = '0.0000015x'",
        "source.speed = '1000001x'",
    ],
)
def test_a_value_out_of_bounds_is_one_line(setting: str) -> None:
    (line,) = lines(setting)
    assert line.startswith(f"x.toml:1: {setting.split(' ')[0]}: expected ")


def test_a_file_needs_no_interface_and_bears_one_name() -> None:
    channel = '[[channel]]\nname = "c"\nfeed = "f"\nline = [{ group = "239.0.0.1", port = 1, vlan = "any" }]'
    source = '[source]\nkind = "pcap"\nfile = "/f"\n'
    assert interfaces(loads(source)) == ["pcap"]
    found = loads(f"{source}{channel}")
    assert [(flow.interface, flow.vlan) for flow in flows(found)] == [("pcap", "any")]
    assert interfaces(found) == ["pcap"]
    assert interfaces(loads(f'{source}interface = "eth7"\n{channel}')) == ["eth7"]
    assert interfaces(loads(f'{source}interface = "eth7"\n{channel}'.replace("port", 'interface = "eth8", port'))) == [
        "eth8"
    ]
    assert interfaces(loads(f'{source}select = "channels"')) == []


@pytest.mark.parametrize(
    ("select", "expected"),
    [("channels", ["eth1", "eth2"]), ("multicast", ["eth1", "eth2", "eth0"]), ("udp", ["eth1", "eth2", "eth0"])],
)
def test_what_is_selected_besides_comes_from_the_interface_of_the_source(select: str, expected: list[str]) -> None:
    lines = ", ".join(f'{{ name = "{n}", interface = "eth{n}", group = "239.0.0.1", port = 1 }}' for n in (1, 2))
    channel = f'[[channel]]\nname = "c"\nfeed = "f"\nline = [{lines}]'
    assert interfaces(loads(f'[source]\ninterface = "eth0"\nselect = "{select}"\n{channel}')) == expected
    assert interfaces(loads(f'[source]\ninterface = "eth0"\nselect = "{select}"')) == expected[2:]
    assert interfaces(loads(f'[source]\nselect = "{select}"\n{channel}')) == expected[:2]


@pytest.mark.parametrize(
    ("source", "kind", "selection"),
    [
        ("", "afxdp", "channels"),
        ('delivery = "sniff"', "packet", "channels"),
        ('delivery = "steal"', "afxdp", "channels"),
        ('kind = "packet"\ninterface = "e"\nselect = "all"', "packet", "all"),
        ('kind = "socket"\ndelivery = "sniff"', "socket", "channels"),
        ('kind = "pcap"\nfile = "/f"', "pcap", "all"),
        ('kind = "pcap"\nfile = "/f"\nselect = "channels"', "pcap", "channels"),
    ],
)
def test_a_source_says_what_it_comes_to(source: str, kind: str, selection: str) -> None:
    found = loads(f"[source]\n{source}").source
    assert (found.effective_kind, found.selection) == (kind, selection)


@pytest.mark.parametrize(
    ("text", "ppm", "shown"),
    [
        ("recorded", 10**6, "recorded"),
        ("1x", 10**6, "recorded"),
        ("max", 0, "max"),
        ("10x", 10**7, "10x"),
        ("0.5 x", 500_000, "0.5x"),
        ("1.000001x", 1_000_001, "1.000001x"),
        ("100x", 10**8, "100x"),
    ],
)
def test_a_speed_is_a_factor_in_millionths(text: str, ppm: int, shown: str) -> None:
    found = loads(f'[source]\nspeed = "{text}"')
    assert found.source.speed == ppm
    assert found.model_dump(mode="json")["source"]["speed"] == shown


@pytest.mark.parametrize(
    ("set_to", "alone", "beside"), [(None, True, False), ("true", True, True), ("false", False, False)]
)
def test_other_packets_are_recorded_where_asked_or_where_there_is_nothing_else(
    set_to: str | None, alone: bool, beside: bool
) -> None:
    channel = '[[channel]]\nname = "c"\nfeed = "f"\nline = [{ group = "239.0.0.1", port = 1, interface = "e" }]'
    recorder = f"[recorder]\nother = {set_to}\n" if set_to else ""
    assert loads(recorder).records_other is alone
    assert loads(f"{recorder}{channel}").records_other is beside
