"""The links of a ring, as a reader of it sees them that lives with no service: whoever captures."""

from nanotape.capture.link_outage import LinkOutage
from nanotape.capture.link_watch import LinkWatch
from nanotape.capture.ring import Ring


class RingLinks:
    """Of one ring. XDP programs are of concern while a capture lives that has one: they are its holder's."""

    def __init__(self, watch: LinkWatch, ring: Ring) -> None:
        """Looks once: the XDP program of now is the right one."""
        self._watch, self._ring = watch, ring
        self._holder: int | None = None
        self._epoch = ring.epoch
        self._found = self._look()

    def look(self) -> list[LinkOutage]:
        """What has changed since the last look."""
        found, self._found = self._found, []
        return found + self._look()

    def _look(self) -> list[LinkOutage]:
        was, self._holder = self._holder, self._known_holder()
        epoch, self._epoch = self._epoch, self._ring.epoch
        if epoch != self._epoch and was == self._holder:
            self._watch.handed_over()  # perhaps: an heir has its holder's number, and a capture begins with it
        is_of_concern = self._ring.writer_alive or self._holder != was  # or it came and went since
        return self._watch.look(self._holder if is_of_concern else None)

    def _known_holder(self) -> int | None:
        """None: no XDP program lets packets in."""
        entry = self._ring.epoch_entry(self._ring.epoch)
        has_programs = any(source.kind == "afxdp" for source in self._ring.sources())
        return entry.holder_id if entry and has_programs else None
