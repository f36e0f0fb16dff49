"""Looking at several rings at once: one that ends leaves the others alone, and rates are of the time that passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from frames import market_data
from ring_flows import add_flow
from ring_writer import RingWriter, Written

from nanotape.capture.channel_watch import RingWatch, watch
from nanotape.capture.errors import RingCorrupt
from nanotape.capture.ring import Ring


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[RingWriter]]:
    made = [RingWriter.attach(tmp_path, name) for name in ("one", "two")]
    yield made
    for each in made:
        each.close()


def test_a_ring_that_cannot_be_read_on_leaves_the_others_alone_and_says_why(
    writers: list[RingWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = add_flow(writers[1], "itch", "A", "239.1.2.3", 15000)
    broken, sound = (RingWatch(Ring.open(name, tmp_path), {}, 0) for name in ("one", "two"))

    def read() -> None:
        raise RingCorrupt("ring one: is not a ring any more")

    monkeypatch.setattr(broken, "_look", read)
    writers[1].write(Written(market_data(b"x"), flow_id=flow))
    now_s = iter(range(100))
    try:
        first, second = watch([broken, sound], 3.0, lambda: float(next(now_s)), lambda _: None)
    finally:
        broken.close()
        sound.close()
    assert (first.ended, first.packets) == ("ring one: is not a ring any more", {})
    assert (second.ended, second.packets) == (None, {flow: 1})


def test_a_look_that_took_longer_says_so(writers: list[RingWriter], tmp_path: Path) -> None:
    ring = RingWatch(Ring.open("one", tmp_path), {}, 0)
    now_s = iter([0.0, 1.0, 7.5, 8.0])
    try:
        (seen,) = watch([ring], 3.0, lambda: next(now_s), lambda _: None)
    finally:
        ring.close()
    assert seen.seconds == 8.0


def test_a_ring_that_is_removed_meanwhile_is_told(writers: list[RingWriter], tmp_path: Path) -> None:
    """Nothing comes in it any more, which says nothing of its lines."""
    gone, sound = (RingWatch(Ring.open(name, tmp_path), {}, 0) for name in ("one", "two"))
    for path in tmp_path.glob("one.*"):
        path.unlink()
    now_s = iter(range(100))
    try:
        first, second = watch([gone, sound], 3.0, lambda: float(next(now_s)), lambda _: None)
    finally:
        gone.close()
        sound.close()
    assert first.ended == "the ring was removed or made anew meanwhile; look again"
    assert second.ended is None
