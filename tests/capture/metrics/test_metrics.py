"""The page of metrics: what is known is on it with unit and labels, what is unknown is not; Prometheus reads it."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from crafted_looks import NOW_NS, RING, SECOND_NS, later, look, loop, recorder, stats
from deadline import wait_for
from prometheus_client.parser import text_string_to_metric_families

from nanotape.capture.counters import LoopGaps
from nanotape.capture.health import ring_health
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.metrics import collector
from nanotape.capture.metrics.collector import Collector
from nanotape.capture.metrics.exposition import Page
from nanotape.capture.metrics.host_metrics import add_clocks, add_feeds, add_segments
from nanotape.capture.metrics.ring_metrics import add_ring
from nanotape.capture.metrics.server import MetricsServer
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine, RecordedTraffic
from nanotape.capture.recorded_segments import RecordedSegments
from nanotape.capture.service_state import ServiceState
from nanotape.config import Settings, loads

RING_LABELS = 'host="host-1",ring="main"'
CLOCK = {"clock": "system", "state": "locked", "offset_ns": -250, "path_delay_ns": None, "error_ns": 1500}


def samples(page: Page) -> dict[str, float]:
    """By name and labels, these by name but for host and ring, as the library itself reads the page."""
    return {
        _key(each.name, each.labels): each.value
        for family in text_string_to_metric_families(page.text())
        for each in family.samples
    }


def _key(name: str, labels: dict[str, str]) -> str:
    first = [each for each in ("host", "ring") if each in labels]
    inner = ",".join(f'{each}="{labels[each]}"' for each in [*first, *sorted(labels.keys() - set(first))])
    return f"{name}{{{inner}}}" if inner else name


def full_page() -> Page:
    """With something of everything."""
    facts = replace(loop(RING, delay_histogram=(0, 3, 4)), gaps=LoopGaps(10_000, 5, 70_000, 90_000, (0, 1)))  # type: ignore[arg-type]
    first, second = look(facts), look(later(facts), at_ns=NOW_NS + SECOND_NS)
    page = Page()
    add_ring(page, replace(second, service=ServiceState(1, "copy")), ring_health(first, second))
    add_clocks(page, "host-1", [CLOCK])
    line = RecordedLine(NOW_NS, "s", "k", 9, 1, 2, 3, 4, None)
    add_feeds(page, {"host": "host-1", "ring": "main"}, (), RecordedFeeds(NOW_NS, {('a "b"\n', "A"): line}))
    return page


def test_what_two_looks_say_is_on_the_page_in_base_units() -> None:
    found = samples(full_page())
    assert found[f"nanotape_ring_packets_total{{{RING_LABELS}}}"] == 1500
    assert found[f'nanotape_lost_packets_total{{{RING_LABELS},stage="rx_dropped"}}'] == 0
    assert found[f'nanotape_reader_lag_bytes{{{RING_LABELS},reader="recorder"}}'] == 1 << 20
    assert found[f"nanotape_ring_capturing{{{RING_LABELS}}}"] == 1
    assert found[f"nanotape_loop_late_longest_seconds{{{RING_LABELS}}}"] == pytest.approx(70e-6)
    assert found['nanotape_clock_error_seconds{host="host-1",clock="system"}'] == pytest.approx(1.5e-6)
    assert found['nanotape_clock_offset_seconds{host="host-1",clock="system"}'] == pytest.approx(-250e-9)
    states = {name: value for name, value in found.items() if name.startswith("nanotape_clock_state")}
    assert sum(states.values()) == 1
    assert states['nanotape_clock_state{host="host-1",clock="system",state="locked"}'] == 1


def test_rates_peaks_and_leads_of_lines_are_on_the_page_as_far_as_they_are_told() -> None:
    page = Page()
    known = RecordedLine(NOW_NS, "s", "k", 9, 3, 2, 3, 4, 0, packets_per_s=7, gaps_ours=1, gaps_theirs=2)
    known = replace(known, peak_1ms_bits=8000, first_share=0.25, lead_p50_ns=1500)
    unknown = RecordedLine(NOW_NS, "s", "k", 9, 3, 2, 3, 4, 0)
    feeds = RecordedFeeds(NOW_NS, {("c", "A"): known, ("c", "B"): unknown}, (), RecordedTraffic(peak_1ms_packets=12))
    add_feeds(page, {"host": "host-1", "ring": "main"}, (), feeds)
    found = samples(page)
    line = f'{{{RING_LABELS},channel="c",feed="",line="A"}}'
    expected = {
        "line_packets_per_second": 7,
        "line_own_gaps_total": 1,
        "line_upstream_gaps_total": 2,
        "line_peak_millisecond_bits": 8000,
        "line_first_ratio": 0.25,
    }
    assert {name: found[f"nanotape_{name}{line}"] for name in expected} == expected
    assert found[f"nanotape_line_lead_seconds{line}"] == pytest.approx(1.5e-6)
    assert found[f"nanotape_recorded_peak_millisecond_packets{{{RING_LABELS}}}"] == 12
    assert f"nanotape_recorded_bits_per_second{{{RING_LABELS}}}" not in found
    assert not any("per_second" in name for name in found if 'line="B"' in name)


def test_what_a_recorder_tells_of_its_segments_is_on_the_page_and_what_it_does_not_is_not() -> None:
    page = Page()
    told = RecordedSegments(NOW_NS, None, None, None, None, 3, "x.arrow", NOW_NS - SECOND_NS, 4000, 1000)
    add_segments(page, {"host": "host-1", "ring": "main"}, told)
    found = samples(page)
    assert found[f"nanotape_recorder_segments_total{{{RING_LABELS}}}"] == 3
    assert found[f"nanotape_recorder_frame_bytes_total{{{RING_LABELS}}}"] == 4000
    assert found[f"nanotape_recorder_last_rotation_timestamp_seconds{{{RING_LABELS}}}"] == NOW_NS / 1e9 - 1
    assert not any("open_segment" in name for name in found)


def test_each_stage_has_its_own_loss() -> None:
    facts = recorder(stats(RING, rx_dropped=7), lost=3, write_failures=2)
    page = Page()
    add_ring(page, look(facts), None)
    found = samples(page)
    of_stage = {stage: found.get(f'nanotape_lost_packets_total{{{RING_LABELS},stage="{stage}"}}') for stage in
                ("rx_dropped", "rx_ring_full", "recorder_lapped", "recorder_write", "socket_drops")}  # fmt: skip
    assert of_stage == {
        "rx_dropped": 7, "rx_ring_full": 0, "recorder_lapped": 3, "recorder_write": 2, "socket_drops": None
    }  # fmt: skip


def test_what_is_unknown_is_absent_and_never_0() -> None:
    page = Page()
    facts = recorder(
        loop(RING, last_packet_ns=None), lag_bytes=None, lag_share=None, recorded=None, write_failures=None
    )
    add_ring(page, look(facts, space=None), None)
    add_clocks(page, "h", [{**CLOCK, "offset_ns": None, "error_ns": None}])
    names = {name.partition("{")[0] for name in samples(page)}
    unknown = {
        "nanotape_source_last_packet_timestamp_seconds", "nanotape_archive_free_bytes", "nanotape_ring_capturing",
        "nanotape_unexplained_packets", "nanotape_clock_offset_seconds", "nanotape_clock_error_seconds",
        "nanotape_loop_late_rounds_total",
    }  # fmt: skip
    assert not names & unknown
    assert "nanotape_ring_packets_total" in names


def test_a_histogram_counts_up_to_each_bound() -> None:
    page = Page()
    page.histogram("d_seconds", "x").add_histogram({"a": "b"}, (1, 2, 4), (0.5, 1.0))
    assert samples(page) == {
        'nanotape_d_seconds_bucket{a="b",le="0.5"}': 1,
        'nanotape_d_seconds_bucket{a="b",le="1.0"}': 3,
        'nanotape_d_seconds_bucket{a="b",le="+Inf"}': 7,
    }


def test_labels_that_would_break_the_page_are_escaped() -> None:
    lines = [line for line in full_page().text().splitlines() if "line_missing" in line and not line.startswith("#")]
    assert lines == [
        'nanotape_line_missing_messages_total{channel="a \\"b\\"\\n",feed="",host="host-1",line="A",ring="main"} 2.0'
    ]


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return found


def test_prometheus_reads_the_page() -> None:
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=full_page().text(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alert_rules_are_valid_and_name_metrics_that_there_are(repository: pathlib.Path) -> None:
    rules = repository / "config" / "prometheus" / "nanotape.rules.yml"
    expressions = " ".join(re.findall(r"expr: (.*)", rules.read_text(encoding="utf-8")))
    assert_known(expressions)
    done = subprocess.run([promtool(), "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_asks_for_metrics_that_there_are(repository: pathlib.Path) -> None:
    board = json.loads((repository / "config" / "grafana" / "nanotape.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(asked) >= len(board["panels"])
    assert_known(" ".join(asked))


def assert_known(expressions: str) -> None:
    """Each of our metrics in these stands in the code under its name."""
    source = pathlib.Path(add_ring.__code__.co_filename).parent
    code = "".join(path.read_text(encoding="utf-8") for path in source.glob("*.py"))
    names = {name.removesuffix("_bucket") for name in re.findall(r"\bnanotape_(\w+)", expressions)}
    assert len(names) > 5
    built = {"clock_error_seconds", "clock_offset_seconds"}
    assert {name for name in names - built if f'"{name}"' not in code} == set()


def test_the_newest_look_that_is_not_too_new_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0, 200, 400, 600, 620, 640, 1600, 900_000))
    found = (replace(look(RING), monotonic_ns=moment * 10**6) for moment in moments)
    monkeypatch.setattr(collector, "look", lambda *_: next(found))
    made = Collector(lambda: [Settings().of_ring()])
    compared = [f"nanotape_ring_capturing{{{RING_LABELS}}}" in made.text() for _ in range(8)]
    assert compared == [False, False, False, True, True, True, True, False]


def test_a_ring_that_is_not_there_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "look", lambda *_: UnreadableRing("main", "/x", "gone"))
    settings = loads('host = "h"').of_ring()
    assert 'nanotape_ring_up{host="h",ring="main"} 0' in Collector(lambda: [settings]).text()


def test_the_page_goes_by_the_settings_of_the_last_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr(collector, "look", lambda _, settings, *__: seen.append(settings) or look(RING))
    in_force = [loads('host = "h"').of_ring()]
    made = Collector(lambda: in_force)
    made.text()
    in_force[0] = loads('host = "h"\n[archive]\nkeep_free = "1 GiB"').of_ring()
    made.text()
    assert [each.archive.keep_free == in_force[0].archive.keep_free for each in seen] == [False, True]


class Endpoint:
    """A server whose page can be made to fail."""

    def __init__(self) -> None:
        self.page: str | Exception = "a 1\n"
        self.lines: list[str] = []
        self.server = MetricsServer("127.0.0.1", 0, self._text, self.lines.append)
        self.server.start()

    def _text(self) -> str:
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.stop()


def test_the_page_is_served_and_nothing_else(endpoint: Endpoint) -> None:
    assert endpoint.get("/metrics") == (200, "a 1\n")
    assert endpoint.get("/metrics?x=1")[0] == 200
    assert endpoint.get("/")[0] == 404
    assert endpoint.get("/../etc/passwd")[0] == 404


def test_a_page_that_cannot_be_made_is_an_error_for_who_asks_and_a_line_for_us(endpoint: Endpoint) -> None:
    endpoint.page = ValueError("x")
    assert endpoint.get("/metrics")[0] == 500
    assert endpoint.lines == ["metrics: ValueError: x"]
    endpoint.page = "b 2\n"
    assert endpoint.get("/metrics") == (200, "b 2\n")


def test_garbage_and_a_client_that_goes_away_cost_nobody_else_anything(endpoint: Endpoint) -> None:
    for garbage in (b"\x00\xff\n", b"GET\r\n\r\n", b"G" * 100_000):
        with socket.create_connection(("127.0.0.1", endpoint.server.port or 0), timeout=5) as client:
            client.sendall(garbage)
    assert endpoint.get("/metrics")[0] == 200


def test_clients_that_only_hold_on_are_few_and_keep_nobody_from_the_page(endpoint: Endpoint) -> None:
    with contextlib.ExitStack() as stack:
        where = ("127.0.0.1", endpoint.server.port or 0)
        held = [stack.enter_context(socket.create_connection(where, timeout=10)) for _ in range(100)]
        assert endpoint.get("/metrics") == (200, "a 1\n")
        assert held[0].recv(1) == b""
        wait_for(lambda: sum("process_request" in each.name for each in threading.enumerate()) <= 16, "few threads", 30)


def test_a_port_that_is_taken_is_a_line_and_no_end() -> None:
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = MetricsServer("127.0.0.1", taken.getsockname()[1], str, lines.append)
        server.start()
        server.stop()
    assert len(lines) == 1
    assert "cannot listen: Address already in use; set metrics.port to another" in lines[0]
