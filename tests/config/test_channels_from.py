"""Channels out of CSV files: the usual headers are understood, and what is wrong is told with its row."""

from pathlib import Path

import pytest

from nanotape.config import ConfigError, Settings, load, loads
from nanotape.config.show import effective

HEAD = 'channels_from = "venue.csv"\n[channel_defaults]\nfeed = "opra"\nframing = "opra"\ninterface = "eth1"\n'


def loaded(folder: Path, table: str, head: str = HEAD) -> Settings:
    (folder / "nanotape.toml").write_text(head, encoding="utf-8")
    (folder / "venue.csv").write_text(table, encoding="utf-8")
    return load(folder / "nanotape.toml")


def lines(settings: Settings) -> list[tuple[str, str, str, int, str | None]]:
    return [(each.name, one.name, one.group, one.port, one.source) for each in settings.channel for one in each.line]


EXPECTED = [
    ("1", "A", "233.43.202.1", 45001, "10.0.0.1"),
    ("1", "B", "233.43.202.129", 46001, "10.0.0.2"),
    ("2", "A", "233.43.202.2", 45002, "10.0.0.1"),
    ("2", "B", "233.43.202.130", 46002, "10.0.0.2"),
]
WIDE = (
    "1{0}233.43.202.1{0}45001{0}10.0.0.1{0}233.43.202.129{0}46001{0}10.0.0.2\n"
    "2{0}233.43.202.2{0}45002{0}10.0.0.1{0}233.43.202.130{0}46002{0}10.0.0.2\n"
)


@pytest.mark.parametrize(
    "header",
    [
        "Channel,Group A,Port A,Source A,Group B,Port B,Source B",
        "channel_id;A_multicast_ip;A_udp_port;A_source_ip;B_multicast_ip;B_udp_port;B_source_ip",
        "Name\tPrimary IP\tPrimary Port\tPrimary Source IP\tSecondary IP\tSecondary Port\tSecondary Source IP",
        "channelId|groupA|portA|sourceA|groupB|portB|sourceB",
        "Multicast Channel,Line A Destination IP,Line A Destination Port,Line A Source,Feed B Dst IP,Feed B Port,B Src",
    ],
)
def test_the_usual_headers_with_a_column_for_each_line_are_understood(tmp_path: Path, header: str) -> None:
    delimiter = next(each for each in ",;\t|" if each in header)
    settings = loaded(tmp_path, f"# from the venue\n\n{header}\n{WIDE.format(delimiter)}")
    assert lines(settings) == EXPECTED
    assert {(each.feed, each.framing, each.line[0].interface) for each in settings.channel} == {
        ("opra", "opra", "eth1")
    }


def test_one_row_a_line_is_understood_too(tmp_path: Path) -> None:
    rows = [f"{name},{line},{group},{port},{source},what,else" for name, line, group, port, source in EXPECTED]
    settings = loaded(tmp_path, "\ufeffChannel,Line,Multicast Group,UDP Port,Source IP,Symbols,\n" + "\n".join(rows))
    assert lines(settings) == EXPECTED


def test_rows_of_a_channel_without_a_line_get_one_after_the_other(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "name,ip,port\nx,239.0.0.1,1\ny,239.0.0.2,2\nx,239.0.0.3,3\n")
    assert [each[:4] for each in lines(settings)] == [
        ("x", "A", "239.0.0.1", 1),
        ("x", "B", "239.0.0.3", 3),
        ("y", "A", "239.0.0.2", 2),
    ]


def test_the_file_says_more_than_the_defaults(tmp_path: Path) -> None:
    table = "name,feed,framing,role,vlan,interface,group,port,stale after\nx,cta,cta,snapshot,7,eth9,239.0.0.1,1,5s\n"
    (channel,) = loaded(tmp_path, table).channel
    assert (channel.feed, channel.framing, channel.role, channel.stale_after) == ("cta", "cta", "snapshot", 5 * 10**9)
    assert (channel.line[0].vlan, channel.line[0].interface) == (7, "eth9")


def test_they_come_after_those_of_the_configuration_and_are_checked_with_them(tmp_path: Path) -> None:
    head = (
        HEAD + '[[channel]]\nname = "1"\nfeed = "f"\nline = [{ group = "239.0.0.1", port = 1, interface = "eth0" }]\n'
    )
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "name,group,port\n2,239.0.0.2,2\n1,239.0.0.3,70000\n", head)
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"{tmp_path}/venue.csv:3: channel[2].line[0].port: expected a whole number")
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "name,group,port\n2,239.0.0.2,2\n1,239.0.0.3,3\n", head)
    assert caught.value.lines[0].startswith(
        f"{tmp_path}/venue.csv:3: channel[2].name: expected a channel name used once"
    )


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "venue.csv: expected a header and rows, found nothing"),
        ("name,port\nx,1\n", "venue.csv:1: expected columns group: group, ip, ipaddress, address, ...; found name,"),
        ("name,group,ip,port\nx,239.0.0.1,239.0.0.1,1\n", "venue.csv:1: expected one column for each key, found"),
        ("name,group,port\nx,,1\n", "venue.csv:2: expected a group and a port, found none"),
        ('name,group,port\n"x,239.0.0.1,1\n' + "y,239.0.0.2,2\n" * 20_000, "venue.csv:"),
        (
            "name,group,port,framing\nx,239.0.0.1,1,opra\nx,239.0.0.2,1,\nx,239.0.0.3,1,cta\n",
            "venue.csv:4: channel x: expected framing 'opra', as in the rows before, found 'cta'; correct one of them",
        ),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_channels_is_refused_with_its_row(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, table)
    assert caught.value.lines[0].startswith(f"{tmp_path}/{expected}")


def test_a_file_that_is_not_there_is_refused_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loads('channels_from = ["absent.csv"]\n', str(tmp_path / "x.toml"))
    assert caught.value.lines == (
        f"{tmp_path}/x.toml:1: channels_from: expected the file {tmp_path}/absent.csv, "
        "found No such file or directory; correct the name",
    )


def test_the_recorders_copy_of_the_configuration_needs_no_csv(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f"Channel,Group A,Port A,Source A,Group B,Port B,Source B\n{WIDE.format(',')}")
    copy = tmp_path / "copy" / "nanotape.toml"
    copy.parent.mkdir()
    copy.write_text(effective(settings), encoding="utf-8")
    assert load(copy) == settings
