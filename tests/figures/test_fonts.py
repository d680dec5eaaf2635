from __future__ import annotations

from collections.abc import Iterator

import pytest

from seqcli.figures import fonts
from seqcli.figures.fonts import font_families, missing_fonts


@pytest.fixture
def only_matplotlibs_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which no font was ever installed."""
    monkeypatch.setattr(fonts, "_installed", lambda beginning: [])
    return


@pytest.mark.usefixtures("only_matplotlibs_fonts")
def test_the_font_that_comes_with_matplotlib_has_the_common_alphabets() -> None:
    texts = ["samstag, 5. märz", "суббота", "Σάββατο", "السبت", "שבת", "ʃ ɑ̃ t͡s", "␣⇥↵▁◌"]
    assert font_families(texts) == ["DejaVu Sans"]
    assert missing_fonts(texts) == []


@pytest.mark.usefixtures("only_matplotlibs_fonts")
@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("土曜日", "fonts-noto-cjk"),
        ("どよう", "fonts-noto-cjk"),
        ("토요일", "fonts-noto-cjk"),
        ("（", "fonts-noto-cjk"),
        ("शनि", "fonts-noto-core"),
        ("วัน", "fonts-noto-core"),
    ],
)
def test_a_script_without_a_font_names_the_package_to_install(text: str, package: str) -> None:
    assert missing_fonts(["abc", text]) == [package]


@pytest.mark.usefixtures("only_matplotlibs_fonts")
def test_what_leaves_no_ink_needs_no_font() -> None:
    assert missing_fonts([" \t\n\u200b\u3000", "\ue000"]) == []


def test_what_is_installed_covers_what_is_not_called_missing() -> None:
    for text in ("土曜日", "शनि", "วัน", "토요일"):
        assert bool(missing_fonts([text])) == (len(font_families([text])) == 1)


def test_no_texts_no_question() -> None:
    assert font_families([]) == ["DejaVu Sans"]
    assert missing_fonts([]) == []
