"""Batch size, batch mates, order and threads change no output: over the whole test set of Multi30k, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import seqcli
from seqcli.run import Run

MODELS = {
    "transformer": "{kind: transformer, hidden_size: 128, layers: 2, heads: 4, feedforward_size: 256}",
    "gru": "{kind: gru, hidden_size: 128, embedding_size: 128}",
}


@pytest.fixture(scope="module", params=MODELS)
def run(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained for some hundred steps, so that beams are in doubt."""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    data, place = shared_data / "multi30k", tmp_path_factory.mktemp("runs") / request.param
    section = MODELS[request.param]
    decoder = section if request.param == "transformer" else section[:-1] + ", attention: {kind: additive}}"
    recipe = load_recipe(
        str(Path(__file__).parents[2] / "benchmarks" / "recipes" / "tiny.yaml"),
        [
            *(f"data.train.{side}={data}/train.tok.{end}" for side, end in (("source", "en"), ("target", "de"))),
            f"model={{encoder: {section}, decoder: {decoder}, dropout: 0.1}}",
            "source.tokenizer.vocabulary_size=4000",
            "training.steps=300",
            "training.batch_tokens=2048",
            "training.optimizer.learning_rate=2e-3",
        ],
    )
    list(prepare(recipe, place).train())
    return seqcli.load(place)


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.real
@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("more", ["beam", "shortlist", "sampling"])
def test_the_whole_test_set(run: Run, shared_data: Path, more: str) -> None:
    lines = (shared_data / "multi30k" / "test_2016_flickr.tok.en").read_text().splitlines()
    examples = run.examples(lines)
    overrides = {"beam": [], "shortlist": ["search.shortlist={}"], "sampling": ["search.sampling={top_p: 0.9}"]}[more]
    settings = replace(seqcli.load(run.folder, overrides).settings(5), max_length=60)
    torch.set_num_threads(1)
    usual = run.hypotheses(examples, settings)
    for size, threads, order in ((7, 1, 1), (64, 2, -1), (400, 1, -1)):
        torch.set_num_threads(threads)
        found = run.hypotheses(examples[::order], replace(settings, batch_sentences=size))[::order]
        different = [
            line
            for line, one, other in zip(lines, usual, found, strict=True)
            if [each.ids for each in one] != [each.ids for each in other]
        ]
        assert different == [], (size, threads, order)
        for one, other in zip(usual, found, strict=True):
            assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-5)
