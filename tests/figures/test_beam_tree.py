"""The tree of a beam: no two nodes in one place, no lines that cross, and a page that holds what it was given and nothing harmful."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from seqcli.figures.beam_page import TokenRow, beam_page
from seqcli.figures.beam_tree import beam_tree_figure, score, share
from seqcli.figures.branches import Branch, best_path, rows_of
from seqcli.figures.saving import save_figures


def grown(seed: int) -> list[Branch]:
    """A tree such as a beam of up to four would leave."""
    chance = random.Random(seed)
    beam_size, branches = chance.randint(1, 4), []
    beam: list[int | None] = [None]
    for step in range(1, chance.randint(2, 9)):
        kept = []
        for rank in range(2 * beam_size):
            fate = "live" if rank < beam_size else "pruned"
            branches.append(
                Branch(chance.choice(beam), step, "ab"[rank % 2], 0.5 / (rank + 1), -0.1 * rank - step, fate, None)
            )
            if fate == "live":
                kept.append(len(branches) - 1)
        beam = list(kept)
    last = branches[beam[0] or 0]
    branches[beam[0] or 0] = Branch(last.parent, last.step, last.label, last.probability, last.score, "finished", 1)
    return branches


def test_rows_by_hand() -> None:
    # a ─ b ─ ✓      the best goes straight on; x parts last, so its row is the first below; y is below x, since their columns overlap
    #     └ x
    # └ y ─ z
    tree = [
        Branch(None, 1, "a", 1.0, -1, "live", None),
        Branch(0, 2, "b", 1.0, -1, "live", None),
        Branch(0, 2, "y", 0.1, -3, "live", None),
        Branch(1, 3, "end", 1.0, -1, "finished", 1),
        Branch(1, 3, "x", 0.1, -2, "pruned", None),
        Branch(2, 3, "z", 1.0, -3, "stopped", None),
    ]
    assert rows_of(tree) == [0, 0, 2, 0, 1, 2]
    assert best_path(tree) == {0, 1, 3}


@pytest.mark.parametrize("seed", range(20))
def test_no_two_nodes_meet_and_no_lines_cross(seed: int) -> None:
    tree = grown(seed)
    rows = rows_of(tree)
    places = {(branch.step, row) for branch, row in zip(tree, rows, strict=True)}
    assert len(places) == len(tree)
    assert all(rows[number] == 0 for number in best_path(tree))
    for number, branch in enumerate(tree):
        if branch.parent is None:
            continue
        assert rows[number] >= rows[branch.parent]
        # between the columns: a line from another parent goes through this one's only if it starts in between and ends beyond
        for other, another in enumerate(tree):
            if another.step == branch.step and another.parent not in (None, branch.parent):
                start, end = rows[branch.parent], rows[number]
                inside = start < rows[another.parent] <= end  # type: ignore[index]
                assert not (inside and rows[other] > end), (number, other)


def test_probabilities_and_scores_as_they_are_read() -> None:
    assert [share(p) for p in (1.0, 0.5, 0.0951, 0.004, 0.0001)] == ["100%", "50%", "9.5%", "0.4%", "<0.1%"]
    assert [score(s) for s in (-1.234, -0.0004, 0.0)] == ["−1.23", "−0.0004", "0.00"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture(tmp_path: Path, ending: str, dark: bool) -> None:
    figure = beam_tree_figure(grown(3), title="$x$ <b>", dark=dark)
    width, height = figure.get_size_inches()
    assert 1 < width < 20
    assert 1 < height < 20
    assert save_figures([figure], tmp_path / f"tree.{ending}")[0].stat().st_size > 1000


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="at least one"):
        beam_tree_figure([])


HARMFUL = "</script><script>alert(1)</script>"


def page() -> str:
    tree = [*grown(1), Branch(None, 1, HARMFUL, 0.1, -1.0, "pruned", None)]
    tokens = [TokenRow(HARMFUL, 0.5, 2, 1.0, [(HARMFUL, 0.5)], [(HARMFUL, 1.0)])]
    return beam_page(HARMFUL, [(HARMFUL, -1.0)], tokens, tree, verdict=HARMFUL)


def test_a_page_holds_no_script_of_the_data_and_no_address() -> None:
    made = page()
    assert made.count("<script>") == made.count("</script>") == 1
    assert "://" not in made
    assert not re.search(r"\b(?:src|href)=", made)
    assert "&lt;/script&gt;" in made


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here to open the page in")
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it(tmp_path: Path, width: int) -> None:
    file = tmp_path / "tree.html"
    # the page says what happened once it has run, and after a node was clicked
    probe = "<script>document.querySelector('g[data-n]').dispatchEvent(new MouseEvent('click',{bubbles:true}))</script>"
    file.write_text(page().replace("</html>", f"{probe}</html>"), encoding="utf-8")
    ended = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--window-size={width},800",
         f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True, timeout=200, check=True,
    )  # fmt: skip
    shown = ended.stdout.decode()
    assert re.search(r"<p id=\"told\">.+ — .+, score −", shown)
    assert len(re.findall(r"<g class=[^>]*data-n", shown)) == len(grown(1)) + 1
