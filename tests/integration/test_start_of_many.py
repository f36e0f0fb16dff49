"""A service of 200 channels starts under traffic: what is recorded, in which order it begins, and how soon."""

from __future__ import annotations

import namespaces
import pytest
from many_channels import CHANNELS, many_channels, report, timed_start, unready_recorder
from service_rig import make_rig
from soak_faults import CAPTURE, HOLDER, RECORDER

pytestmark = pytest.mark.root


def test_the_recorder_begins_first_and_records_from_the_rings_first_packet_on(
    namespace_pair: namespaces.NamespacePair, capsys: pytest.CaptureFixture[str]
) -> None:
    """It loads its libraries while the others begin, or the start would take as long as all of them one by one."""
    with make_rig(many_channels("64 MiB", 4_096), namespace_pair) as rig:
        start = timed_start(rig, namespace_pair)
        with capsys.disabled():
            print(f"\n{CHANNELS} channels: first packet recorded {start.recorded_after_s:.2f} s after the command")
        assert start.began_ticks[RECORDER] <= start.began_ticks[HOLDER] <= start.began_ticks[CAPTURE]
        assert start.first_seq == 1
        assert unready_recorder(rig) == []
        found = report(rig)
        assert (found["unexplained"], found["unrecorded"], found["restarts"]) == (0, 0, {})
