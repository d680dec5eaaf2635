"""The page of a run: its numbers are those of the run's files, and a real browser opens it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened

import seqcli
from seqcli.errors import RecipeError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.report import write as writing
from seqcli.report.write import LARGEST, write_report
from seqcli.symbols import Example

FEW = {"resamples": 100, "trials": 50}


@dataclass
class Number:
    """A `<data>` of the page: its exact value and what it is about."""

    value: str
    about: dict[str, str]


class Page(HTMLParser):
    """What is in a page for programs."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.numbers: list[Number] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(content)
        script = re.search(r'<script type="application/json" id="records">(.*?)</script>', content, flags=re.DOTALL)
        assert script
        self.records: dict[str, list[dict[str, Any]]] = json.loads(script.group(1))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "data":
            about = {name.removeprefix("data-"): value for name, value in given.items() if name.startswith("data-")}
            self.numbers.append(Number(given["value"], about))
        if tag == "section" and "id" in given:
            self.ids.append(given["id"])
        self.addresses += [given[name] for name in ("src", "href", "xlink:href", "action", "srcset") if name in given]


@pytest.fixture(scope="module")
def reported(copy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report([seqcli.load(copy_run)], path, **FEW) == path.stat().st_size
    return path


@pytest.fixture(scope="module")
def both(copy_run: Path, early_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "both.html"
    write_report([seqcli.load(copy_run), seqcli.load(early_run)], path, sentences=2, **FEW)
    return path


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The report of a run that has hardly learnt to tell shapes."""
    folder = tmp_path_factory.mktemp("captions")
    recipe = folder / "captions.yaml"
    recipe.write_text(
        """\
seed: 1
data: {kind: shapes_captions, size: 32, examples: 60}
source: {image: {kind: pixels, width: 24, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}
  decoder: {kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}
training: {steps: 3, batch_sentences: 8, log_every: 1}
search: {beam_size: 1, max_length: 6}
evaluation: {metrics: [loss, chrf]}
threads: 1
"""
    )
    list(prepare(load_recipe(str(recipe)), folder / "run").train())
    write_report([seqcli.load(folder / "run")], folder / "report.html", sentences=2, **FEW)
    return folder / "report.html"


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_every_record_is_that_of_metrics_jsonl(reported: Path, copy_run: Path) -> None:
    page, lines = Page(reported.read_text()), lines_of(copy_run)
    [records] = page.records.values()
    assert records == [{name: value for name, value in line.items() if name != "sample"} for line in lines]
    by_place = {(line["event"], line["step"]): line for line in lines}
    shown = [number for number in page.numbers if "event" in number.about]
    for number in shown:
        line = by_place[number.about["event"], int(number.about["step"])]
        value = (line.get("scores") or line)[number.about["name"]]
        assert number.value == repr(value), number
    # 15 records of training with 6 figures at least, 3 validations with 2 scores
    assert len(shown) >= 15 * 6 + 3 * 2


def test_scores_are_those_of_eval(reported: Path, copy_run: Path) -> None:
    text = reported.read_text()
    scores = {number.about["score"]: float(number.value) for number in Page(text).numbers if "score" in number.about}
    evaluation = seqcli.load(copy_run).evaluate("test", intervals=100)
    assert scores == {name: metric.value for name, metric in evaluation.metrics.items()}
    for metric in evaluation.metrics.values():
        assert metric.signature in text
        for bound in metric.interval or ():
            assert f'value="{bound!r}"' in text


def test_the_whole_recipe_and_environment_are_there(reported: Path, copy_run: Path) -> None:
    text = reported.read_text()
    assert "batch_tokens: 512" in text
    for value in json.loads((copy_run / "environment.json").read_text()).values():
        assert f"<td>{value}</td>" in text
    assert "not recorded" not in text, "time and memory are"


ALONE = [
    "scores",
    "curves",
    "records",
    "lengths",
    "sentences",
    "attention",
    "gradients",
    "cost",
    "data",
    "recipe",
    "environment",
]
SEVERAL = [ALONE[0], "differences", "moved", *ALONE[1:]]


@pytest.mark.parametrize(("name", "sections"), [("reported", ALONE), ("both", SEVERAL), ("captions", ALONE)])
def test_nothing_comes_from_outside(name: str, sections: list[str], request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(name)
    text = path.read_text()
    page = Page(text)
    assert page.ids == sections
    assert path.stat().st_size < LARGEST
    assert len(page.addresses) >= len(sections)
    assert [each for each in page.addresses if not each.startswith(("#", "data:"))] == []
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert not {"iframe", "object", "embed", "form"} & set(page.tags)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize(("name", "hovers"), [("reported", 4), ("both", 8), ("captions", 4)])
def test_a_real_browser_opens_it(
    name: str, hovers: int, width: int, dark: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    shutil.copy(request.getfixturevalue(name), page)
    seen = opened(page, width=width, dark=dark)
    assert seen.console == []
    assert seen.found["fetched"] == []
    assert seen.found["needs"] <= seen.found["width"] <= width, "it scrolls sideways"
    paper, ink = ("rgb(22, 24, 29)", "rgb(232, 232, 232)") if dark else ("rgb(255, 255, 255)", "rgb(26, 26, 26)")
    assert (seen.found["background"], seen.found["ink"]) == (paper, ink)
    assert seen.found["hovers"] == hovers
    assert " look" in seen.found["said"], "a word that is pointed at tells"
    assert min(seen.found["figures"]) > 250


def test_hostile_data_stays_text(copy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>'
    run = seqcli.load(copy_run)
    examples = [Example(f"ab{hostile}", f"ab{hostile}", row, f"{hostile}:{row}") for row in range(3)]
    corpus = replace(run.corpus("test"), read=lambda: iter(examples))
    monkeypatch.setattr(run, "corpus", lambda split: corpus)
    write_report([run], tmp_path / "report.html", **FEW)
    text = (tmp_path / "report.html").read_text()
    assert hostile not in text
    assert "&lt;/script&gt;" in text
    assert "img" not in Page(text).tags


def test_a_run_without_its_data_is_reported_without_scores(copy_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mailed"
    shutil.copytree(copy_run, folder)
    recipe = folder / "recipe.yaml"
    text = recipe.read_text()
    start, end = text.index("data:\n"), text.index("source:\n")
    gone = "data: {kind: text, train: {source: gone.a, target: gone.b}, test: {source: gone.a, target: gone.b}}\n"
    recipe.write_text(text[:start] + gone + text[end:])
    write_report([seqcli.load(folder)], tmp_path / "report.html", **FEW)
    page = (tmp_path / "report.html").read_text()
    assert "is not scored here" in page
    assert "gone.a" in page
    assert "The run recorded 1,000 examples of it." in page


def test_a_page_that_would_be_too_large_has_less_in_it(
    copy_run: Path, reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LARGEST", reported.stat().st_size - 1000)
    size = write_report([seqcli.load(copy_run)], tmp_path / "report.html", **FEW)
    assert size < reported.stat().st_size - 1000
    assert Page((tmp_path / "report.html").read_text()).ids == ALONE


def test_another_ending_is_refused(copy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="must end in .html"):
        write_report([seqcli.load(copy_run)], tmp_path / "report.pdf", **FEW)


def test_images_are_in_the_page(captions: Path) -> None:
    text = captions.read_text()
    found = re.findall(r'src="data:image/png;base64,', text)
    # two best, two worst, three training examples, and attention over four
    assert len(found) == 11
    assert np.all(["image" in text, "The sources are images" in text])
