"""Every tokenizer: what goes in comes out, the same text gives the same bytes, and nothing in a text is mistaken."""

from __future__ import annotations

import json
import random
import re
import statistics
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.subwords import SubwordTokenizer, learn_subwords
from seqcli.data.tokenizer import Tokenizer, encode_source, load_tokenizer, same_symbols
from seqcli.data.vocabulary import learn_characters, learn_symbols, learn_words
from seqcli.errors import DataError, StorageError
from seqcli.symbols import BOS, EOS, PAD, SPECIAL, UNK

TEXTS = ["der hund bellt .", "der Hund schläft !", "die Katze, (sie) schläft", "a<s>b <s> </s> <unk> <pad> |x|"]
FEATURES = ["N", "PL", "N"]


def bpe(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_subwords(texts, kind="bpe", vocabulary_size=60, features=features)


def unigram(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_subwords(texts, kind="unigram", vocabulary_size=60, features=features)


def characters(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_characters(texts, features=features)


def words(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_words(texts, features=features)


def punctuation(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_words(texts, features=features, split="punctuation")


def symbols(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_symbols(texts, features=features)


Learn = Callable[..., Tokenizer]
KINDS: dict[str, Learn] = {
    function.__name__: function for function in (bpe, unigram, characters, words, punctuation, symbols)
}
every_kind = pytest.mark.parametrize("learn", KINDS.values(), ids=KINDS)


@every_kind
def test_decode_undoes_encode(learn: Learn) -> None:
    tokenizer = learn(TEXTS)
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@every_kind
def test_a_text_never_becomes_a_special_symbol(learn: Learn) -> None:
    tokenizer = learn(TEXTS, FEATURES)
    for text in [*TEXTS, "N", "PL <s>", "<s>", "</s>", "<unk>", "<pad>"]:
        assert not {PAD, BOS, EOS} & set(tokenizer.encode(text))
    features = tokenizer.encode("", FEATURES)
    assert not set(features) & set(tokenizer.encode("N PL"))


@every_kind
def test_features_are_symbols_of_their_own(learn: Learn) -> None:
    tokenizer = learn(TEXTS, FEATURES)
    assert tokenizer.size == learn(TEXTS).size + 2
    ids = tokenizer.encode(TEXTS[0], ["PL", "N", "V"])
    assert tokenizer.tokens(ids[:3]) == ["PL", "N", "<unk>"]
    assert ids[3:] == tokenizer.encode(TEXTS[0])
    assert all(0 <= i < tokenizer.size for i in ids)
    assert tokenizer.decode(ids[:2] + ids[3:]) == TEXTS[0]
    assert tokenizer.words(ids)[:2] == [(0, 1), (1, 2)]
    assert encode_source(tokenizer, TEXTS[0], ["N"], reverse=True) == [*tokenizer.encode(TEXTS[0])[::-1], ids[1], EOS]


@every_kind
def test_each_symbol_has_its_text_and_no_other_id_has_one(learn: Learn) -> None:
    tokenizer = learn(TEXTS, FEATURES)
    texts = tokenizer.texts()
    assert len(texts) == tokenizer.size
    written = {i for i in range(tokenizer.size) if i >= len(SPECIAL) and i not in tokenizer.encode("", FEATURES)}
    assert {i for i, text in enumerate(texts) if text is not None} == written
    labels = tokenizer.tokens(range(tokenizer.size))
    assert all(text == label for text, label in zip(texts, labels, strict=True) if text is not None)


def test_the_same_symbols_of_two_tokenizers() -> None:
    """By their text: neither a tag that is called like a word nor what stands for no text is anything's like."""
    source = learn_words(["a b c", "b c", "c"], features=["a", "V"])
    target = learn_words(["b a x", "V b", "b"])
    assert source.tokens(range(9)) == [*SPECIAL, "V", "a", "c", "b", "a"]
    assert target.tokens(range(8)) == [*SPECIAL, "b", "V", "a", "x"]
    assert same_symbols(source, target) == [-1, -1, EOS, -1, -1, -1, -1, 4, 6]
    assert same_symbols(target, target) == [-1, -1, EOS, -1, 4, 5, 6, 7]


@every_kind
def test_special_symbols_are_shown_but_not_written(learn: Learn) -> None:
    tokenizer = learn(TEXTS)
    ids = [BOS, *tokenizer.encode(TEXTS[0]), EOS, PAD]
    assert tokenizer.decode(ids) == TEXTS[0]
    assert [tokenizer.tokens(ids)[place] for place in (0, -2, -1)] == ["<s>", "</s>", "<pad>"]
    assert tokenizer.tokens([PAD, BOS, EOS, UNK]) == list(SPECIAL)
    spans = tokenizer.words(ids)
    assert spans[0] == (0, 1)
    assert spans[-2:] == [(len(ids) - 2, len(ids) - 1), (len(ids) - 1, len(ids))]


@every_kind
def test_unknown_symbols_are_shown_as_such(learn: Learn) -> None:
    tokenizer = learn(TEXTS)
    ids = tokenizer.encode("日 der")
    assert UNK in ids
    assert "<unk>" in tokenizer.decode(ids)
    assert "der" in tokenizer.decode(ids)


@pytest.mark.parametrize("learn", [characters, bpe, unigram, words, punctuation])
def test_words_are_those_of_the_text(learn: Learn) -> None:
    tokenizer = learn(TEXTS)
    ids = tokenizer.encode("der hund schläft")
    spans = tokenizer.words(ids)
    assert [tokenizer.decode(ids[start:end]).strip() for start, end in spans] == ["der", "hund", "schläft"]


@every_kind
def test_the_same_texts_give_the_same_bytes(learn: Learn, tmp_path: Path) -> None:
    for name in ("one", "two"):
        learn(iter(TEXTS), iter(FEATURES)).save(tmp_path, name)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == (4 if learn in (bpe, unigram) else 2)
    for ending in {path.suffix for path in tmp_path.iterdir()}:
        assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


def test_the_order_of_ids_does_not_depend_on_the_process(tmp_path: Path) -> None:
    program = f"""
import pathlib, sys
from seqcli.data.vocabulary import learn_words
learn_words({TEXTS!r}, features={FEATURES!r}).save(pathlib.Path(sys.argv[1]), sys.argv[2])"""
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program, str(tmp_path), seed]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed})
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


@every_kind
def test_saved_and_loaded(learn: Learn, tmp_path: Path) -> None:
    tokenizer = learn(TEXTS, FEATURES)
    tokenizer.save(tmp_path / "new", "source")
    loaded = load_tokenizer(tmp_path / "new", "source")
    assert loaded == tokenizer
    assert loaded.digest == tokenizer.digest != learn(TEXTS).digest
    assert loaded.encode(TEXTS[3], FEATURES) == tokenizer.encode(TEXTS[3], FEATURES)
    assert loaded.size == tokenizer.size


@every_kind
def test_damaged_files_are_told_in_a_sentence(learn: Learn, tmp_path: Path) -> None:
    learn(TEXTS).save(tmp_path, "source")
    damaged = 0
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        middle = whole.index(b"symbols") + 20 if path.suffix == ".json" and b"symbols" in whole else len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for data in (flipped, whole[: len(whole) // 2], b"", b"[]", b"{}", b"\xff"):
            path.write_bytes(data)
            with pytest.raises(DataError, match=re.escape(str(path))):
                load_tokenizer(tmp_path, "source")
            damaged += 1
        path.unlink()
        with pytest.raises(DataError, match=re.escape(str(path))):
            load_tokenizer(tmp_path, "source")
        path.write_bytes(whole)
    assert damaged == (12 if learn in (bpe, unigram) else 6)
    load_tokenizer(tmp_path, "source")


def test_a_tokenizer_that_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        characters(TEXTS).save(tmp_path / "file", "source")


@every_kind
def test_nothing_to_learn_from(learn: Learn) -> None:
    for texts in ([], [""]):
        with pytest.raises(DataError, match="no text to learn"):
            learn(texts)


def test_too_small_a_vocabulary_says_what_it_takes() -> None:
    for kind in ("bpe", "unigram"):
        with pytest.raises(DataError, match="vocabulary_size = 8: it takes 34 at least"):
            learn_subwords(["abcdefghijklmnopqrstuvwxyzäöü"], kind=kind, vocabulary_size=8)  # type: ignore[arg-type]


def test_a_small_corpus_is_enough_for_subwords() -> None:
    assert 5 <= learn_subwords(["a"], kind="bpe", vocabulary_size=8000).size < 10


def zipfian(sentences: int) -> list[str]:
    """Sentences of made words, of which the n-th is seen 1/n as often as the first."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 8))) for _ in range(900)]
    weights = [1 / place for place in range(1, len(words) + 1)]
    return [" ".join(draw.choices(words, weights, k=8)) for _ in range(sentences)]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subwords_that_are_seen_too_rarely_are_not_learnt(kind: Any) -> None:
    texts = zipfian(600)
    all_of_them, frequent, more = (
        learn_subwords(one, kind=kind, vocabulary_size=1000, median_frequency=asked)
        for one, asked in ((texts, None), (texts, 20), (zipfian(2400), 20))
    )
    assert frequent.size < more.size <= all_of_them.size, "of more text more subwords are seen often enough"

    def median(tokenizer: SubwordTokenizer) -> float:
        seen = Counter(i for text in texts for i in tokenizer.encode(text))
        long = [i for i in range(len(SPECIAL), tokenizer.size) if len(tokenizer.tokens([i])[0]) > 1]
        return statistics.median(seen[i] for i in long)

    assert median(all_of_them) < 20 <= median(frequent)
    # not many fewer than there could be
    assert median(learn_subwords(texts, kind=kind, vocabulary_size=round(1.5 * frequent.size))) < 20
    assert all(frequent.decode(frequent.encode(text)) == text for text in texts)


def test_characters_are_learnt_however_rare_they_are() -> None:
    texts = ["abcdefghijklmnop", "qrstuvwxyz"]
    tokenizer = learn_subwords(texts, kind="bpe", vocabulary_size=60, median_frequency=1000)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    assert tokenizer.size <= len(SPECIAL) + 26 + 3


def test_ids_follow_frequency_then_text() -> None:
    tokenizer = learn_words(["b b a c c", "d"], features=["X", "Y", "Y"])
    assert tokenizer.tokens(range(tokenizer.size)) == [*SPECIAL, "Y", "X", "b", "c", "a", "d"]
    assert learn_words(["b b a c c", "d"], min_frequency=2).symbols == ("b", "c")
    assert learn_words(["b b a c c", "d"], max_size=1).symbols == ("b",)
    assert learn_symbols(["a|b||a"], separator="|").symbols == ("a", "b")
    assert learn_symbols(["a|b|b"], separator="|", max_size=1).symbols == ("b",)


def test_normalisation_comes_first_and_then_lower_case() -> None:
    text = "ﬁN\u0301 É"
    shown = {
        (form, lower): learn_characters([text], normalize=form, lowercase=lower).split(text)  # type: ignore[arg-type]
        for form in ("none", "nfc", "nfkc", "nfd", "nfkd")
        for lower in (False, True)
    }
    assert shown["none", False] == ["ﬁ", "N", "\u0301", " ", "É"]
    assert shown["nfc", True] == ["ﬁ", "ń", " ", "é"]
    assert shown["nfkc", False] == ["f", "i", "Ń", " ", "É"]
    assert shown["nfd", True] == ["ﬁ", "n", "\u0301", " ", "e", "\u0301"]
    assert shown["nfkd", False] == ["f", "i", "N", "\u0301", " ", "E", "\u0301"]
    assert learn_subwords([text], kind="bpe", vocabulary_size=99, normalize="nfkc").decode(
        learn_subwords([text], kind="bpe", vocabulary_size=99, normalize="nfkc").encode(text)
    ) == ("fiŃ É")


@pytest.mark.parametrize("kind", ["characters", "words", "symbols", "bpe"])
def test_what_came_apart_is_put_together(kind: str, tmp_path: Path) -> None:
    texts = ["한국어 école", "말 Ångström é"]
    learnt: Tokenizer = (
        learn_subwords(texts, kind="bpe", vocabulary_size=60, normalize="nfd")
        if kind == "bpe"
        else {"characters": learn_characters, "words": learn_words, "symbols": learn_symbols}[kind](
            texts, normalize="nfd"
        )
    )
    learnt.save(tmp_path, "saved")
    tokenizer = load_tokenizer(tmp_path, "saved")
    for text in texts:
        ids = tokenizer.encode(text)
        assert ids == tokenizer.encode(unicodedata.normalize("NFD", text))
        assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    if kind == "characters":
        assert set("한ᄆᆯ") <= set(tokenizer.tokens(range(tokenizer.size)))
        assert tokenizer.decode(tokenizer.encode("할 만")) == "할 만"  # of the parts of others


def test_punctuation_by_hand() -> None:
    tokenizer = learn_words(['Hello, "you" (two)! it\'s क्या'], split="punctuation")
    expected = 'Hello ￭, "￭ you ￭" (￭ two ￭) ￭! it ￭\'￭ s क्या'
    assert tokenizer.split('Hello, "you" (two)! it\'s क्या') == expected.split()


lines = st.text(st.characters(exclude_characters="￭▁▅", exclude_categories=("Cs",)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(lines)
def test_any_text_survives_characters_and_punctuation(text: str) -> None:
    anything = learn_characters([text + "x"])
    assert anything.decode(anything.encode(text)) == text
    marks = learn_words([text + "x"], split="punctuation")
    if text.strip():
        marks = learn_words([text], split="punctuation")
        assert marks.decode(marks.encode(text)) == " ".join(text.split())


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_characters="▁▅\0", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_any_text_survives_subwords(text: str) -> None:
    tokenizer = learn_subwords([f"{text} x"], kind="unigram", vocabulary_size=200)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def multi30k(shared_data: Path) -> dict[str, list[str]]:
    """All lines of Multi30k: raw and tokenised, both languages, all splits."""
    lines = {}
    for path in sorted((shared_data / "multi30k").iterdir()):
        lines[path.name] = path.read_bytes().decode().removesuffix("\n").split("\n")
    assert len(lines) == 12
    assert sum(map(len, lines.values())) == 124_056
    return lines


LOSSLESS: dict[str, Callable[[Iterable[str]], Tokenizer]] = {
    "characters": lambda texts: learn_characters(texts),
    "symbols": lambda texts: learn_symbols(texts, separator="\n"),
    "punctuation": lambda texts: learn_words(texts, split="punctuation"),
    "words": lambda texts: learn_words(texts),
    "bpe": lambda texts: learn_subwords(texts, kind="bpe", vocabulary_size=8000),
    "unigram": lambda texts: learn_subwords(texts, kind="unigram", vocabulary_size=8000),
}


def lost(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """The lines that do not come back; words are measured on text with single spaces."""
    if tokenizer.kind == "words":
        texts = [" ".join(text.split()) for text in texts]
    return [text for text in texts if tokenizer.decode(tokenizer.encode(text)) != text]


@pytest.mark.parametrize("name", ["characters", "punctuation", "words", "bpe"])
def test_real_lines_come_back(name: str, shared_data: Path) -> None:
    lines = multi30k(shared_data)
    texts = [line for name in ("val.raw.de", "val.raw.en", "val.tok.de", "val.tok.en") for line in lines[name]]
    assert len(texts) == 4056
    assert lost(LOSSLESS[name](texts), texts) == []


@pytest.mark.real
@pytest.mark.parametrize("name", LOSSLESS)
def test_every_line_of_multi30k_comes_back(name: str, shared_data: Path) -> None:
    texts = [line for part in multi30k(shared_data).values() for line in part]
    assert lost(LOSSLESS[name](texts), texts) == []


def test_the_file_is_json_and_holds_no_path(tmp_path: Path) -> None:
    learn_subwords(TEXTS, kind="bpe", vocabulary_size=60).save(tmp_path, "source")
    assert json.loads((tmp_path / "source.json").read_text())["kind"] == "bpe"
    assert str(tmp_path).encode() not in (tmp_path / "source.model").read_bytes()


def marked(texts: Iterable[str], features: Iterable[str] = ()) -> Tokenizer:
    return learn_characters(texts, features=features, marked_capitals=True)


def test_a_marked_capital_is_known_by_its_small_letter(tmp_path: Path) -> None:
    tokenizer = marked(["Haus", "kropf"])
    assert tokenizer.tokens(tokenizer.encode("HaK")) == ["⇧", "h", "a", "⇧", "k"]
    assert UNK not in tokenizer.encode("Kaos")
    assert UNK in characters(["Haus", "kropf"]).encode("Kaos")
    assert tokenizer.decode(tokenizer.encode("KrAUS")) == "KrAUS"
    tokenizer.save(tmp_path, "source")
    again = load_tokenizer(tmp_path, "source")
    assert (again, again.digest) == (tokenizer, tokenizer.digest)
    assert tokenizer.digest != characters(["⇧haus", "kropf"]).digest


@pytest.mark.parametrize(
    ("written", "expected"), [("⇧⇧h", "H"), ("h⇧", "h"), ("⇧.a", ".a"), ("⇧ßa", "ßa"), ("a⇧ b", "a b"), ("⇧ſ", "ſ")]
)
def test_a_mark_that_marks_nothing_is_left_out(written: str, expected: str) -> None:
    """As a model may write it."""
    tokenizer = marked(["ah.ß bſ", "A"])
    ids = [tokenizer.texts().index(letter) for letter in written]
    assert tokenizer.decode(ids) == expected
    assert tokenizer.decode([tokenizer.texts().index("⇧"), UNK]) == "<unk>"


@given(st.text(st.characters(exclude_characters="⇧", exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_marks_lose_nothing(text: str) -> None:
    tokenizer = marked([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert UNK not in tokenizer.encode(text)
