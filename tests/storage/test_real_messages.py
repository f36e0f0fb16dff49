"""Messages of real packets: as many as their headers say, and of the types that the files are named for."""

from __future__ import annotations

import pathlib

import pytest
from feed_archive import FeedFlow, FeedPacket, write_channels, write_packets
from hand_decoded import HAND_DECODED, Row
from itch5_model import LENGTHS
from payloads import real_flows

from nanotape.config.framing import BUILT_IN
from nanotape.storage import open_archive
from nanotape.storage.archive import Archive

SPLIT = {place: rows for place, rows in HAND_DECODED.items() if BUILT_IN[place[1]].messages}
NAMED_TYPES = {
    "nyse-pillar": {
        "AddOrderMessage": "100", "DeleteOrderMessage": "102", "OrderExecutionMessage": "103",
        "ReplaceOrderMessage": "104", "ImbalanceMessage": "105", "CrossTradeMessage": "111",
        "StockSummaryMessage": "223", "SecurityStatusMessage": "34", "SourceTimeReferenceMessage": "2",
        "SymbolIndexMappingMessage": "3", "SequenceResetMessage": "1",
    },
    "moldudp64": {
        "AddOrderNoMpidAttributionMessage": "A", "OrderDeleteMessage": "D", "OrderReplaceMessage": "U",
        "MarketParticipantPositionMessage": "L", "NetOrderImbalanceIndicatorMessage": "I",
        "OrderExecutedMessage": "E", "StockTradingActionMessage": "H",
    },
    "cboe-pitch": {"AddOrderLongMessage": "33", "DeleteOrderMessage": "41", "ModifyOrderLongMessage": "39"},
    "cme-mdp3": {
        "MdIncrementalRefreshBook": "46", "MdIncrementalRefreshOrderBook": "47",
        "MdIncrementalRefreshTradeSummary": "48", "MdIncrementalRefreshVolume": "37",
    },
}  # fmt: skip
"""By framing and name of the file, from the exchanges' documents."""
IEX_TOPS = {
    "SystemEventMessage": "S", "OfficialPriceMessage": "X", "AuctionInformationMessage": "A", "QuoteUpdateMessage": "Q",
    "TradingStatusMessage": "H", "SecurityDirectoryMessage": "D", "ShortSalePriceTestStatusMessage": "P",
    "OperationalHaltStatusMessage": "O", "TradeReportMessage": "T",
}  # fmt: skip


def named_type(framing: str, file: str) -> str | None:
    if framing == "iex-tp":
        return file[0] if file[1:2] == "_" else IEX_TOPS.get(file)
    return NAMED_TYPES[framing].get(file)


@pytest.mark.parametrize(("place", "rows"), SPLIT.items(), ids=[folder for folder, _ in SPLIT])
def test_real_packets_split_into_what_their_headers_and_names_say(
    captures: pathlib.Path, archive: Archive, place: tuple[str, str], rows: list[Row]
) -> None:
    folder, framing = place
    files, packets = [], []
    for file in dict.fromkeys(file for file, *_ in rows):
        samples = [each for _, flow in real_flows(captures / folder / f"{file}.pcap", 65_535) for each in flow]
        mine = [row for row in rows if row[0] == file]
        for sample, (_, _, status, session, key, seq, count, _) in zip(samples, mine, strict=True):
            files.append(file)
            packets.append(FeedPacket(len(files), "A", seq, count, status, session, key, payload=sample.data))
    write_packets(archive, packets)
    write_channels(archive, [FeedFlow(1, "itch-1", "A", framing)])
    found = open_archive(archive.path).messages().read_all().to_pydict()
    assert set(found["problem"]) == {None}
    types: dict[str, set[str]] = {file: set() for file in files}
    for ring_seq, kind in zip(found["ring_seq"], found["msg_type"], strict=True):
        types[files[ring_seq - 1]].add(kind)
    for at, packet in enumerate(packets):
        if BUILT_IN[framing].count:
            assert found["ring_seq"].count(at + 1) == packet.count
    if framing == "moldudp64":
        pairs = zip(found["msg_type"], found["message"], strict=True)
        assert all(len(message) == LENGTHS[kind] for kind, message in pairs if kind in LENGTHS)
    for file, kinds in types.items():
        expected = named_type(framing, file)
        assert expected is None or expected in kinds, (file, kinds)
