"""Real captures imported into an archive: what their headers say, and that nothing is missing."""

from __future__ import annotations

import pathlib

import pyarrow.compute as pc
from import_rig import imported

from nanotape.config.channel import Channel
from nanotape.storage.archive import Archive
from nanotape.storage.import_options import ImportOptions


def channel(name: str, group: str, role: str) -> Channel:
    line = {"group": group, "port": 32001}
    table = {"name": name, "feed": "bats", "framing": "cboe-pitch", "role": role, "line": [line]}
    return Channel.model_validate(table)


def test_the_bats_capture_has_no_gap_and_356_heartbeats(captures: pathlib.Path, tmp_path: pathlib.Path) -> None:
    channels = (channel("realtime", "239.39.62.190", "incremental"), channel("response", "239.39.62.191", "retransmit"))
    path = next((captures / "bats").glob("*.pcap"))
    assert imported([path], tmp_path / "archive", ImportOptions(channels=channels)).is_good
    archive = Archive(tmp_path / "archive")
    rows = archive.table(["channel", "feed_status", "feed_seq"])
    assert rows.num_rows == 739
    mine = rows.filter(pc.equal(rows["channel"].cast("string"), "realtime"))
    statuses = mine["feed_status"].to_pylist()
    assert (statuses.count("heartbeat"), statuses.count("data"), len(statuses)) == (356, 19, 375)
    assert (pc.min(mine["feed_seq"]).as_py(), pc.max(mine["feed_seq"]).as_py()) == (1, 43)
    assert {each["kind"] for each in archive.rows("events", ["kind"]).to_pylist()} <= {"restart", "config"}
    assert sum(each["messages"] or 0 for each in archive.rows("stats", ["messages"]).to_pylist()) == 40
