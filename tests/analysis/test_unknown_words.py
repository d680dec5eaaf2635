"""Unknown symbols and the words of the source that take their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from evaluation.onlookers import pixels
from evaluation.onlookers import translator_of as onlooker
from numpy.typing import NDArray

from seqcli.analysis import alignment
from seqcli.analysis.alignment import AlignmentSettings
from seqcli.analysis.unknown_words import without_unknown
from seqcli.build.model import build_model
from seqcli.data.subwords import SubwordTokenizer, learn_subwords
from seqcli.data.tokenizer import Tokenizer
from seqcli.data.vocabulary import learn_characters, learn_symbols, learn_words
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.attention import TracedPass
from seqcli.evaluation.reader import Translation
from seqcli.evaluation.translator import Translator
from seqcli.recipe.model import Model
from seqcli.symbols import EOS, UNK, Example

GRU: dict[str, Any] = {"kind": "gru", "hidden_size": 8, "embedding_size": 8}


def translator_of(source: Tokenizer, target: Tokenizer, *, attention: str = "dot", reverse: bool = False) -> Translator:
    section = Model.model_validate({"encoder": GRU, "decoder": {**GRU, "attention": {"kind": attention}}})
    torch.manual_seed(1)
    return Translator(build_model(section, source.size, target.size), source, target, reverse_source=reverse)


def written(
    monkeypatch: pytest.MonkeyPatch,
    translator: Translator,
    source: str,
    ids: list[int],
    looks: list[int],
    *,
    lexicon: dict[str, str] | None = None,
    features: tuple[str, ...] = (),
    settings: AlignmentSettings | None = None,
) -> str:
    """The text of a hypothesis whose step t looks at the place looks[t] of what the encoder reads, most of all."""
    example = Example(source, None, 0, "here:1", features)
    weights = np.full((len(ids), len(translator.encode(example))), 0.01)
    weights[range(len(ids)), looks] = 0.9
    return with_weights(monkeypatch, translator, example, ids, weights, lexicon or {}, settings)


def with_weights(
    monkeypatch: pytest.MonkeyPatch,
    translator: Translator,
    example: Example,
    ids: list[int],
    weights: NDArray[np.float64],
    lexicon: dict[str, str],
    settings: AlignmentSettings | None = None,
) -> str:
    cross = [torch.from_numpy(weights)[None, None]]
    monkeypatch.setattr(alignment, "traced_pass", lambda translator, batch: TracedPass({}, cross, None))
    hypothesis = Translation(translator.target_tokenizer.decode(ids), -1.0, -2.0, tuple(ids))
    (found,) = without_unknown(translator, [example], [hypothesis], lexicon, settings or AlignmentSettings())
    assert (found.score, found.log_prob, found.ids) == (-1.0, -2.0, tuple(ids))
    return found.text


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each unknown symbol by itself, without the mark that is written at the word's end; names, and what a dictionary says."""
    source = learn_words(["wir sahen ein haus."], split="punctuation")
    target = learn_words(["we saw a house."], split="punctuation")
    translator = translator_of(source, target)
    ids = [*target.encode("we saw"), UNK, *target.encode("a"), UNK, *target.encode("a.")[1:], EOS]
    assert target.decode(ids) == "we saw <unk> a <unk>."
    text, looks = "wir sahen Otto ein Schloss.", [0, 1, 2, 3, 4, 5, 6]
    assert written(monkeypatch, translator, text, ids, looks) == "we saw Otto a Schloss."
    lexicon = {"Schloss": "castle", "Otto .": "nobody", "haus": "house"}
    assert written(monkeypatch, translator, text, ids, looks, lexicon=lexicon) == "we saw Otto a castle."
    # both look at the same word; and who looks most at the end takes the word that is looked at most
    assert written(monkeypatch, translator, text, ids, [0, 1, 4, 3, 4, 5, 6]) == "we saw Schloss a Schloss."
    example, weights = Example(text, None, 0, "here:1"), np.full((7, 7), 0.01)
    weights[:, 6], weights[2, 2], weights[4, 3] = 0.8, 0.1, 0.1
    assert with_weights(monkeypatch, translator, example, ids, weights, {}) == "we saw Otto a ein."


def test_the_step_that_reads_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    words = learn_words(["a b c"])
    translator = translator_of(words, words)
    ids = [*words.encode("a"), UNK, EOS]
    assert written(monkeypatch, translator, "a x c", ids, [0, 1, 2]) == "a x"
    assert written(monkeypatch, translator, "a x c", ids, [0, 1, 2], settings=AlignmentSettings("input")) == "a c"
    # cut off, the last symbol was read by no step
    cut = AlignmentSettings("input")
    assert written(monkeypatch, translator, "a x c", ids[:2], [0, 1], settings=cut) == "a <unk>"


def test_reversed_sources_and_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    source = learn_words(["a b"], features=["V", "PST"])
    translator = translator_of(source, learn_words(["a b"]))
    # after two tags, x is the fourth
    assert written(monkeypatch, translator, "a x", [UNK, EOS], [3, 4], features=("V", "PST")) == "x"
    backwards = translator_of(learn_words(["a b"]), learn_words(["a b"]), reverse=True)
    assert written(monkeypatch, backwards, "a x", [UNK, EOS], [0, 2]) == "x"
    assert written(monkeypatch, backwards, "a x", [UNK, EOS], [1, 2]) == "a"


def test_characters_take_characters_and_words_take_words(monkeypatch: pytest.MonkeyPatch) -> None:
    characters, words = learn_characters(["ab c"]), learn_words(["ab c"])
    both = translator_of(characters, characters)
    ids = [*characters.encode("a"), UNK, EOS]
    assert written(monkeypatch, both, "aß c", ids, [0, 1, 4]) == "aß"
    # a word that is written takes a word that is read in characters; spaces belong to none
    mixed = translator_of(characters, words)
    assert written(monkeypatch, mixed, "aßb c", [UNK, *words.encode("c"), EOS], [1, 4, 5]) == "aßb c"
    example, weights = Example("aß cb", None, 0, "here:1"), np.full((2, 6), 0.01)
    weights[0, 2:5] = [0.5, 0.2, 0.2]
    assert with_weights(monkeypatch, mixed, example, [UNK, EOS], weights, {}) == "cb"


def test_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = learn_symbols(["a-b-c"], separator="-")
    translator = translator_of(symbols, symbols)
    assert written(monkeypatch, translator, "a-xx-c", [*symbols.encode("c"), UNK, EOS], [2, 1, 3]) == "c-xx"


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def subwords(request: pytest.FixtureRequest) -> SubwordTokenizer:
    texts = ["the old house stands", "they stand in the house", "old hands hold the sand"] * 20
    return learn_subwords(texts, kind=request.param, vocabulary_size=40)


def test_of_subwords_the_whole_word(monkeypatch: pytest.MonkeyPatch, subwords: SubwordTokenizer) -> None:
    """`hoüse` is written in pieces, one of them unknown: all of them give way to the source's word, which has its own pieces."""
    ids = [*subwords.encode("the old hoüse stands"), EOS]
    assert ids.count(UNK) == 1
    text = "old hoüse the"
    spans = subwords.words(subwords.encode(text))
    assert len(spans) == 3
    translator = translator_of(subwords, subwords)
    looks = [spans[1][0]] * len(ids)
    assert written(monkeypatch, translator, text, ids, looks) == "the old hoüse stands"
    lexicon = {"hoüse": "home and hearth"}
    assert written(monkeypatch, translator, text, ids, looks, lexicon=lexicon) == "the old home and hearth stands"
    first = [*subwords.encode("ü old"), EOS]
    assert written(monkeypatch, translator, text, first, [spans[1][0]] * len(first)) == "hoüse old"


def test_sources_of_another_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken is the word as the model reads it, and the dictionary is read in the same way."""
    lower = learn_words(["wir sahen"], lowercase=True)
    translator = translator_of(lower, lower)
    assert written(monkeypatch, translator, "wir Otto", [UNK, EOS], [1, 2]) == "otto"
    assert written(monkeypatch, translator, "wir Otto", [UNK, EOS], [1, 2], lexicon={"OTTO": "Otho"}) == "Otho"


def test_several_hypotheses_of_several_lengths() -> None:
    """With an untrained model's own weights; those without unknown symbols stay, and batch mates change nothing."""
    words = learn_words(["a b c d"])
    translator = translator_of(words, words)
    draw = np.random.default_rng(1)
    examples, found = [], []
    for row in range(150):
        text = " ".join(draw.choice(["a", "b", "x1", "x2", "x3"], size=draw.integers(1, 9)))
        ids = [*draw.choice([UNK, 4, 5], size=draw.integers(1, 7)).tolist(), EOS]
        examples.append(Example(text, None, row, f"here:{row}"))
        found.append(Translation(words.decode(ids), 0.0, 0.0, tuple(ids)))
    together = without_unknown(translator, examples, found, {}, AlignmentSettings())
    changed = 0
    for example, before, after in zip(examples, found, together, strict=True):
        (alone,) = without_unknown(translator, [example], [before], {}, AlignmentSettings())
        assert alone == after
        assert (before == after) == (UNK not in before.ids)
        for old, new in zip(before.text.split(), after.text.split(), strict=True):
            assert new in example.source.split() if old == "<unk>" else new == old
        changed += before != after
    assert 50 < changed < 150


def test_what_has_no_words_to_give() -> None:
    words = learn_words(["a"])
    blind = translator_of(words, words, attention="none")
    hypothesis = Translation("<unk>", 0.0, 0.0, (UNK, EOS))
    with pytest.raises(SeqcliError, match="this one has no attention"):
        without_unknown(blind, [Example("a", None, 0, "here:1")], [hypothesis], {}, AlignmentSettings())
    seen = Example("", None, 0, "here:1", image=pixels(["red", "green"]))
    with pytest.raises(RecipeError, match="this run reads images"):
        without_unknown(onlooker("conv"), [seen], [hypothesis], {}, AlignmentSettings())
    sighted = translator_of(words, words)
    assert without_unknown(sighted, [], [], {}, AlignmentSettings()) == []
    assert without_unknown(
        sighted, [Example("", None, 0, "here:1")], [Translation("", 0.0, 0.0, ())], {}, AlignmentSettings()
    )
