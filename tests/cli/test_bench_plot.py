"""Plots: that lengths and places follow the figures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from nanotape.cli.bench.plot import WIDTH, Axis, Bar, bars, lines, number

SVG = "{http://www.w3.org/2000/svg}"


def rectangles(svg: str) -> list[ElementTree.Element]:
    """The bars of a plot, without its legend."""
    body = ElementTree.fromstring(svg).find(f"{SVG}g")
    assert body is not None
    return body.findall(f"{SVG}rect")


def dots(svg: str) -> list[tuple[float, float]]:
    """The marked points of a plot."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}circle")
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in found]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (40, "40"), (31.25, "31.2"), (1.5, "1.5"), (0.04567, "0.0457"), (12345.6, "12,346"), (300, "300")],
)
def test_a_number_has_the_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_bars_are_as_long_as_their_values_and_what_was_not_measured_has_none() -> None:
    found = rectangles(bars("t", "ns", ("a", "b"), [("x", [Bar(10), Bar(None)]), ("y", [Bar(20), Bar(5)])]))
    widths = [float(bar.attrib["width"]) for bar in found]
    assert widths == pytest.approx([widths[1] / 2, widths[1], widths[1] / 4], abs=0.2)


def test_a_whisker_stays_on_the_page() -> None:
    found = rectangles(bars("t", "ns", ("a",), [("x", [Bar(10, 5, 40)])]))
    assert float(found[0].attrib["x"]) + 4 * float(found[0].attrib["width"]) < WIDTH


def test_points_stand_where_their_values_are() -> None:
    (x0, y0), (x1, y1), (x2, y2) = dots(lines("t", Axis("x"), Axis("y"), [("a", [(0, 0), (1, 50), (2, 100)])]))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2, "upwards is more"


def test_a_logarithmic_axis_gives_each_power_of_ten_the_same_room_and_draws_zero_at_its_foot() -> None:
    svg = lines(
        "t", Axis("x", labels=("p", "q", "r")), Axis("y", logarithmic=True), [("a", [(0, 0), (1, 10), (2, 1000)])]
    )
    (_, low), (_, middle), (_, high) = dots(svg)
    assert low == middle == 298.0
    assert high == 58.0


def test_a_long_legend_goes_on_in_the_next_row() -> None:
    names = [f"a contender with a long name {at}" for at in range(6)]
    svg = lines("t", Axis("x"), Axis("y"), [(name, [(1, 1)]) for name in names])
    legend = [text for text in ElementTree.fromstring(svg).findall(f"{SVG}text") if text.text in names]
    assert len(legend) == 6
    assert len({text.attrib["y"] for text in legend}) > 1
    assert all(float(text.attrib["x"]) < WIDTH - 150 for text in legend)


def test_names_with_signs_of_markup_do_no_harm() -> None:
    svg = lines("a < b", Axis("x"), Axis("y"), [("<script>", [(1, 1)])])
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "a < b"
