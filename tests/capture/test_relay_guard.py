"""What is captured on this host is no destination: by the rings' tables, the services' selection, the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ring_flows import add_flow
from ring_writer import RingWriter

from nanotape.capture.relay_guard import CapturedFlows
from nanotape.capture.relay_target import Target
from nanotape.config import Settings

GROUP = Target("239.1.1.1", 5000, "eth9")
CONFIGURED = {
    "source": {"interface": "eth1"},
    "channel": [{"name": "c", "feed": "f", "line": [{"name": "A", "group": "239.1.1.1", "port": 5000}]}],
}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RingWriter]:
    ring = RingWriter.attach(tmp_path / "shm")
    yield ring
    ring.close()


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("shm", "run"):
        (tmp_path / name).mkdir(exist_ok=True)


def guard(tmp_path: Path, configured: Settings | None = None) -> CapturedFlows:
    return CapturedFlows(tmp_path / "shm", tmp_path / "run", configured)


def test_a_flow_of_a_ring_is_no_destination_on_whatever_interface(
    folders: None, writer: RingWriter, tmp_path: Path
) -> None:
    add_flow(writer, "itch-1", "B", "239.1.1.1", 5000, "eth1")
    said = guard(tmp_path).conflict([Target("10.0.0.1", 1), GROUP])
    assert said is not None
    assert said.startswith("239.1.1.1:5000@eth9: is captured here, as channel itch-1, line B of ring test: ")
    assert guard(tmp_path).conflict([Target("239.1.1.1", 5001, "eth1"), Target("239.1.1.2", 5000, "eth1")]) is None


def test_a_table_that_grows_is_seen_at_the_next_look(folders: None, writer: RingWriter, tmp_path: Path) -> None:
    watched = guard(tmp_path)
    assert watched.conflict([GROUP]) is None
    add_flow(writer, "itch-1", "A", "239.1.1.1", 5000)
    assert watched.conflict([GROUP]) is not None


def test_unicast_flows_and_ipv6_count_too(folders: None, writer: RingWriter, tmp_path: Path) -> None:
    add_flow(writer, "u", "A", "10.0.0.9", 7000)
    add_flow(writer, "s", "A", "ff05::1", 7000)
    assert guard(tmp_path).conflict([Target("10.0.0.9", 7000)]) is not None
    assert guard(tmp_path).conflict([Target.parse("[ff05::1]:7000@eth1")]) is not None
    assert guard(tmp_path).conflict([Target.parse("[ff05::2]:7000@eth1")]) is None


@pytest.mark.parametrize(
    ("select", "target", "is_taken"),
    [
        ("multicast", Target("239.9.9.9", 1, "eth1"), True),
        ("multicast", Target("239.9.9.9", 1, "eth2"), False),
        ("multicast", Target("10.0.0.9", 1, "eth1"), False),
        ("udp", Target("10.0.0.9", 1, "eth1"), True),
        ("channels", Target("239.9.9.9", 1, "eth1"), False),
    ],
)
def test_what_a_service_selects_besides_its_flows_is_no_destination(
    select: str, target: Target, is_taken: bool, folders: None, writer: RingWriter, tmp_path: Path
) -> None:
    (tmp_path / "run" / "test").mkdir()
    text = f'[source]\ninterface = "eth1"\nselect = "{select}"\n'
    if select == "channels":
        text += '[[channel]]\nname = "c"\nfeed = "f"\n[[channel.line]]\nname = "A"\ngroup = "239.1.1.1"\nport = 5000\n'
    (tmp_path / "run" / "test" / "nanotape.toml").write_text(text, encoding="utf-8")
    said = guard(tmp_path).conflict([target])
    assert (said is not None) is is_taken
    if said is not None:
        assert said.startswith(f'{target}: ring test captures all of eth1 (select = "{select}"), ')


def test_what_is_only_configured_is_no_destination_either(tmp_path: Path) -> None:
    said = guard(tmp_path, Settings.model_validate(CONFIGURED)).conflict([GROUP])
    assert said is not None
    assert "channel c, line A of the configuration" in said


def test_a_ring_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "shm" / "broken.ring").write_bytes(b"hello")
    watched = guard(tmp_path)
    assert watched.conflict([GROUP]) is None
    assert len(watched.unreadable) == 1
    assert "broken" in watched.unreadable[0]
