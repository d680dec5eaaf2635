"""Explanations: their numbers are those of the search and of the model, whatever the model; a given target is judged rightly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation.onlookers import ENCODERS, GRU, pixels, translator_of, words

from seqcli.analysis.explanation import Explanation, explain
from seqcli.build.model import build_model
from seqcli.errors import SeqcliError
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.recipe.load import load_recipe
from seqcli.recipe.model import Model
from seqcli.run import Run, load
from seqcli.search.trace import path_to
from seqcli.symbols import Example


@pytest.fixture(scope="module")
def run(copy_run: Path) -> Run:
    return load(copy_run)


@pytest.fixture(scope="module")
def explained(run: Run) -> Explanation:
    return run.explain(["abcd"], beam_size=3)[0]


def test_the_probabilities_are_those_that_the_search_saw(run: Run, explained: Explanation) -> None:
    best = explained.hypotheses[0]
    assert explained.target == best.text == "abcd"
    assert explained.log_prob == pytest.approx(best.log_prob, abs=1e-5)
    assert explained.score == pytest.approx(best.score, abs=1e-5)
    end = next(node.number for node in explained.tree if node.place == 1)
    searched = [node.step_log_prob for node in path_to(explained.tree, end)]
    assert [token.log_prob for token in explained.tokens] == pytest.approx(searched, abs=1e-5)
    assert [token.id for token in explained.tokens] == list(best.ids)


def test_entropy_rank_and_alternatives_are_of_one_distribution(run: Run) -> None:
    size = run.translator.target_tokenizer.size
    for token in run.explain(["abc"], ["ca"], alternatives=size)[0].tokens:
        shares = [one.probability for one in token.alternatives]
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)
        assert token.entropy == pytest.approx(-sum(p * math.log2(p) for p in shares if p > 0), abs=1e-4)
        assert shares == sorted(shares, reverse=True)
        assert token.rank == 1 + sum(share > token.probability * (1 + 1e-6) for share in shares)
        assert token.probability == pytest.approx(math.exp(token.log_prob))


def test_what_is_looked_at_is_what_attention_maps_say(run: Run, explained: Explanation) -> None:
    maps = run.attention(["abcd"], ["abcd"])[0]
    # "abcd" is one word of four characters, "</s>" another
    assert [maps.source_words, maps.target] == [((0, 4), (4, 5)), ("a", "b", "c", "d", "</s>")]
    for row, token in zip(maps.mean, explained.tokens, strict=True):
        told = {look.word: look.weight for look in token.looks}
        assert told["abcd"] == pytest.approx(float(row[:4].sum()), abs=1e-5)
        assert told["</s>"] == pytest.approx(float(row[4]), abs=1e-5)


def test_a_given_target_is_judged(run: Run, explained: Explanation) -> None:
    right, wrong = run.explain(["abcd", "abcd"], ["abcd", "dcba"], beam_size=2)
    assert (right.given, right.left_beam) == (True, None)
    assert right.verdict == "the search finds it: it is the best hypothesis"
    assert wrong.verdict is not None
    assert wrong.verdict.startswith("no search error")
    assert wrong.left_beam is not None
    assert wrong.tokens[0].rank > 1
    assert explained.verdict is None


def test_a_search_error_is_told(run: Run, explained: Explanation) -> None:
    wrong = run.explain(["abcd"], ["abca"], beam_size=2)[0]
    # were it better than what was found, the search would be to blame
    blamed = replace(wrong, score=explained.hypotheses[0].score + 0.5)
    assert blamed.verdict is not None
    assert blamed.verdict.startswith("a search error")
    assert f"the beam lost it at step {wrong.left_beam}" in blamed.verdict
    # a target whose beginning is that of the best one is lost where it parts from it, or later
    assert wrong.left_beam is not None
    assert wrong.left_beam >= 4


def test_json_holds_all_of_it(explained: Explanation) -> None:
    record = json.loads(json.dumps(explained.as_json()))
    assert [token["token"] for token in record["tokens"]] == ["a", "b", "c", "d", "</s>"]
    assert len(record["beam"]) == len(explained.tree)
    assert {"live", "finished", "pruned"} <= {node["fate"] for node in record["beam"]}


def test_nothing_to_explain(run: Run) -> None:
    with pytest.raises(SeqcliError, match="nothing to explain"):
        run.explain([""])


def test_a_model_without_attention_looks_at_nothing(run: Run) -> None:
    recipe = load_recipe(
        "copy", ["model.decoder={kind: gru, hidden_size: 8, attention: {kind: none}}", "source.reverse=true"]
    )
    sizes = run.translator.source_tokenizer.size, run.translator.target_tokenizer.size
    torch.manual_seed(3)
    translator = type(run.translator)(
        build_model(recipe.model, *sizes),
        run.translator.source_tokenizer,
        run.translator.target_tokenizer,
        reverse_source=True,
    )
    example = replace(run.examples(["ab"])[0], target="ba")
    found = explain(translator, example, run.settings(2))
    assert not found.has_attention
    assert [token.looks for token in found.tokens] == [(), (), ()]


def test_what_the_search_orders_by_does_not_pass_for_what_the_model_gives(copy_run: Path) -> None:
    """A penalty on repetition makes the search's scores others than the model's, and the verdict is of the model's."""
    run = load(copy_run, ["search.repetition_penalty=3"])
    best = run.explain(["aabb"], beam_size=3)[0]
    second = best.hypotheses[1].text
    judged = run.explain(["aabb"], [second], beam_size=3)[0]
    assert judged.hypotheses[0].score != pytest.approx(best.score, abs=1e-3)
    assert judged.best_score == pytest.approx(best.score, abs=1e-5)
    assert judged.verdict is not None
    assert judged.verdict.startswith("a search error") == (judged.score > best.score)


def test_the_coverage_penalty_leaves_out_what_may_not_be_looked_at() -> None:
    """As the search does: a question that starts the decoder and is not attended to."""
    both = {**ENCODERS["conv+gru"], "attend_text": False}
    section = Model.model_validate({"encoder": both, "decoder": {**GRU, "attention": {"kind": "additive"}}})
    usual = translator_of("conv+gru")
    torch.manual_seed(1)
    assert usual.image_reader is not None
    model = build_model(section, words().size, words().size, image_shape=usual.image_reader.shape)
    translator = Translator(model, words(), words(), image_reader=usual.image_reader)
    settings = SearchSettings(2, 1.0, 5, None, coverage_penalty=0.2)
    found = explain(translator, Example("red green", None, 0, "here:1", image=pixels(["red", "blue"])), settings)
    assert found.score == pytest.approx(found.hypotheses[0].score, abs=1e-5)
