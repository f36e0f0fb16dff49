"""A decoder that runs for months: old sessions make room, noise leaves some, and what is known is taken over whole."""

import json
import random
import struct

import pytest
from feed_batches import DAY_NS, SECOND_NS, START_NS, WINDOW_NS, Packet, decoder, feed_batch, flows, follow, mold

from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.native import lib

RING = "a" * 32


def live_streams(feeds: FeedDecoder) -> int:
    streams = feeds.handle.streams
    return sum(streams.streams[index].flow != lib.NT_FLOW_NONE for index in range(streams.count))


def test_a_session_a_day_over_a_year_keeps_but_a_week_of_streams_and_every_gap_is_found() -> None:
    feeds, found = decoder(flows("AB", channels=10)), []
    for day in range(370):
        at = START_NS + day * DAY_NS
        session = f"D{day}"
        for seq, ts in ((1, at), (2, at + 1), (4, at + 2), (5, at + 3 * 3600 * SECOND_NS)):
            found += follow(feeds, [Packet(mold(seq, session=session), ts, flow) for flow in range(1, 21)])
    gaps = [each for each in found if each.kind == "gap"]
    assert len(gaps) == 370 * 20
    assert {(each.seq_first, each.seq_last) for each in gaps} == {(3, 3)}
    assert {each.kind for each in found} == {"gap", "session"}
    assert live_streams(feeds) <= 9 * 20
    lines = feeds.lines()
    assert {each.gaps for each in lines} == {370}, "what was given up still counts"
    assert {each.messages for each in lines} == {370 * 4}


def test_a_stream_that_misses_something_is_not_given_up_before_it_is_told() -> None:
    feeds = decoder()
    assert not follow(feeds, [Packet(mold(1)), Packet(mold(3))])
    assert not follow(feeds, [Packet(mold(1), START_NS + 30 * DAY_NS, flow_id=2)])
    found = feeds.expire(START_NS + 30 * DAY_NS)
    assert [(each.kind, each.seq_first) for each in found] == [("gap", 2)]


def test_noise_on_one_flow_leaves_room_for_the_sessions_of_others() -> None:
    feeds, chance = decoder(flows("A", channels=6)), random.Random(6)
    noise = [Packet(chance.randbytes(10) + struct.pack(">QH", 5, 1), flow_id=1) for _ in range(20_000)]
    follow(feeds, noise)
    assert live_streams(feeds) == lib.NT_STREAMS_FLOW_MAX
    assert feeds.untracked == 20_000 - lib.NT_STREAMS_FLOW_MAX
    others = [Packet(mold(seq, session="NEW"), START_NS + seq * SECOND_NS, flow_id=2) for seq in (1, 3, 4)]
    assert [each.kind for each in follow(feeds, others)] == ["gap"]


def test_once_noise_is_an_hour_old_new_sessions_of_its_flow_are_followed_again() -> None:
    feeds, chance = decoder(), random.Random(6)
    follow(feeds, [Packet(chance.randbytes(10) + struct.pack(">QH", 5, 1)) for _ in range(17_000)])
    later = START_NS + 3_700 * SECOND_NS
    found = follow(feeds, [Packet(mold(seq, session="NEW"), later + seq * SECOND_NS) for seq in (1, 3, 4)])
    assert [each.kind for each in found] == ["gap"]
    assert live_streams(feeds) == 1


def test_the_place_of_a_stream_that_was_given_up_says_nothing_of_the_one_that_it_had() -> None:
    """A gap that waits for the other line while a file of many days is imported."""
    feeds = decoder()
    gap = follow(feeds, [Packet(mold(1)), Packet(mold(4)), Packet(mold(5), START_NS + SECOND_NS)])[0]
    for flow_id, session in ((2, "T"), (1, "U")):  # both take the free place in turn
        follow(feeds, [Packet(mold(1, 9, session=session), START_NS + 20 * DAY_NS, flow_id)])
    assert feeds.covered_by(gap) == (None, False)


def restored(feeds: FeedDecoder, ring_id: str = RING, **changes: str) -> FeedDecoder:
    other = decoder(flows(**changes))
    other.restore(feeds.save(RING, 10), ring_id)
    return other


def test_a_hole_that_was_open_when_the_decoder_changed_becomes_a_gap_as_late_as_it_would_have() -> None:
    feeds = decoder()
    follow(feeds, [Packet(mold(1)), Packet(mold(3))])
    heir = restored(feeds)
    at = START_NS + WINDOW_NS + 1
    found = follow(heir, [Packet(mold(4), at), Packet(mold(2), at + 1)], 11)
    assert [(each.kind, each.seq_first) for each in found] == [("gap", 2), ("late", 2)]


def test_a_gap_found_before_a_restart_is_covered_by_what_comes_after_it() -> None:
    feeds = decoder()
    first = [Packet(mold(1)), Packet(mold(1), flow_id=2), Packet(mold(4)), Packet(mold(5), START_NS + SECOND_NS)]
    gap = follow(feeds, first)[0]
    heir = restored(feeds)
    assert heir.covered_by(gap) == (None, True)
    follow(heir, [Packet(mold(2, 5), START_NS + SECOND_NS, flow_id=2)], 11)
    assert heir.covered_by(gap) == ("B", False)


def test_sequences_that_another_framing_read_are_not_gone_on_with() -> None:
    feeds = decoder()
    follow(feeds, [Packet(mold(7))])
    assert live_streams(restored(feeds, "b" * 32)) == 1
    assert live_streams(restored(feeds, "b" * 32, framing="iex-tp")) == 0
    assert live_streams(restored(feeds, "b" * 32, role="snapshot")) == 0


def test_names_that_only_noise_had_are_not_taken_over() -> None:
    feeds, chance = decoder(), random.Random(6)
    known = flows("A", channels=2)
    feeds = decoder(known)
    follow(feeds, [Packet(chance.randbytes(10) + struct.pack(">QH", 5, 1), flow_id=2) for _ in range(1_000)])
    follow(feeds, [Packet(mold(1, session="REAL"))])
    heir = decoder(known[:1])
    heir.restore(feeds.save(RING, 10), "b" * 32)
    assert heir.labels().to_pylist() == ["REAL"]
    assert [(each.session, each.last_seq) for each in heir.lines()] == [("REAL", 1)]


@pytest.mark.parametrize("seed", range(8))
def test_a_state_with_any_bytes_changed_is_refused_or_followed_without_harm(seed: int) -> None:
    feeds, chance = decoder(), random.Random(seed)
    follow(feeds, [Packet(mold(seq), START_NS + seq * SECOND_NS) for seq in range(1, 200, 2)])
    follow(feeds, [Packet(mold(400)), Packet(mold(500))])
    saved = feeds.save(RING, 10)
    begin = saved.index(b"\n") + 1
    for _ in range(40):
        broken = bytearray(saved)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(begin, len(broken))] = chance.choice([0, 1, 0x7F, chance.randrange(256)])
        heir = decoder()
        try:
            heir.restore(bytes(broken), RING)
        except ValueError:
            assert live_streams(heir) == 0
        follow(heir, [Packet(mold(seq), START_NS + 9 * SECOND_NS) for seq in range(100, 900, 3)], 11)
        heir.expire(2**62)


def test_a_state_of_another_version_is_refused() -> None:
    saved = decoder().save(RING, 10)
    line, _, rest = saved.partition(b"\n")
    for told in ({}, {**json.loads(line), "version": 1}):
        with pytest.raises(ValueError, match="another version"):
            decoder().restore(json.dumps(told).encode() + b"\n" + rest, RING)


def test_what_is_missing_of_more_gaps_than_are_remembered_is_never_said_to_be_there() -> None:
    """A told gap is split in two while as many as can be are remembered."""
    feeds = decoder()
    missing = [Packet(mold(1))] + [Packet(mold(10 * n), START_NS + n * SECOND_NS) for n in range(1, 515)]
    follow(feeds, missing)
    for n in (200, 300, 400):
        follow(feeds, [Packet(mold(10 * n + 5), START_NS + 600 * SECOND_NS)])
    follow(feeds, [Packet(mold(1)), Packet(mold(10 * 515))])
    index = 0
    for n in (200, 300, 400):
        assert lib.nt_feeds_covers(feeds.handle, index, 10 * n + 6, 10 * n + 9) == 0
        assert lib.nt_feeds_covers(feeds.handle, index, 10 * n + 1, 10 * n + 4) == 0


def test_a_packet_without_a_message_is_no_duplicate() -> None:
    feeds = decoder(flows("A", framing="memoir"))
    data = [b"\2\x12" + b"SESSION1" + struct.pack(">QH", seq, count) for seq, count in ((1, 3), (4, 2), (3, 0))]
    assert not follow(feeds, [Packet(each) for each in data])


def test_the_line_that_begins_anew_later_does_not_bring_first_what_the_other_brought() -> None:
    feeds = decoder()
    follow(feeds, [Packet(mold(5_000), flow_id=1), Packet(mold(5_000), flow_id=2)])
    decoded = feeds.decode(feed_batch([Packet(mold(seq), flow_id=line) for line in (1, 2) for seq in (1, 2, 3)], 3))
    feeds.track(decoded)
    assert decoded.first.tolist() == [1, 1, 1, 0, 0, 0]


def test_a_new_session_in_the_place_of_an_old_one_names_the_one_before_it() -> None:
    feeds = decoder()
    for day, session in ((0, "A"), (5, "B"), (9, "C")):  # A is given up by then
        found = follow(feeds, [Packet(mold(1, session=session), START_NS + day * DAY_NS)])
    assert [(each.kind, each.session, each.session_before) for each in found] == [("session", "C", "B")]


def test_stamps_of_another_line_that_run_ahead_make_no_gap_of_what_is_reordered() -> None:
    """After a stall the queue of the quiet line is drained first; or the clocks of two NICs differ."""
    feeds = decoder()
    rows = [Packet(mold(1)), Packet(mold(3)), Packet(mold(1), START_NS + SECOND_NS, 2), Packet(mold(2), START_NS + 1)]
    assert [each.kind for each in follow(feeds, rows)] == ["reorder"]
