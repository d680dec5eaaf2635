"""The score of a given target is what a search reports that writes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.zoo_translators import examples_for, translator_of, words
from models.zoo import ENCODER_KINDS, models_with

from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.scoring import PairScore, label_log_probs, score_pairs
from seqcli.evaluation.translator import Translator
from seqcli.symbols import EOS, UNK, Example

SETTINGS = SearchSettings(
    beam_size=3, length_penalty=0.7, max_length=6, max_ratio=None, batch_sentences=8, unknown=True
)


def scores_of(translator: Translator, examples: list[Example], *, ended: bool = True) -> list[PairScore]:
    found = score_pairs(translator, examples, SETTINGS, ended=ended)
    assert None not in found
    return [one for one in found if one is not None]


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_a_pairs_score_is_the_searchs(kind: str) -> None:
    """Whole hypotheses and those that ran out of length, each in a batch with the others, for every kind of encoder and decoder."""
    decoders, ends = set(), 0
    models = models_with(kind)
    for specimen in models[:: 1 + len(models) // 12]:
        decoders.add(specimen.section.decoder.kind)
        translator = translator_of(specimen)
        examples = examples_for(translator)
        pairs = [
            (replace(example, target=one.text), one)
            for example, found in zip(examples, translator.translate(examples, SETTINGS), strict=True)
            for one in found
            if one.ids
        ]
        assert len(pairs) == 9
        for ended in (True, False):
            searched = [(pair, one) for pair, one in pairs if (one.ids[-1] == EOS) == ended]
            ends += ended and len(searched)
            for found, (_, one) in zip(
                scores_of(translator, [pair for pair, _ in searched], ended=ended), searched, strict=True
            ):
                assert found.ids == one.ids, specimen
                assert abs(found.log_prob - one.log_prob) <= 1e-5, specimen
                assert abs(found.score - one.score) <= 1e-5, specimen
                assert len(found.log_probs) == len(found.ids)
                assert sum(found.log_probs) == pytest.approx(found.log_prob)
    assert len(decoders) >= 2
    assert ends > 3


@pytest.mark.parametrize("kind", ["lstm", "transformer", "image_text"])
def test_normalised_scores_are_the_searchs(kind: str) -> None:
    """With the other penalties of length, and of what was not looked at."""
    specimen = next(
        one
        for one in models_with(kind)
        if one.section.decoder.kind != "feedforward" and "attention=NoAttention" not in repr(one.section.decoder)
    )
    translator = translator_of(specimen)
    examples = examples_for(translator)
    for changed in (
        {"length_normalization": "gnmt"},
        {"length_normalization": "none"},
        {"coverage_penalty": 0.3},
        {"length_normalization": "gnmt", "coverage_penalty": 0.7},
    ):
        settings = replace(SETTINGS, **changed)  # type: ignore[arg-type]
        differing = 0
        for example, found in zip(examples, translator.translate(examples, settings), strict=True):
            for one in found:
                pair, ended = replace(example, target=one.text), one.ids[-1:] == (EOS,)
                (scored,) = score_pairs(translator, [pair], settings, ended=ended)
                if scored is None:
                    continue
                assert scored.ids == one.ids
                assert abs(scored.score - one.score) <= 1e-5, (changed, specimen)
                differing += abs(scored.score - scored.log_prob / len(one.ids) ** 0.7) > 1e-3
        assert differing >= 3


def one_translator(longest_target: int | None = None) -> Translator:
    return translator_of(models_with("gru")[0], longest_target)


def test_by_hand() -> None:
    """What three steps of the model say, without teacher forcing."""
    translator = one_translator()
    example = Example("w03 w07", "w02 w02", 0, "here:1")
    (found,) = scores_of(translator, [example])
    state, total, last = translator.model.start(translator.batch([example])), 0.0, 1
    two = words().encode("w02")[0]
    with torch.no_grad():
        for symbol in (two, two, EOS):
            scores, state = translator.model.step(torch.tensor([last]), state)
            total += float(scores[0].log_softmax(dim=0)[symbol])
            last = symbol
    assert found.ids == (two, two, EOS)
    assert found.log_prob == pytest.approx(total, abs=1e-5)
    assert found.score == pytest.approx(total / 3**0.7, abs=1e-5)


def test_what_is_blank() -> None:
    """A source without anything has no score, an empty target that of its end, and an empty beginning that of nothing."""
    translator = one_translator()
    examples = [Example(*pair, 0, "here:1") for pair in (("", "w01"), ("w01", ""), ("  ", ""), ("w01", None))]
    first, second, third, fourth = score_pairs(translator, examples, SETTINGS)
    assert first is None
    assert third is None
    assert second == fourth
    assert second is not None
    assert second.ids == (EOS,)
    assert second.log_prob < 0
    assert score_pairs(translator, examples[1:2], SETTINGS, ended=False) == [PairScore(0.0, 0.0, (), ())]
    assert score_pairs(translator, [], SETTINGS) == []


def test_a_target_beyond_what_the_model_writes() -> None:
    """Its first symbols are scored, as a search scores what it has to cut, and it is said."""
    whole, cut = one_translator(), one_translator(longest_target=2)
    example = Example("w03 w07", "w02 w05 w01", 0, "here:1")
    (found,) = scores_of(cut, [example])
    assert found.cut
    assert found.ids == tuple(words().encode("w02 w05"))
    assert found == replace(scores_of(whole, [replace(example, target="w02 w05")], ended=False)[0], cut=True)
    # one that just fits has an end
    (found,) = scores_of(cut, [replace(example, target="w02")])
    assert not found.cut
    assert found.ids[-1] == EOS


def test_unknown_words_have_the_score_of_the_unknown_symbol() -> None:
    translator = one_translator()
    (found,) = scores_of(translator, [Example("w03", "w02 nowhere", 0, "here:1")])
    assert found.ids == (words().encode("w02")[0], UNK, EOS)
    assert found.log_prob < sum(found.log_probs[:1]) < 0


def test_order_and_batch_mates_change_nothing() -> None:
    """300 pairs of very different lengths, each also by itself."""
    translator = one_translator()
    draw = torch.Generator().manual_seed(4)
    texts = [
        " ".join(f"w{number:02}" for number in torch.randint(0, 16, (int(length),), generator=draw).tolist())
        for length in torch.randint(1, 90, (600,), generator=draw)
    ]
    examples = [
        Example(*pair, row, f"here:{row}") for row, pair in enumerate(zip(texts[::2], texts[1::2], strict=True))
    ]
    told: list[tuple[int, int]] = []
    together = score_pairs(translator, examples, SETTINGS, told=lambda done, total: told.append((done, total)))
    assert len(told) > 2
    total = sum(len(one.ids) for one in together if one)
    assert told[-1] == (total, total)
    for row in range(0, 300, 7):
        (alone,) = scores_of(translator, [examples[row]])
        one = together[row]
        assert one is not None
        assert one.ids == alone.ids
        assert one.log_probs == pytest.approx(alone.log_probs, abs=1e-5)


def test_symbols_one_by_one() -> None:
    translator = one_translator()
    ids = [7, 9, EOS]
    (found,) = label_log_probs(translator, [Example("w03", None, 0, "here:1")], [ids])
    (shorter,) = label_log_probs(translator, [Example("w03", None, 0, "here:1")], [ids[:2]])
    assert found[:2] == pytest.approx(shorter, abs=1e-6)
