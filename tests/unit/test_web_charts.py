"""Charts: well-formed, escaped, without styles or scripts, and true to their values."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from shared.web import charts

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    """The chart as XML: anything that is not well-formed raises."""
    return ElementTree.fromstring(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))  # noqa: S314  ours


def a_timeline(**changes: object) -> str:
    usual: dict[str, object] = {
        "title": "t", "desc": "d", "threshold": 2000.0, "sample": 9000.0,
        "incidents": [charts.Band("7", 1, 2, "high", 'an <evil> "SSID"', "/incidents/7")],
        "ticks": [charts.Tick(0, "Wed 21:20"), charts.Tick(4, "21:20")],
    }  # fmt: skip
    return charts.timeline("c", [1.0, 9001.0, None, 50.0], loud={1}, **{**usual, **changes})  # type: ignore[arg-type]


def test_a_timeline_is_well_formed_and_carries_no_style_or_script() -> None:
    svg = a_timeline()
    root = parsed(svg)
    assert root.find(f"{SVG}title") is not None
    assert "style=" not in svg
    assert "<script" not in svg
    assert "<evil>" not in svg
    assert "&lt;evil&gt;" in svg


def test_an_empty_slot_stays_empty_and_a_loud_one_is_drawn_apart() -> None:
    root = parsed(a_timeline())
    paths = {path.get("class"): path.get("d") or "" for path in root.iter(f"{SVG}path")}
    assert paths["q"].count("M") == 2
    assert paths["f-high"].count("M") == 1


def test_without_a_model_there_is_no_alert_line() -> None:
    assert "alert above" not in a_timeline(threshold=None, sample=None)
    assert "alert above 1 in 2,000" in a_timeline()


def test_markers_too_near_each_other_keep_the_newest() -> None:
    bands = [charts.Band(str(n), n * 0.01, n * 0.01, "high", "w", "/x") for n in range(20)]
    assert re.findall(r'aria-label="Incident (\d+):', a_timeline(incidents=bands)) == ["19"]


@pytest.mark.parametrize("value", [0.0, -71.0, 1e12, math.inf, -math.inf])
def test_a_range_bar_stays_inside_its_box(value: float) -> None:
    for x in re.findall(r'(?:cx|x|x1)="(-?[\d.]+)%"', charts.span(value, -80.0, 5.0, -60.0)):
        assert 0 <= float(x) <= 100


def test_a_value_outside_its_range_is_the_one_in_alarm() -> None:
    assert "f-high" in charts.span(136, 0, 2)
    assert "f-high" not in charts.span(1, 0, 2)


def test_a_strip_has_one_path_a_level() -> None:
    root = parsed(charts.strip([1, 2, 2, 5, None], "ap1 <x>"))
    assert {path.get("class") for path in root.iter(f"{SVG}path")} == {"h1c", "h2c", "h5c", "gap"}


def test_a_share_never_leaves_its_box() -> None:
    assert 'width="100.0%"' in charts.share(7.0)
