from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from seqcli.figures.inline import image_address, inline_svg
from seqcli.report.elements import Html, json_script, number, quoted, section, table, text
from seqcli.report.facts import cost_of, thinned
from seqcli.report.scores import duration

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&\u202e\x1b[31m'


class Tags(HTMLParser):
    """The tags that a browser would see."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def test_no_text_is_taken_for_markup() -> None:
    assert Tags(quoted(HOSTILE)).seen == ["bdi"]
    assert Tags(table([HOSTILE], [[text(HOSTILE)]])).seen.count("img") == 0
    assert Tags(section(HOSTILE, HOSTILE, Html(""))).seen == ["section", "h2"]
    assert Tags(number(1.5, "1.5", run=HOSTILE)).seen == ["data"]
    assert json_script("records", {HOSTILE: HOSTILE}).count("<") == 2, "the script's own two tags"
    # what turns the line round or steers a terminal is shown as a box
    assert "\u202e" not in text(HOSTILE)
    assert "\x1b" not in text(HOSTILE)
    assert Tags(inline_svg(Figure(figsize=(1, 1)), HOSTILE)).seen.count("img") == 0


def test_data_for_programs_is_json_whatever_it_holds() -> None:
    assert json_script("r", {"loss": [1.5, float("nan")]}).count('{"loss":[1.5,null]}') == 1


def test_a_number_carries_all_its_places() -> None:
    assert 'value="0.1234567890123456"' in number(0.1234567890123456, "0.12", step=3)
    assert 'data-step="3"' in number(0.1, "0.1", step=3)
    assert ">0.12<" in number(0.1234567890123456, "0.12")


def test_an_empty_text_is_said_to_be_so_and_a_long_one_is_cut() -> None:
    assert "(empty)" in quoted("")
    assert len(quoted("x" * 10_000)) < 700


def test_a_figure_wears_the_colours_of_the_page() -> None:
    figure = Figure(figsize=(2, 1), facecolor="#ffffff")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.plot([0, 1], [0, 1], color="#767676")
    axes.plot([0, 1], [1, 0], color="#D55E00")
    drawn = inline_svg(figure, "two lines")
    assert "#ffffff" not in drawn
    assert "var(--paper)" in drawn
    assert "var(--faint)" in drawn
    assert "#d55e00" in drawn
    assert "http" not in drawn
    assert 'style="width:192px"' in drawn, "two inches of 96 pixels"
    assert '<g id="' not in drawn


def test_an_image_is_carried_no_larger_than_asked() -> None:
    import base64
    import io

    from PIL import Image

    address = image_address(np.zeros((100, 50, 3), dtype=np.uint8), 20)
    image = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))))
    assert image.size == (10, 20)


def test_records_are_thinned_evenly_and_keep_the_last_of_each_kind() -> None:
    records = [{"event": "train", "step": step} for step in range(1, 101)] + [{"event": "validation", "step": 100}]
    kept = thinned(records, 4)
    assert [record["step"] for record in kept] == [1, 34, 67, 100, 100]
    assert thinned(records, 100) == records


def test_what_a_run_cost() -> None:
    records = [
        {
            "event": "train",
            "step": 10,
            "epoch": 0,
            "seconds": 2.0,
            "peak_bytes": 5,
            "tokens_per_second": 9.0,
            "padding": 0.1,
        },
        {
            "event": "train",
            "step": 20,
            "epoch": 1,
            "seconds": 3.0,
            "peak_bytes": 7,
            "tokens_per_second": 7.0,
            "padding": 0.3,
            "skipped": 2,
        },
        {"event": "rewind", "step": 20, "epoch": 1},
        {"event": "validation", "step": 20, "epoch": 1, "scores": {}},
    ]
    cost = cost_of(records, 11)
    assert (cost.steps, cost.epochs, cost.seconds, cost.peak_bytes) == (20, 1, 5.0, 7)
    assert (cost.tokens_per_second, cost.padding) == (8.0, pytest.approx(0.2))
    assert (cost.skipped, cost.rewinds, cost.parameters) == (2, 1, 11)
    # a version that did not write them
    assert cost_of([{"event": "train", "step": 1, "epoch": 0}], 1).seconds is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.21, "3.2 s"), (42, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (59.7, "1 min 00 s")],
)
def test_a_duration_as_one_says_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
