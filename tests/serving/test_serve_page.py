"""The page of a server in a real browser: typing, keys, hover, upload; light and dark, wide and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, browsing
from served import Served
from test_serve_images import png

from seqcli.run import load

SHOWN = "document.querySelector('#maps .attention-hover button') && !document.getElementById('looked').hidden"
BEST = "document.getElementById('best').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser") / "profile") as one:
        yield one


def enter(browser: Browser) -> None:
    browser.press("Enter", code=13, text="\r")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_a_sentence_its_alternatives_and_its_attention(
    browser: Browser, served: Served, copy_run: Path, dark: bool, width: int
) -> None:
    browser.open(served.address, width=width, dark=dark)
    # one can type at once; a browser gives the focus with the first picture that it paints, which may be after the page is loaded
    browser.until("document.activeElement.id === 'text'")
    browser.type("abcda")
    enter(browser)
    browser.until(SHOWN)
    run = load(copy_run)
    found = run.hypotheses(run.examples(["abcda"]), run.settings(5))[0]
    assert browser.say(BEST) == found[0].text
    listed = browser.say("[...document.querySelectorAll('#list bdi')].map((each) => each.textContent)")
    assert listed == [one.text or "(nothing)" for one in found]

    lines = "[...document.querySelectorAll('.line')].map((line) => [...line.querySelectorAll('bdi')].map((each) => each.textContent))"
    (maps,) = run.attention(["abcda"])
    assert browser.say(lines) == [list(maps.source), list(maps.target)]
    browser.point(".line:nth-of-type(2) button", 1)
    browser.until("document.querySelectorAll('.line')[1].querySelectorAll('button')[1].classList.contains('chosen')")
    shown = browser.say("[...document.querySelectorAll('.line:nth-of-type(1) small')].map((each) => each.textContent)")
    strongest = int(maps.mean[1].argmax())
    assert float(shown[strongest].removesuffix(" %")) == pytest.approx(100 * maps.mean[1, strongest], abs=1)

    paper = browser.say("getComputedStyle(document.documentElement).backgroundColor")
    assert paper == ("rgb(22, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert browser.say("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == []
    assert all(each.startswith((served.address, "data:", "blob:")) for each in browser.fetched)


def test_the_keyboard_is_enough(browser: Browser, served: Served) -> None:
    browser.open(served.address)
    browser.type("abcd")
    browser.press("Tab", code=9)
    assert browser.say("document.activeElement.id") == "go"
    enter(browser)
    browser.until(SHOWN)
    for _ in range(12):
        browser.press("Tab", code=9)
        if browser.say("document.activeElement.closest('#list li:nth-child(2)') !== null"):
            break
    enter(browser)
    browser.until("document.querySelector('#list li:nth-child(2) button').getAttribute('aria-pressed') === 'true'")
    second = browser.say("document.querySelector('#list li:nth-child(2) bdi').textContent")
    browser.until(f"{BEST} === {json.dumps(second)}")
    written = "[...document.querySelectorAll('.line:nth-of-type(2) bdi')].map((each) => each.textContent).join('')"
    browser.until(f"{written} === {json.dumps(second + '</s>')}")
    for _ in range(20):
        browser.press("Tab", code=9)
        if browser.say("document.activeElement.closest('.line') !== null"):
            break
    browser.press("ArrowRight", code=39)
    browser.until("document.activeElement.classList.contains('chosen')")
    assert " looks at" in browser.say(
        "document.querySelector('.said').textContent"
    ) or " is looked at by" in browser.say("document.querySelector('.said').textContent")
    assert browser.complaints == []


def test_what_is_wrong_is_told(browser: Browser, served: Served) -> None:
    browser.open(served.address)
    enter(browser)
    browser.until("document.getElementById('wrong').textContent === 'Type something first.'")
    browser.type("abcd")
    browser.say("document.getElementById('nbest').value = '1000'")
    enter(browser)
    browser.until("document.getElementById('wrong').textContent.startsWith('Nbest must be')")
    browser.say("document.getElementById('nbest').value = '1'")
    enter(browser)
    browser.until(f"{BEST} === 'abcd' && document.getElementById('wrong').hidden")


def test_markup_is_text(browser: Browser, served: Served) -> None:
    browser.open(served.address)
    browser.type("<img src=x onerror=alert(1)></script><script>document.title='bad'</script>")
    enter(browser)
    browser.until("document.getElementById('said').textContent")
    assert browser.say("document.title") == "copy"
    assert browser.say("document.querySelectorAll('main img:not(#preview):not(#overlay)').length") == 0
    policy = served.ask("GET", "/")[1]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_image_its_caption_and_its_overlay(
    browser: Browser, captions: Served, captions_run: Path, tmp_path: Path, dark: bool
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    browser.open(captions.address, width=420, dark=dark)
    enter(browser)
    browser.choose("#image", tmp_path / "a.png")
    browser.until(SHOWN)
    (expected,) = load(captions_run).translate(images=[png()], beam_size=5)
    assert browser.say(BEST) == expected
    assert browser.say("document.getElementById('preview').naturalWidth") == 24
    browser.point(".line button", 0)
    browser.until(
        "[...document.querySelectorAll('.cells i')].some((each) => Number(each.style.getPropertyValue('--a')) > 0.1)"
    )
    browser.say("document.getElementById('draw').click()")
    browser.until("document.getElementById('overlay').naturalWidth > 100")
    assert browser.say("document.getElementById('keep').download") == "attention.png"
    assert browser.say("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == []
    assert all(each.startswith((captions.address, "data:", "blob:")) for each in browser.fetched)
