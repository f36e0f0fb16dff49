"""What is found in short feeds, written out by hand: by the native follower of sequences and by its twin."""

from __future__ import annotations

import pytest
from tracking_rig import DISTANCE, IDLE, LOOP, WINDOW_NS, Sent, assert_same

MS = 1_000_000
LATER = WINDOW_NS + 1


def sent(seq: int, count: int = 1, after_ns: int = MS, status: str = "data", **labels: int) -> Sent:
    return Sent(after_ns, labels.get("flow", 1), status, labels.get("session", 5), labels.get("key", 0), seq, count)


# Per scenario the packets, then kind, first and last sequence, and messages of all that is to be found, in order.
SCENARIOS: dict[str, tuple[list[Sent], list[tuple[str, int, int, int]]]] = {
    "nothing is missing": ([sent(9, 3), sent(12, 2), sent(14)], []),
    "a gap": ([sent(1, 2), sent(5), sent(6, 1, LATER)], [("gap", 3, 4, 2)]),
    "reordered within the window": ([sent(1), sent(3), sent(2)], [("reorder", 2, 2, 1)]),
    "half of what is missing comes": ([sent(1), sent(6), sent(2, 2)], [("reorder", 2, 3, 2), ("gap", 4, 5, 2)]),
    "the middle of what is missing comes": (
        [sent(1), sent(6), sent(3, 2)],
        [("reorder", 3, 4, 2), ("gap", 2, 2, 1), ("gap", 5, 5, 1)],
    ),
    "late": ([sent(1), sent(3), sent(4, 1, LATER), sent(2)], [("gap", 2, 2, 1), ("late", 2, 2, 1)]),
    "late, and once more": (
        [sent(1), sent(3), sent(4, 1, LATER), sent(2), sent(2)],
        [("gap", 2, 2, 1), ("late", 2, 2, 1), ("duplicate", 2, 2, 1)],
    ),
    "a duplicate": ([sent(1, 3), sent(1, 3), sent(4)], [("duplicate", 1, 3, 3)]),
    "a packet that repeats some and brings some": ([sent(1, 3), sent(2, 4), sent(6)], []),
    "overtaken before we came": ([sent(10), sent(9), sent(11)], []),
    "a reset by its flag, with a gap before it": (
        [sent(1), sent(3), sent(1, status="reset"), sent(2)],
        [("gap", 2, 2, 1), ("reset", 4, 1, 0)],
    ),
    "a reset by a fall to 1": ([sent(1, 2000), sent(1), sent(2)], [("reset", 2001, 1, 0)]),
    "a fall to 1 by 1000 is a duplicate": ([sent(1, 1000), sent(1), sent(1001)], [("duplicate", 1, 1, 1)]),
    "a fall to 1 by 1001 is a reset": ([sent(1, 1001), sent(1), sent(2)], [("reset", 1002, 1, 0)]),
    "a fall by the distance, to before we came, is none": ([sent(5000), sent(5001 - DISTANCE)], []),
    "a fall to 1 from nearby is a duplicate": ([sent(1, 900), sent(1), sent(901)], [("duplicate", 1, 1, 1)]),
    "a reset by a far fall": ([sent(5000), sent(3000), sent(3001)], [("reset", 5001, 3000, 0)]),
    "a new session": ([sent(7), sent(1, session=6), sent(2, session=6)], [("session", 1, 1, 0)]),
    "another key is no new session": ([sent(7), sent(1, key=1), sent(8), sent(2, key=1)], []),
    "another line has a sequence of its own": ([sent(7), sent(1, flow=2), sent(8), sent(2, flow=2)], []),
    "a heartbeat shows a gap": ([sent(1), sent(4, 0, status="heartbeat")], [("gap", 2, 3, 2)]),
    "a heartbeat of an idle feed shows none": ([sent(1), sent(IDLE, 0, status="heartbeat"), sent(2)], []),
    "an end is told once": (
        [sent(1), *[sent(2, 0, status="end")] * 3, sent(2), sent(3, 0, status="end")],
        [("end", 2, 2, 0), ("end", 3, 3, 0)],
    ),
    "an end is told again after a retransmission": (
        [sent(1), sent(2, 0, status="end"), sent(1, status="retransmit"), sent(2, 0, status="end")],
        [("end", 2, 2, 0), ("end", 2, 2, 0)],
    ),
    "a heartbeat between two ends changes nothing": (
        [sent(1), sent(2, 0, status="end"), sent(2, 0, status="heartbeat"), sent(2, 0, status="end")],
        [("end", 2, 2, 0)],
    ),
    "a retransmission fills and is no duplicate": (
        [sent(1), sent(3), sent(2, status="retransmit"), sent(1, status="retransmit"), sent(9, status="retransmit")],
        [("reorder", 2, 2, 1)],
    ),
    "a retransmission begins nothing": ([sent(1, status="retransmit"), sent(7), sent(8)], []),
    "neither bad nor unsequenced packets count": ([sent(1), sent(9, status="bad"), sent(0, status="unsequenced")], []),
    "a loop of snapshots begins again": (
        [sent(seq, status="snapshot") for seq in [*range(1, 9), *range(1, 9), 1, 2, 4, 5]],
        [("gap", 3, 3, 1)],
    ),
    "a loop of snapshots that was joined midway begins before that": (
        [sent(seq, status="snapshot", flow=LOOP) for seq in [*range(5, 9), *range(1, 9), *range(2, 9)]],
        [("gap", 1, 1, 1)],
    ),
    "half of a loop of snapshots is no begin": (
        [*[sent(seq, status="snapshot", flow=LOOP) for seq in range(1, 8)], sent(5, status="snapshot", flow=LOOP)],
        [("duplicate", 5, 5, 1)],
    ),
    "as near to the begin as to the end is no begin": (
        [*[sent(seq, status="snapshot", flow=LOOP) for seq in range(1, 9)], sent(5, status="snapshot", flow=LOOP)],
        [("duplicate", 5, 5, 1)],
    ),
    "a loop of snapshots whose begin is lost twice": (
        [
            *[sent(seq, status="snapshot", flow=LOOP) for seq in [*range(1, 9), *range(3, 9)]],
            *[sent(2, 1, LATER, status="snapshot", flow=LOOP), sent(3, status="snapshot", flow=LOOP)],
        ],
        [("gap", 1, 2, 2), ("gap", 1, 1, 1)],
    ),
    "a hole waits for packets of its own stream": (
        [sent(1), sent(3), sent(1, 1, LATER, flow=2), sent(2)],
        [("gap", 2, 2, 1), ("late", 2, 2, 1)],
    ),
    "exactly as late as the window is not a gap": (
        [sent(1), sent(3), sent(2, 1, WINDOW_NS)],
        [("reorder", 2, 2, 1)],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_found_is_what_was_written_by_hand(name: str) -> None:
    packets, expected = SCENARIOS[name]
    found = assert_same(packets)
    assert [(each.kind, each.seq_first, each.seq_last, each.messages) for each in found] == expected
