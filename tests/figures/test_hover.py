"""Attention as HTML: what stands in it, that it refers to nothing outside, and what a real browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest

from seqcli.analysis.attention_kinds import AttentionKind, KindName
from seqcli.figures.hover import HOVER_CSS, HOVER_JS, HoverMap, attention_hover, attention_page

EVIL = "</script><img src=x onerror=alert(1)>"
Browse = Callable[..., str]


def singly(count: int) -> tuple[tuple[int, int], ...]:
    return tuple((place, place + 1) for place in range(count))


def kind_of(
    name: KindName,
    rows: list[str],
    columns: list[str],
    layers: int = 2,
    heads: int = 2,
    grid: tuple[int, int] | None = None,
) -> AttentionKind:
    shape = (layers, heads, len(rows), len(columns))
    weights = np.random.default_rng(3).dirichlet(np.ones(len(columns)), size=shape[:-1]).astype(np.float32)
    seen = np.ones(shape[2:], dtype=np.bool_)
    if name == "decoder":
        seen = np.tril(seen)
    return AttentionKind(
        name, weights, tuple(rows), tuple(columns), singly(len(rows)), singly(len(columns)), seen, grid
    )


def content_of(fragment: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json">(.*?)</script>', fragment, re.DOTALL)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


CROSS = kind_of("cross", ["der", "rote </s>"], ["the", "red", "</s>"])


def test_weights_are_there_in_thousandths_under_their_names() -> None:
    (model,) = content_of(attention_hover([HoverMap("mine", [CROSS])]))
    assert model["title"] == "mine"
    assert model["picture"] is None
    (kind,) = model["kinds"]  # type: ignore[misc]
    assert (kind["name"], kind["title"]) == ("cross", "cross-attention")
    assert (kind["rows"], kind["columns"]) == (["der", "rote </s>"], ["the", "red", "</s>"])
    assert np.array_equal(kind["weights"], np.rint(1000 * CROSS.weights))
    assert kind["seen"] is None


def test_what_was_not_seen_is_told() -> None:
    decoder = kind_of("decoder", ["a", "b"], ["<s>", "a"])
    (model,) = content_of(attention_hover([HoverMap("mine", [decoder])]))
    assert model["kinds"][0]["seen"] == [[1, 0], [1, 1]]  # type: ignore[index]


def test_symbols_of_the_user_end_no_script() -> None:
    fragment = attention_hover([HoverMap(EVIL, [kind_of("cross", [EVIL], ["\u2028", EVIL])])])
    assert fragment.count("</script>") == 1
    assert "<img" not in fragment
    (model,) = content_of(fragment)
    assert model["title"] == EVIL
    page = attention_page(EVIL, [[HoverMap(EVIL, [CROSS])]])
    assert "<img" not in page


def test_a_page_refers_to_nothing_outside_of_itself() -> None:
    image = np.zeros((4, 6), dtype=np.uint8)
    page = attention_page("a page", [[HoverMap("a", [CROSS], image)], [HoverMap("b", [CROSS])]])
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(tag)
            assert not {"src", "href", "srcset", "action"} & {name for name, _ in attrs}

    Parser().feed(page)
    assert found.count("script") == 3  # the two sentences, and what draws them
    assert not re.search(r"https?:|//[a-z]|@import|url\(", HOVER_CSS + re.sub(r"// .*", "", HOVER_JS))
    assert content_of(page)[0]["picture"].startswith("data:image/png;base64,")  # type: ignore[attr-defined]


def test_nothing_is_no_map() -> None:
    with pytest.raises(ValueError, match="no attention to show"):
        attention_hover([])
    with pytest.raises(ValueError, match="no attention to show"):
        attention_hover([HoverMap("mine", [])])


def test_a_large_model_stays_small_on_disk() -> None:
    """6 layers of 8 heads and 20 words: 57,600 weights in all of three kinds."""
    words = [f"word{place}" for place in range(20)]
    kinds = [kind_of(name, words, words, layers=6, heads=8) for name in ("encoder", "decoder", "cross")]
    assert len(attention_hover([HoverMap("mine", kinds)])) < 400_000


@pytest.fixture(scope="session")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Opens a page in a browser without a screen, runs a script in it, and gives what the page says then, as the script leaves it in its title."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium is installed here, so no browser can be asked")
    place = tmp_path_factory.mktemp("browser")

    def run(page: str, script: str, *, width: int = 1200, dark: bool = False) -> str:
        said = f"try {{ document.title = JSON.stringify((() => {{ {script} }})()); }} catch (error) {{ document.title = error; }}"
        # whatever goes wrong before is said too
        first = f"<script>window.wrong = []; addEventListener('error', (event) => wrong.push(event.message)); {FOCUS}</script>"
        path = place / "page.html"
        path.write_text(page.replace("<head>", f"<head>{first}").replace("</body>", f"<script>{said}</script></body>"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += [f"--user-data-dir={place / 'profile'}", f"--window-size={width},900", "--dump-dom"]
        options += ["--proxy-server=127.0.0.1:1", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        ended = subprocess.run([browser, *options, path.as_uri()], capture_output=True, text=True, timeout=250)
        title = re.search(r"<title>(.*?)</title>", ended.stdout, re.DOTALL)
        assert title, ended.stderr[-2000:]
        return title[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")

    return run


FOCUS = """
    const focus = HTMLElement.prototype.focus;
    HTMLElement.prototype.focus = function () {
        focus.call(this);
        // a window that has no focus yet, as when two browsers start at once, keeps the event to itself
        if (!document.hasFocus()) ["focus", "focusin"].forEach((name) => this.dispatchEvent(new FocusEvent(name, {bubbles: name === "focusin"})));
    };
"""
LINES = """
    const model = document.querySelector(".model");
    const lines = [...model.querySelectorAll(".line")].map((line) => [...line.querySelectorAll("button")]);
"""
KEY = "const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"


def test_a_word_shows_its_row_in_a_browser(browse: Browse) -> None:
    decoder = kind_of("decoder", ["der", "rote </s>"], ["<s>", "der"])
    page = attention_page("a page", [[HoverMap("mine", [decoder, CROSS]), HoverMap("other", [CROSS])]])
    script = (
        LINES
        + KEY
        + """
        const numbers = () => lines[0].map((button) => button.querySelector("small").textContent);
        lines[1][0].dispatchEvent(new PointerEvent("pointerenter"));
        const hovered = numbers();
        lines[1][0].focus(); press("ArrowRight");
        const focused = [document.activeElement.querySelector("bdi").textContent, numbers(), model.querySelector(".said").textContent];
        lines[0][1].focus();
        const column = lines[1].map((button) => button.querySelector("small").textContent);
        const [kind, layer, head] = model.querySelectorAll("select");
        head.value = "1"; head.dispatchEvent(new Event("change"));
        model.querySelectorAll(".line")[1].querySelector("button").focus();
        const other = [...model.querySelectorAll(".line")[0].querySelectorAll("small")].map((small) => small.textContent);
        kind.value = "0"; kind.dispatchEvent(new Event("change"));
        const unseen = model.querySelectorAll("td.unseen").length;
        return {models: document.querySelectorAll(".model").length, hovered, focused, column, other, unseen, layer: layer.value,
            wide: document.documentElement.scrollWidth <= innerWidth, wrong};
        """
    )
    found = json.loads(browse(page, script))

    def percents(weights: np.ndarray) -> list[str]:
        rounded = np.rint(1000 * weights) / 1000
        return [f"{100 * each:.0f} %" if each >= 0.0995 else f"{100 * each:.1f} %" for each in rounded.tolist()]

    def as_numbers(shown: list[str]) -> list[float]:
        return [float(each.removesuffix(" %") or 0) for each in shown]

    last = CROSS.weights[-1].mean(axis=0)
    assert found["wrong"] == []
    assert found["models"] == 2
    assert as_numbers(found["hovered"]) == pytest.approx(as_numbers(percents(last[0])), abs=1)
    assert found["focused"][0] == "rote␣</s>"
    assert as_numbers(found["focused"][1]) == pytest.approx(as_numbers(percents(last[1])), abs=1)
    assert found["focused"][2].startswith("rote␣</s> looks at: ")
    assert as_numbers(found["column"]) == pytest.approx(as_numbers(percents(last[:, 1])), abs=1)
    assert as_numbers(found["other"]) == pytest.approx(as_numbers(percents(CROSS.weights[-1, 1, 0])), abs=1)
    assert found["unseen"] == 1
    assert found["layer"] == "1"  # the last, counted from 0
    assert found["wide"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_image_on_a_narrow_page(browse: Browse, dark: bool) -> None:
    over = kind_of("cross", ["a", "star"], [*(f"({r},{c})" for r in (1, 2) for c in (1, 2, 3)), "what"], grid=(2, 3))
    page = attention_page("a page", [[HoverMap("mine", [over], np.full((8, 12, 3), 90, dtype=np.uint8))]])
    script = (
        LINES
        + """
        lines[1][1].focus();
        const cells = [...model.querySelectorAll(".cells i")].map((cell) => Number(cell.style.getPropertyValue("--a")));
        model.querySelectorAll(".cells i")[4].dispatchEvent(new PointerEvent("pointerenter"));
        return {cells, said: model.querySelector(".said").textContent, paper: getComputedStyle(model.parentElement.parentElement).backgroundColor,
            inside: document.documentElement.scrollWidth <= innerWidth, image: model.querySelector("img").naturalWidth, wrong};
        """
    )
    found = json.loads(browse(page, script, width=500, dark=dark))
    assert found["wrong"] == []
    weights = over.weights[-1].mean(axis=0)[:, :6]
    assert np.argmax(found["cells"]) == weights[1].argmax()
    assert found["cells"] == pytest.approx((0.85 * (weights[1] / weights.max()) ** (2 / 3)).tolist(), abs=0.01)
    assert found["said"].startswith("(2,2) is looked at by: ")
    assert found["paper"] == ("rgb(22, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert found["inside"]
    assert found["image"] == 12
