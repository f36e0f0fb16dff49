"""The order of deletion, whatever clocks have shown: newest never, older sequences of a ring before newer ones."""

from hypothesis import given
from hypothesis import strategies as st

from nanotape.storage.holdings import Holding, deletable

NOW_NS = 1_795_176_000 * 10**9
HOUR_NS = 3600 * 10**9
CLOCKS = st.one_of(
    st.integers(0, 10**18),
    st.integers(NOW_NS - 100 * HOUR_NS, NOW_NS),
    st.integers(NOW_NS + 1, 2**62),
)


def holding(ring: str, ring_id: str, sequence: int, written_ns: int) -> Holding:
    return Holding(f"{ring}/{ring_id}/{sequence}", "2026-11-20", written_ns, 1, {(ring, ring_id): sequence})


HOLDINGS = st.lists(
    st.builds(holding, st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 9), CLOCKS),
    max_size=20,
    unique_by=lambda each: each.path,
)


@given(HOLDINGS)
def test_of_a_ring_the_newest_stays_and_an_older_one_goes_before_a_newer(found: list[Holding]) -> None:
    order = deletable(found, set(), NOW_NS)
    assert all(each in found for each in order)
    for key in {key for each in found for key in each.rings}:
        mine = [each.rings[key] for each in order if key in each.rings]
        assert mine == sorted(mine)
    for ring in {key[0] for each in found for key in each.rings}:
        assert len([each for each in found if each.path.startswith(ring) and each not in order]) == 1


@given(HOLDINGS, st.sampled_from("xy"))
def test_a_ring_that_is_recorded_keeps_its_newest_whatever_the_clock_says(found: list[Holding], live: str) -> None:
    order = deletable(found, {("a", live)}, NOW_NS)
    mine = [each for each in found if ("a", live) in each.rings]
    if mine:
        assert max(mine, key=lambda each: each.rings["a", live]) not in order


@given(st.lists(st.integers(NOW_NS - 100 * HOUR_NS, NOW_NS), min_size=2, max_size=20, unique=True))
def test_between_rings_with_sound_clocks_the_first_recorded_goes_first(times: list[int]) -> None:
    times = sorted(times)
    found = [holding("ab"[number % 2], "x", number, time) for number, time in enumerate(times)]
    assert deletable(found, set(), NOW_NS) == found[:-2]


def test_a_file_of_several_rings_stays_if_it_is_the_newest_of_one() -> None:
    both = Holding("both", "2026-11-20", NOW_NS - 9, 1, {("a", "x"): 5, ("b", "y"): 5})
    later_of_a = holding("a", "x", 9, NOW_NS - 5)
    assert deletable([both, later_of_a], set(), NOW_NS) == []
    later_of_b = holding("b", "y", 7, NOW_NS - 5)
    assert deletable([later_of_b, both, later_of_a], set(), NOW_NS) == [both]


def test_one_bad_stamp_costs_no_other_ring_its_files() -> None:
    good = [holding("a", "x", number, NOW_NS - (10 - number) * HOUR_NS) for number in range(9)]
    bad = [holding("b", "y", number, NOW_NS - (10 - number) * HOUR_NS + HOUR_NS // 2) for number in range(9)]
    bad[4] = holding("b", "y", 4, 5)
    bad[6] = holding("b", "y", 6, 2**62)
    order = [each.path for each in deletable([*good, *bad], set(), NOW_NS)]
    assert order[:8] == [each.path for pair in zip(good, bad, strict=True) for each in pair][:8]
