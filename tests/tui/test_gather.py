"""One look finds what is there; what is gone, broken or not to be read becomes a fact, and the next look goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crafted_host import FRAME_BYTES, CraftedHost

from nanotape.capture.finding import Severity
from nanotape.capture.looks import Clocks
from nanotape.tui import snapshot
from nanotape.tui.gather import Gatherer
from nanotape.tui.picture import Picture
from nanotape.tui.settings_file import SettingsFile


class Moving:
    """Clocks that a test moves on."""

    def __init__(self) -> None:
        self.passed_ns = 0
        host = Clocks()
        self.clocks = Clocks(lambda: host.utc_ns() + self.passed_ns, lambda: host.monotonic_ns() + self.passed_ns)

    def on(self, seconds: float = 1.0) -> None:
        self.passed_ns += int(seconds * 1e9)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[CraftedHost]:
    with CraftedHost(tmp_path) as made:
        yield made


@pytest.fixture
def moving() -> Moving:
    return Moving()


@pytest.fixture
def gatherer(host: CraftedHost, moving: Moving) -> Gatherer:
    return Gatherer(SettingsFile(host.config), clocks=moving.clocks)


def errors(picture: Picture) -> list[str]:
    return [each.what for each in picture.findings if each.severity is Severity.ERROR]


def test_its_figures_are_the_counters(host: CraftedHost, gatherer: Gatherer, moving: Moving) -> None:
    host.publish(100)
    host.record()
    host.tell(3, peak_1ms_packets=4, peak_1ms_bits=6400)
    gatherer.look()
    moving.on(2)
    host.publish(400, polls_busy=300, polls_idle=700)
    host.drop(7)
    [ring] = gatherer.look().rings
    assert ring.health.packets == 500
    assert ring.health.packets_s == pytest.approx(200, rel=0.1)
    assert ring.health.bits_s == pytest.approx(200 * FRAME_BYTES * 8, rel=0.1)
    assert ring.busy == pytest.approx(0.3)
    assert ring.health.lost == ring.health.lost_now == ring.lost_minute == {"socket_drops": 7}
    assert ring.health.recorders[0].recorded == 100
    assert ring.fill == pytest.approx(ring.look.facts.readers[0].lag_bytes / (1 << 20))  # type: ignore[operator]
    assert ring.feeds is not None
    assert ring.feeds.traffic.peak_1ms_packets == 4
    assert len(ring.flows) == 8


def test_flows_are_read_once(host: CraftedHost, gatherer: Gatherer) -> None:
    first, second = gatherer.look().rings[0].flows, gatherer.look().rings[0].flows
    assert first is second


def test_a_ring_that_goes_comes_and_is_made_anew_is_told_of(host: CraftedHost, gatherer: Gatherer) -> None:
    assert gatherer.look().rings[0].health.capturing
    host.remove()
    gone = gatherer.look()
    assert gone.rings == ()
    assert gone.headline == f"nothing is captured: there is no ring in {host.shm}."
    host._begin()
    host.publish(5)
    back = gatherer.look()
    assert back.rings[0].health.packets == 5
    host.restart()
    assert gatherer.look().rings[0].health.restarted


def test_a_capture_that_ended_does_not_capture(host: CraftedHost, gatherer: Gatherer) -> None:
    gatherer.look()
    host.end()
    found = gatherer.look()
    assert found.headline.startswith("NOT CAPTURING main")
    assert not found.rings[0].health.capturing


def test_what_is_no_ring_is_unreadable_and_the_others_go_on(host: CraftedHost, gatherer: Gatherer) -> None:
    (host.shm / "bad.ring").write_bytes(b"no ring at all")
    found = gatherer.look()
    assert [each.name for each in found.unreadable] == ["bad"]
    assert [each.name for each in found.rings] == ["main"]
    assert any("bad" in each or "cannot be read" in each for each in errors(found))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at_ns": "soon"}', b"\xff" * 100])
def test_told_files_that_are_broken_are_as_good_as_none(host: CraftedHost, gatherer: Gatherer, content: bytes) -> None:
    readers = host.run / "main" / "readers"
    for path in (readers / "recorder.feeds.json", readers / "recorder.segments.json", host.run / "main/service.json"):
        path.write_bytes(content)
    (host.run / "clock").mkdir()
    (host.run / "clock" / "state.json").write_bytes(content)
    (host.run / "main" / "nanotape.toml").write_bytes(content)
    found = gatherer.look()
    assert found.clock is None
    assert found.rings[0].feeds is None
    assert found.rings[0].segments == ()


def test_a_clock_daemon_that_died_does_not_tell(host: CraftedHost, gatherer: Gatherer, moving: Moving) -> None:
    host.tell_clock()
    assert gatherer.look().clock is not None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host.tell_clock(pid=ended.pid)
    assert gatherer.look().clock is None
    host.tell_clock()
    moving.on(60)
    assert gatherer.look().clock is None, "its state is old"


def test_a_configuration_that_breaks_is_told_and_what_was_read_before_holds(
    host: CraftedHost, gatherer: Gatherer
) -> None:
    good = host.config.read_text(encoding="utf-8")
    gatherer.look()
    host.config.write_text("[ring\n", encoding="utf-8")
    broken = gatherer.look()
    assert broken.rings[0].name == "main"
    assert len(broken.troubles) == 1
    assert broken.troubles[0].startswith("the configuration cannot be read: ")
    assert broken.severity is Severity.ERROR
    host.config.write_text(good + "\n", encoding="utf-8")
    assert gatherer.look().troubles == ()


def test_a_configuration_that_was_never_good_leaves_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "nanotape.toml"
    path.write_text("[ring\n", encoding="utf-8")
    found = Gatherer(SettingsFile(path)).look()
    assert found.settings.paths.run_dir == "/run/nanotape"
    assert len(found.troubles) == 1


def test_a_disk_that_cannot_be_asked_is_unknown(host: CraftedHost, gatherer: Gatherer) -> None:
    text = host.config.read_text(encoding="utf-8").replace(str(host.archive), f"{host.config}/archive")
    (host.run / "main" / "nanotape.toml").write_text(text, encoding="utf-8")
    assert gatherer.look().rings[0].health.space is None


def test_only_the_ring_that_was_asked_for(host: CraftedHost, moving: Moving) -> None:
    (host.shm / "bad.ring").write_bytes(b"no ring at all")
    found = Gatherer(SettingsFile(host.config), "main", moving.clocks).look()
    assert ([each.name for each in found.rings], found.unreadable) == (["main"], ())
    none = Gatherer(SettingsFile(host.config), "other", moving.clocks).look()
    assert none.headline == f"nothing is captured: there is no ring other in {host.shm}."


def test_a_folder_that_may_not_be_listed_is_told_of(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may list every folder")
    (tmp_path / "shm").mkdir(mode=0)
    path = tmp_path / "nanotape.toml"
    path.write_text(f'[paths]\nshm_dir = "{tmp_path}/shm"\n', encoding="utf-8")
    assert "cannot be listed" in Gatherer(SettingsFile(path)).look().troubles[0]


def test_the_snapshot_is_json_and_holds_the_counters(host: CraftedHost, gatherer: Gatherer) -> None:
    host.publish(3)
    host.tell(1)
    host.tell_clock()
    told = json.loads(json.dumps(snapshot.as_json(gatherer.look())))
    [ring] = told["rings"]
    assert ring["health"]["packets"] == 3
    assert ring["sources"][0]["loop"]["packets"] == 3
    assert ring["sources"][0]["stats"]["xdp_seen"] is None, "unknown is null"
    assert ring["rates"]["burst_packets"] is None
    assert len(ring["lines"]) == 8
    assert told["clock"]["clocks"][0]["state"] == "locked"
    assert set(told["verdicts"]) == {"loss", "clock", "disk"}


def test_it_loads_nothing_that_makes_tables() -> None:
    code = "import sys, nanotape.tui.app, nanotape.tui.gather, nanotape.tui.snapshot; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pyarrow", "duckdb", "polars", "numpy"} & set(done.stdout.split())


def test_of_two_recorders_the_one_that_told_last_is_believed(host: CraftedHost, gatherer: Gatherer) -> None:
    host.tell(1)
    old = json.loads((host.run / "main/readers/recorder.feeds.json").read_text(encoding="utf-8"))
    with host.ring.reader("latest", reader_name="a-second", run_directory=host.run) as second:
        second.publish_status(0, 0, 0)
        told = {**old, "at_ns": old["at_ns"] - 10**12, "lines": []}
        (host.run / "main/readers/a-second.feeds.json").write_text(json.dumps(told), encoding="utf-8")
        feeds = gatherer.look().rings[0].feeds
    assert feeds is not None
    assert (feeds.at_ns, len(feeds.lines)) == (old["at_ns"], 8)
