"""Sequences that begin anew where the packet that would say so was lost."""

import struct

from feed_batches import SECOND_NS, START_NS, Packet, decoder, flows, follow, mold

from nanotape.capture.feeds.findings import Finding

LOOP = range(1, 501)


def mdp3(seq: int) -> bytes:
    return struct.pack("<IQ", seq, START_NS) + bytes(20)


def loops(*sequences: int) -> list[Finding]:
    """Of a channel of snapshots, a packet each ten milliseconds and a little."""
    feeds = decoder(flows("A", framing="cme-mdp3", role="snapshot"))
    packets = [Packet(mdp3(seq), START_NS + at * 11_000_000) for at, seq in enumerate(sequences)]
    return follow(feeds, packets) + list(feeds.expire(2**62))


def told(found: list[Finding]) -> list[tuple[str, int, int]]:
    return [(each.kind, each.seq_first, each.seq_last) for each in found]


def test_a_loop_of_snapshots_that_lost_its_first_packets_is_a_loop_with_a_gap() -> None:
    assert told(loops(*LOOP, *LOOP[3:], *LOOP)) == [("gap", 1, 3)]


def test_a_loop_of_snapshots_that_lost_its_last_packets_has_no_gap_that_anybody_could_know_of() -> None:
    assert told(loops(*LOOP[:400], *LOOP)) == []


def test_a_loop_that_was_joined_midway_begins_with_its_first_packet_from_then_on() -> None:
    assert told(loops(*LOOP[200:], *LOOP, *LOOP[1:])) == [("gap", 1, 1)]


def test_a_packet_of_a_loop_that_comes_twice_is_a_duplicate() -> None:
    assert told(loops(*LOOP[:300], 299, *LOOP[300:])) == [("duplicate", 299, 299)]


def test_a_packet_of_a_loop_that_is_overtaken_is_reordered_though_it_is_near_the_begin() -> None:
    feeds = decoder(flows("A", framing="cme-mdp3", role="snapshot"))
    assert told(follow(feeds, [Packet(mdp3(seq)) for seq in (1, 2, 4, 5, 6, 7, 8, 9, 3, 10)])) == [("reorder", 3, 3)]


def test_a_feed_that_begins_anew_without_its_first_packets_is_a_reset_once_it_goes_on_and_on() -> None:
    feeds = decoder(flows("A"))
    follow(feeds, [Packet(mold(1)), Packet(mold(2, 49_999))])
    found = follow(feeds, [Packet(mold(seq), START_NS + 3_600 * SECOND_NS + seq) for seq in range(2, 200)])
    kinds = [each.kind for each in found]
    assert (kinds.count("duplicate"), kinds.count("reset"), len(kinds)) == (63, 1, 64)
    assert told(found)[-1] == ("reset", 50_001, 65)
    assert told(follow(feeds, [Packet(mold(seq), START_NS + 9_000 * SECOND_NS) for seq in (201, 200)])) == [
        ("reorder", 200, 200)
    ]


def test_a_line_that_repeats_old_packets_between_new_ones_has_duplicates_and_no_reset() -> None:
    feeds = decoder(flows("A"))
    follow(feeds, [Packet(mold(seq)) for seq in range(1, 5_001)])
    old = range(100, 400)
    mixed = [Packet(mold(seq)) for again, new in zip(old, range(5_001, 5_301), strict=True) for seq in (again, new)]
    found = follow(feeds, mixed)
    assert {each.kind for each in found} == {"duplicate"}
    assert len(found) == len(old)
