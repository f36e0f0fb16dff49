"""Messages of crafted packets, each compared with what was put into it."""

import json
import struct

import pyarrow as pa
import pytest
from command_line import call
from feed_archive import BEGIN_NS, FeedFlow, FeedPacket, write_channels, write_packets

from nanotape.config.framing import BUILT_IN, Framing
from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.framing_store import FRAMINGS_NAME
from nanotape.storage.messages import SCHEMA

A = "A"


def mold(seq: int, *messages: bytes) -> bytes:
    """A packet of MoldUDP64."""
    blocks = b"".join(struct.pack(">H", len(each)) + each for each in messages)
    return b"SESSION001" + struct.pack(">QH", seq, len(messages)) + blocks


def told(archive: Archive, *names: str, **chosen: object) -> list[tuple[object, ...]]:
    """The messages, by columns."""
    rows = open_archive(archive.path).messages(**chosen).read_all()  # type: ignore[arg-type]
    assert rows.schema.equals(SCHEMA)
    return list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))


def configured(archive: Archive, framing: str, channel: str = "itch-1") -> None:
    write_channels(archive, [FeedFlow(1, channel, "A", framing), FeedFlow(2, channel, "B", framing)])


def test_each_message_of_a_packet_has_its_sequence_type_and_bytes(archive: Archive) -> None:
    packets = [
        FeedPacket(1, A, 7, 3, payload=mold(7, b"Ahello", b"", b"Xyz")),
        FeedPacket(2, A, 10, 0, "heartbeat", payload=mold(10)),
        FeedPacket(3, A, 10, 1, payload=mold(10, b"D" * 400)),
    ]
    write_packets(archive, packets)
    configured(archive, "moldudp64")
    assert told(archive, "feed_seq", "msg_index", "msg_type", "message", "problem", "ring_seq") == [
        (7, 0, "A", b"Ahello", None, 1),
        (8, 1, None, b"", None, 1),
        (9, 2, "X", b"Xyz", None, 1),
        (10, 0, "D", b"D" * 400, None, 3),
    ]


def test_a_packet_that_does_not_add_up_gives_one_row_that_says_why_and_no_message(archive: Archive) -> None:
    whole = mold(1, b"Aone", b"Btwo")
    packets = [
        FeedPacket(1, A, 1, 2, payload=whole),
        FeedPacket(2, A, 1, 2, payload=whole[:-1]),
        FeedPacket(3, A, 1, 2, payload=whole + b"\0"),
        FeedPacket(4, A, 1, 3, payload=whole),
        FeedPacket(5, A, 1, 1, payload=whole),
        FeedPacket(6, A, 1, 2, payload=whole[:-3], payload_len=len(whole)),
        FeedPacket(7, A, None, None, "bad", payload=b"short"),
        FeedPacket(8, A, None, None, None, payload=whole),
        FeedPacket(9, A, 3, 1, payload=mold(3, b"Cthree")),
    ]
    write_packets(archive, packets)
    configured(archive, "moldudp64")
    found = told(archive, "ring_seq", "feed_seq", "msg_index", "message", "problem")
    assert found == [
        (1, 1, 0, b"Aone", None), (1, 2, 1, b"Btwo", None),
        (2, None, None, None, "lengths"), (3, None, None, None, "lengths"), (4, None, None, None, "count"),
        (5, None, None, None, "lengths"), (6, None, None, None, "truncated"), (7, None, None, None, "bad"),
        (8, None, None, None, "not_decoded"), (9, 3, 0, b"Cthree", None),
    ]  # fmt: skip


def test_a_packet_sequence_is_that_of_all_its_messages(archive: Archive) -> None:
    message = struct.pack("<HHHHH", 14, 2, 46, 1, 9) + b"body"
    header = struct.pack("<IQ", 5, 1_792_000_000_000_000_000)
    write_packets(archive, [FeedPacket(1, A, 5, 1, payload=header + message + message, session=None)])
    configured(archive, "cme-mdp3")
    assert told(archive, "feed_seq", "msg_index", "msg_type", "message") == [
        (5, 0, "46", message[2:]), (5, 1, "46", message[2:]),
    ]  # fmt: skip


def test_messages_of_no_sequence_have_none(archive: Archive) -> None:
    messages = b"\x06\x97abcd" + b"\x03\x21z"
    payload = struct.pack("<HBBI", 8 + len(messages), 2, 1, 0) + messages
    write_packets(archive, [FeedPacket(1, A, 0, 2, "unsequenced", payload=payload, session=None, key="1")])
    configured(archive, "cboe-pitch")
    assert told(archive, "feed_seq", "msg_index", "msg_type") == [(None, 0, "151"), (None, 1, "33")]


def test_what_does_not_say_where_messages_end_gives_none_and_is_named(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(1, A, 1, 2, payload=bytes(60)), FeedPacket(2, A, 1, channel="other-1")])
    configured(archive, "opra")
    assert told(archive, "ring_seq") == []
    assert open_archive(archive.path).unsplit() == {"itch-1": "opra"}


def test_a_framing_of_ones_own_comes_from_the_archive(archive: Archive) -> None:
    table = {
        "endian": "big", "header": 4, "sequence": {"offset": 0, "width": 4},
        "messages": {
            "at": 4, "add": 2,
            "length": {"offset": 1, "width": 1}, "type": {"offset": 0, "width": 1, "signed": True},
        },
    }  # fmt: skip
    Framing.model_validate(table)
    (archive.path / FRAMINGS_NAME).write_text(json.dumps({"mine": table}))
    write_packets(archive, [FeedPacket(1, A, 1, payload=b"\0\0\0\1" + b"\xff\x03abc" + b"\x05\x00")])
    configured(archive, "mine")
    assert told(archive, "msg_type", "message") == [("-1", b"\xff\x03abc"), ("5", b"\x05\x00")]


def test_a_framing_holds_from_the_time_on_that_it_was_configured(archive: Archive) -> None:
    cme = struct.pack("<IQ", 5, 0) + struct.pack("<HHHHH", 10, 0, 9, 1, 9)
    packets = [FeedPacket(1, A, 1, payload=mold(1, b"A")), FeedPacket(10**9, A, 5, payload=cme)]
    following = write_packets(archive, packets)
    write_channels(archive, [FeedFlow(1, "itch-1", "A", "moldudp64")], BEGIN_NS + 10)
    write_channels(archive, [FeedFlow(1, "itch-1", "A", "cme-mdp3")], BEGIN_NS + 100, following - 1)
    assert told(archive, "msg_type", "ring_seq") == [("A", 1), ("9", 2)]


def test_rows_are_chosen_as_those_of_packets(archive: Archive) -> None:
    packets = [FeedPacket(at, A, at, payload=mold(at, b"A%d" % at)) for at in range(1, 30)]
    packets += [FeedPacket(at, "B", at, payload=mold(at, b"B%d" % at)) for at in range(1, 30)]
    write_packets(archive, packets, batch_rows=11)
    configured(archive, "moldudp64")
    chosen = told(archive, "message", line="B", start=BEGIN_NS + 5, end=BEGIN_NS + 8)
    assert chosen == [(b"B5",), (b"B6",), (b"B7",)]


def test_the_view_has_the_same_rows(archive: Archive) -> None:
    packets = [FeedPacket(at, A, at * 2, 2, payload=mold(at * 2, b"A%d" % at, b"B")) for at in range(1, 3000)]
    write_packets(archive, packets, batch_rows=700)
    configured(archive, "moldudp64")
    reader = open_archive(archive.path)
    table = reader.messages().read_all()
    query = "SELECT feed_seq, msg_type, message FROM messages ORDER BY feed_seq"
    assert table.num_rows == 5998
    for sealed in (False, True):
        found = pa.Table.from_batches(reader.sql(query, sealed=sealed).to_arrow_reader(1000))
        assert found.column("feed_seq").to_pylist() == table.column("feed_seq").to_pylist()
        assert found.column("message").to_pylist() == table.column("message").to_pylist()
    twice = "SELECT count(*) FROM messages a JOIN messages b USING (feed_seq)"
    assert reader.sql(twice).fetchall() == [(5998,)]
    assert reader.sql("SELECT sum(messages) FROM stats").fetchall() == [(None,)]


@pytest.mark.parametrize("name", [name for name, each in BUILT_IN.items() if each.messages])
def test_every_built_in_rule_splits_what_a_plain_loop_does(archive: Archive, name: str) -> None:
    framing = BUILT_IN[name]
    rule, order = framing.messages, framing.endian
    assert rule is not None
    bodies, payloads = [], []
    for size in range(1, 9):
        body = [bytes([65 + at]) * (rule.skip + 8 + at) for at in range(size)]
        whole = []
        for each in body:
            raw = bytearray(each)
            length, at = rule.length, rule.length.offset
            raw[at : at + length.width] = (len(each) - rule.add).to_bytes(length.width, order)  # type: ignore[arg-type]
            whole.append(bytes(raw))
        bodies.append([each[rule.skip :] for each in whole])
        payloads.append(bytes(rule.at) + b"".join(whole))
    packets = [
        FeedPacket(at, A, at * 100 + 1, len(bodies[at]) if framing.count else 1, payload=each)
        for at, each in enumerate(payloads)
    ]
    write_packets(archive, packets)
    configured(archive, name)
    found = told(archive, "ring_seq", "msg_index", "message", "problem", "feed_seq")
    assert found == [
        (at + 1, index, body, None, at * 100 + 1 + (index if framing.count else 0))
        for at, each in enumerate(bodies)
        for index, body in enumerate(each)
    ]


def test_the_verb_says_which_channels_have_none(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(1, A, 1, 2, payload=bytes(60))])
    configured(archive, "opra")
    status, output, talk = call("query", archive.path, "SELECT count(*) AS n FROM messages", "--format", "csv")
    assert (status, output) == (0, '"n"\n0\n')
    assert "none of itch-1 (opra)" in talk
    assert call("query", archive.path, "SELECT sum(messages) FROM stats")[2] == ""
