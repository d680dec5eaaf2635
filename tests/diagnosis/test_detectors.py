"""Each detector by itself, on texts and numbers small enough to judge by eye."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from seqcli.diagnosis.copies import first_places, places_in, plain, repeated
from seqcli.diagnosis.encoding import findings, form, mended
from seqcli.diagnosis.examine import examine
from seqcli.diagnosis.languages import learn_sides
from seqcli.diagnosis.lengths import learn_lengths
from seqcli.diagnosis.rows import Row

SOUND = [
    "Ein schwarz-weißer Hund rennt durchs Gras.",
    "L'ÉCOLE DE « L'ÉTÉ », où l’on va à pied…",
    "”GÅ” – sade han: 5 °C, 3 × 4, naïve, Ångström",
    "AT&T; Q&A; a < b > c, R&D, x &y; 100 % sure?",
    "Wer? Was? Wo?!",
    "k a̠ ɡ o̞ ŋ sʰ t͡ɕ͈ i ɑ̃ ɻ",
    "がっこう 가곡 מלך می‌خواهم हिन्दी ไทย Привет, мир! РЕКА",
    "no no no, ha ha ha",
    "1 2 3 4 5 6 7 8",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_texts_have_no_faults(text: str) -> None:
    assert list(findings(text)) == []
    assert repeated(text) is None


BROKEN = {
    "mojibake": {
        "MÃ¼ller": "Müller",
        "JÃ¤ger und BrÃ¼cke": "Jäger und Brücke",
        "ÃƒÂ¼ber": "über",
        "itâ€™s": "it’s",
        "ÐŸÑ€Ð¸Ð²ÐµÑ‚": "Привет",
        "РџСЂРёРІРµС‚": "Привет",
        "M√ºller": "Müller",
        "GrÃ¶Ã\x9fe": "Größe",
    },
    "control": {"a\x07b": "ab", "line\rend": "lineend", "x\x85": "x"},
    "invisible": {"wo\u200brd": "word", "\ufeffword": "word", "a\u2028b": "a b"},
    "entity": {"Q&amp;A": "Q&A", "it &#39;s": "it 's", "&lt;3": "<3"},
    "markup": {"a<br>b": "a b", "<b>bold</b> text": "bold text"},
}
CASES = [(kind, text, meant) for kind, texts in BROKEN.items() for text, meant in texts.items()]


@pytest.mark.parametrize(("kind", "text", "meant"), CASES)
def test_what_can_be_mended_is(kind: str, text: str, meant: str) -> None:
    assert [found for found, _ in findings(text)] == [kind]
    assert mended(text, {kind}) == meant
    assert list(findings(meant)) == []


@pytest.mark.parametrize(
    ("kind", "text"), [("replacement", "gr\ufffdn"), ("lost_letters", "gr?n"), ("lost_letters", "ein ?ber")]
)
def test_what_is_lost(kind: str, text: str) -> None:
    assert [found for found, _ in findings(text)] == [kind]


def test_forms() -> None:
    assert form("cafe") is None
    assert form("straße") is None
    assert form("café") == "NFC"
    assert form(unicodedata.normalize("NFD", "café")) == "NFD"
    assert form("é" + unicodedata.normalize("NFD", "é")) == "mixed"


def test_plain_texts() -> None:
    assert plain("  The  Man, (who) walks !") == "the man who walks"
    assert plain("It's 3.5 m") == "it's 3.5 m"
    # few words may differ in case and mean it
    assert plain("Von") == "Von"


@pytest.mark.parametrize(
    ("text", "over"),
    [("a dog dog dog dog runs", "dog"), ("the man the man the man the man sat", "the man"), ("goooooooooal", "oooooooo"),
     ("a dog dog dog runs", None), ("7 7 7 7 times", "7"), ("- - - - -", None)],
)  # fmt: skip
def test_loops(text: str, over: str | None) -> None:
    assert repeated(text) == over


def test_places() -> None:
    keys = np.array([5, 7, 5, 9, 7])
    assert first_places(keys).tolist() == [0, 1, 0, 3, 1]
    assert places_in(keys, np.array([9, 7, 7])).tolist() == [-1, 1, -1, 0, 1]
    assert places_in(keys, np.array([], dtype=int)).tolist() == [-1] * 5


def test_lengths_by_hand() -> None:
    # all targets as long as their sources, but for one of 9 letters where 49 are usual: log(10/50) = -1.6, a fifth as long
    source = np.full(400, 49, dtype=np.int32)
    target = source.copy()
    target[7] = 9
    learnt = learn_lengths(source, target)
    assert learnt is not None
    found = learnt.outliers(source, target)
    assert found[7] == pytest.approx(0.2)
    assert np.flatnonzero(found).tolist() == [7]
    assert learn_lengths(source[:100], target[:100]) is None


def test_sides_of_one_language_are_not_told_apart() -> None:
    texts = [
        f"the {a} {b} the {c}" for a in ("cat", "dog", "man") for b in ("sees", "likes") for c in ("sea", "sun", "tree")
    ]
    assert learn_sides([(text, text.replace("the", "a")) for text in texts] * 20) is not None
    assert learn_sides([(text, text) for text in texts] * 20) is None


def rows(pairs: list[tuple[str, str]]) -> list[Row]:
    return [Row("x", line, source, target) for line, (source, target) in enumerate(pairs, start=1)]


def test_what_is_usual_is_no_fault() -> None:
    # a task whose targets repeat themselves
    found = examine({"train": rows([(f"walk {n} times ok", "WALK " * 5) for n in range(300)])})
    assert found.splits["train"].usual == ["repetition"]
    assert found.sound


def test_copies_are_told_with_the_first_line() -> None:
    train = rows([("ein roter Hund bellt", "a red dog barks"), ("x y z w", "a b c d"), ("ein roter Hund bellt", "a red dog barks"),
                  ("Ein roter Hund bellt!", "A red dog barks."), ("ein roter Hund bellt", "a red dog is barking")])  # fmt: skip
    found = examine({"train": train, "test": rows([("x y z w", "other words here now"), ("X y z w.", "A b c d.")])})
    told = [(fault.kind, fault.line, fault.value.partition(":")[0] + fault.value.partition(":")[2].split(":")[0])
            for fault in found.splits["train"].faults]  # fmt: skip
    assert told == [
        ("leaked_pair", 2, "as in x2"),
        ("duplicate", 3, "as in x1"),
        ("near_duplicate", 4, "as in x1"),
        ("several_targets", 5, "as in x1"),
    ]
