"""A simulated exchange through a whole service: what its headers say is in the archive, and what is missing is told."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from service_rig import Rig

from nanotape.storage import open_archive

pytestmark = pytest.mark.root


def test_gaps_on_one_line_and_on_both_are_told_once_and_nothing_else_is(wired: Rig) -> None:
    with wired.service() as service:
        exchange = wired.exchange(
            "--rate", "4000", "--packets", "6000", "--gap", "A:1000:5", "--gap", "B:2000:3", "--gap", "A:3000:7",
            "--gap", "B:3000:7", "--delay", "B:300",
        )  # fmt: skip
        sent = exchange.result()
        wired.wait_taken(service)
    archive = open_archive(wired.folder / "archive")
    gaps = {(line.name, gap.first_packet): gap for line in sent.lines for gap in line.gaps}
    found = [each for each in archive.events().to_pylist() if each["kind"] == "feed_gap"]
    told = {
        (each["line"], each["seq_first"], each["messages_lost"], each["cause"], each["filled_by"]) for each in found
    }
    expected = {
        (line, gap.first_sequence, gap.messages, "upstream", None if first == 3000 else "BA"["AB".index(line)])
        for (line, first), gap in gaps.items()
    }
    assert told == expected
    assert len(found) == len(expected)
    others = {each["kind"] for each in archive.events().to_pylist()} - {"feed_gap", "restart", "config"}
    assert others == {"session"}, "the end of the session, and nothing else"
    packets = archive.packets(columns=["feed_status", "feed_session", "feed_seq", "feed_count", "line"]).read_all()
    assert packets.column("feed_seq").null_count == 0
    assert set(packets.column("feed_session").unique().to_pylist()) == {sent.parameters.session}
    for line in sent.lines:
        mine = packets.filter(pc.equal(packets.column("line"), line.name))
        assert pc.sum(mine.column("feed_count")).as_py() == line.messages
    stats = archive.stats().to_pylist()
    assert sum(row["messages"] for row in stats) == sum(line.messages for line in sent.lines)
    assert sum(row["gaps_upstream"] or 0 for row in stats) == sum(gap.messages for gap in gaps.values())
    shares = [row["first_arrivals"] for row in stats if row["line"] == "A" and row["first_arrivals"] is not None]
    assert max(shares) > 0.5, "line B lags, as a rule"
