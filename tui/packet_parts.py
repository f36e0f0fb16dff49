"""What reads, decodes and writes packets, loaded when this is made: it brings Arrow, for which no key should wait."""


class PacketParts:
    """All of it."""

    def __init__(self) -> None:
        """Loads it, which takes a while."""
        from nanotape.tui.packet_export import export
        from nanotape.tui.packet_facts import PacketFacts
        from nanotape.tui.packet_query import packet_query
        from nanotape.tui.packet_tail import PacketTail

        self.tail, self.facts, self.query, self.export = PacketTail, PacketFacts, packet_query, export
