"""From a recipe to a run: every kind that the schema knows goes the whole way, and a run that goes on is the same run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from cli.run_files import records

import seqcli
from seqcli.data.files import read_text
from seqcli.errors import DataError, SeqcliError
from seqcli.experiment import Experiment, first_steps, prepare, spread
from seqcli.identity import differences
from seqcli.recipe import model
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.training.team import Team
from seqcli.types import Progress


def kinds(union: Any) -> list[str]:
    """The words that `kind` may be in the sections of a discriminated union."""
    return [
        kind for section in get_args(get_args(union)[0]) for kind in get_args(section.model_fields["kind"].annotation)
    ]


IMAGES = ("conv", "patch", "features", "image_text")
ENCODERS = [kind for kind in kinds(model.Encoder) if kind not in IMAGES]
DECODERS, ATTENTIONS = kinds(model.Decoder), kinds(model.Attention)
RECURRENT = ("rnn", "lstm", "gru")
WITH_MAPS = (*RECURRENT, "transformer")
SIZES = {
    "feedforward": "hidden_size: 16, window: 6",
    "transformer": "hidden_size: 16, layers: 2, heads: 2, feedforward_size: 32",
    **dict.fromkeys(RECURRENT, "hidden_size: 16, embedding_size: 16"),
}
OVERRIDES = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 200}",
    "training={steps: 3, batch_tokens: 256}",
    "search={max_length: 12}",
    "evaluation={metrics: [loss, bleu, chrf, exact_match, wer]}",
    "threads=1",
)


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe("copy", [*OVERRIDES, *overrides])


def train_and_load(recipe: Recipe, folder: Path) -> seqcli.Run:
    records = list(prepare(recipe, folder).train())
    assert [record.event for record in records] == ["train", "validation", "checkpoint"]
    assert set(records[1].scores) == {"loss", "bleu", "chrf", "exact_match", "wer"}
    return seqcli.load(folder)


def check_whole_way(run: seqcli.Run, *, attends: bool) -> None:
    """Evaluate, translate with and without a beam, look."""
    texts = ["abcd", "", "abcdabcdabcd", "dd"]
    result = run.evaluate("test")
    assert list(result.metrics) == ["loss", "bleu", "chrf", "exact_match", "wer"]
    assert all(np.isfinite(metric.value) for metric in result.metrics.values())
    for beam_size in (1, 3):
        answers = run.translate(texts, beam_size=beam_size)
        assert len(answers) == 4
        assert answers[1] == ""
    if not attends:
        with pytest.raises(SeqcliError, match="has no attention"):
            run.attention(["abcd"], ["abcd"])
        return
    for text, maps in zip(["abcd", "a"], run.attention(["abcd", "a"], ["dcba", "b"]), strict=True):
        assert maps.cross.shape[2:] == (len(maps.target), len(maps.source))
        assert len(maps.target) == len(text) + 1
        for weights in (maps.cross, maps.encoder, maps.decoder):
            if weights is not None:
                np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


def test_the_kinds_are_those_of_the_schema() -> None:
    assert ENCODERS == ["feedforward", "rnn", "lstm", "gru", "transformer"]
    assert DECODERS == ENCODERS
    assert kinds(model.Encoder) == [*ENCODERS, *IMAGES]
    assert ATTENTIONS == ["none", "dot", "scaled_dot", "multiplicative", "additive", "content", "hard_monotonic"]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_with_every_decoder(encoder: str, decoder: str, tmp_path: Path) -> None:
    recipe = recipe_of(
        f"model.encoder={{kind: {encoder}, {SIZES[encoder]}}}", f"model.decoder={{kind: {decoder}, {SIZES[decoder]}}}"
    )
    check_whole_way(train_and_load(recipe, tmp_path / "run"), attends=decoder in WITH_MAPS)


PIXELS = "source.image={kind: pixels, width: 16, height: 8}"
LOOKING = {
    "conv": ["data={kind: shapes_captions, size: 32, examples: 40}", "source.tokenizer=null"],
    "patch": ["data={kind: shapes_captions, size: 32, examples: 40}", "source.tokenizer=null"],
    "image_text": ["data={kind: shapes_questions, size: 32, scenes: 4}", "source.tokenizer={kind: words}"],
}
LOOKERS = {
    "conv": "{kind: conv, hidden_size: 16, channels: [4, 8]}",
    "patch": "{kind: patch, hidden_size: 16, patch_size: 4, layers: 1, heads: 2, feedforward_size: 32}",
    "image_text": "{kind: image_text, image: {kind: conv, hidden_size: 16, channels: [4, 8]}, text: {kind: rnn, hidden_size: 16}}",
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("encoder", LOOKERS)
def test_every_encoder_of_images_with_every_decoder(encoder: str, decoder: str, tmp_path: Path) -> None:
    """Grids of features have a test of their own, in test_image_runs.py."""
    if (encoder, decoder) == ("image_text", "feedforward"):
        pytest.skip("it would never see the image, and is refused")
    recipe = recipe_of(
        *LOOKING[encoder],
        PIXELS,
        f"model.encoder={LOOKERS[encoder]}",
        f"model.decoder={{kind: {decoder}, {SIZES[decoder]}}}",
        "target.tokenizer={kind: words}",
    )
    run = train_and_load(recipe, tmp_path / "run")
    assert all(np.isfinite(metric.value) for metric in run.evaluate("test").metrics.values())
    images = [np.zeros((3, 32, 32), dtype=np.uint8), np.full((3, 20, 50), 255, dtype=np.uint8)]
    texts = ["is it red ?", "is it not ?"] if encoder == "image_text" else []
    for beam_size in (1, 3):
        assert len(run.translate(texts, images=images, beam_size=beam_size)) == 2
    if decoder not in WITH_MAPS:
        with pytest.raises(SeqcliError, match="has no attention"):
            run.attention(texts, ["a", "a"], images=images)
        return
    for maps in run.attention(texts, ["a", "a large red circle"], images=images):
        assert maps.cells is not None
        assert maps.cells.shape[-2:] == (2, 4)
        together = maps.cells.sum(axis=(-2, -1)) + maps.cross.sum(axis=-1)
        np.testing.assert_allclose(together, 1, atol=1e-5)


SOFT = [kind for kind in ATTENTIONS if kind not in ("none", "hard_monotonic")]
ORDERS = ("order: luong", "order: bahdanau", "input_feeding: true")


@pytest.mark.parametrize(
    "looking",
    [
        "attention: {kind: none}",
        "attention: {kind: none, feed_summary: true}",
        "attention: {kind: hard_monotonic}",
        "attention: {kind: hard_monotonic, feed_summary: true}",
        *(f"attention: {{kind: {kind}}}, {order}" for kind in SOFT for order in ORDERS),
        "attention: {kind: additive, coverage: true, gate: true}, input_feeding: true",
    ],
)
def test_every_attention_in_every_order(looking: str, tmp_path: Path) -> None:
    recipe = recipe_of(
        "model.encoder={kind: lstm, hidden_size: 8, embedding_size: 16, bidirectional: true, layers: 2}",
        f"model.decoder={{kind: gru, hidden_size: 16, embedding_size: 16, {looking}}}",
        "source.reverse=true",
    )
    check_whole_way(train_and_load(recipe, tmp_path / "run"), attends="none" not in looking)


def test_hops_are_shown_as_layers(tmp_path: Path) -> None:
    """Trained with a penalty on the attention of all three; with every key that an attention may have, the whole way goes on."""
    recipe = recipe_of(
        "model.encoder={kind: gru, hidden_size: 16, embedding_size: 16}",
        "model.decoder={kind: gru, hidden_size: 16, embedding_size: 16, attention: {kind: additive, gate: true, hops: 3}}",
        "training.doubly_stochastic=1",
        "training.r_drop=1",
        "model.dropout=0.1",
    )
    run = train_and_load(recipe, tmp_path / "run")
    check_whole_way(run, attends=True)
    (maps,) = run.attention(["abc"], ["cba"])
    assert maps.cross.shape == (3, 1, 4, 4)
    assert len({layer.tobytes() for layer in maps.cross}) == 3


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "relative"])
def test_what_is_too_long_is_cut_and_told(positions: str, tmp_path: Path) -> None:
    """A learned table of 8 positions; the other kinds have no end."""
    stack = f"kind: transformer, {SIZES['transformer']}, positions: {positions}, max_positions: 8"
    recipe = recipe_of(f"model.encoder={{{stack}}}", f"model.decoder={{{stack}}}", "search.max_length=8")
    run = train_and_load(recipe, tmp_path / "run")
    check_whole_way(run, attends=True)
    run.translator.cut.clear()
    text = "abcd" * 10
    found = run.hypotheses(run.examples(["ab", text, "abcdabc"]))
    assert all(len(one.ids) <= 8 for hypotheses in found for one in hypotheses)
    assert ("text 2" in run.translator.cut) == (positions == "learned")
    assert "text 3" not in run.translator.cut, "seven letters and EOS fit"
    for maps in run.attention([text, "ab"], ["ab", "abcd" * (1 if positions == "learned" else 5)]):
        np.testing.assert_allclose(maps.cross.sum(axis=-1), 1, atol=1e-5)

    (tmp_path / "long.txt").write_text(f"ab\n{text}\n")
    lines = str(tmp_path / "long.txt")
    result = run.evaluate(corpus=read_text([lines], [lines]))
    assert np.isfinite(result.metrics["loss"].value)


def test_a_target_that_does_not_fit_is_looked_at_as_far_as_it_can_be_written(tmp_path: Path) -> None:
    stack = f"kind: transformer, {SIZES['transformer']}, positions: learned, max_positions: 8"
    recipe = recipe_of(f"model.encoder={{{stack}}}", f"model.decoder={{{stack}}}", "search.max_length=8")
    run = train_and_load(recipe, tmp_path / "run")
    (cut,) = run.attention(["ab"], ["abcd" * 5])
    assert list(cut.target) == [*"abcdabc", "</s>"]


def test_a_window_sees_what_fits(tmp_path: Path) -> None:
    recipe = recipe_of(
        f"model.encoder={{kind: feedforward, {SIZES['feedforward']}}}",
        "model.decoder={kind: gru, hidden_size: 16, embedding_size: 16, attention: {kind: dot}}",
        "source.reverse=true",
    )
    maps = train_and_load(recipe, tmp_path / "run").attention(["abcd" * 5, "ab"])
    assert [len(one.source) for one in maps] == [6, 3]
    np.testing.assert_allclose(maps[0].cross.sum(axis=-1), 1, atol=1e-5)


def interrupted(recipe: Recipe, folder: Path, every: int) -> None:
    """Train, stopped again and again after so many steps, until nothing is left to do."""
    for _ in range(100):
        experiment = prepare(recipe, folder)
        end = experiment.position.step + every
        if not list(experiment.train(stop_at(experiment, end))):
            return
    pytest.fail("the run does not come to its end")


def stop_at(experiment: Experiment, step: int) -> Callable[[], bool]:
    return lambda: experiment.position.step >= step


def checkpoints(folder: Path) -> dict[str, bytes]:
    files = [file for file in (folder / "checkpoints").rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_however_often_it_is_stopped(tmp_path: Path) -> None:
    """Averages, kept checkpoints, plateau and patience; samples with every kind of line end."""
    (tmp_path / "train.jsonl").write_text(
        "".join(
            json.dumps({"source": f"{end}ab{end}c" * 2, "target": f"c{end}ba"}) + "\n" for end in "\u2028\u0085\x0b\r\n"
        )
        * 8
    )
    overrides = (
        f"data={{kind: files, train: {tmp_path}/train.jsonl, validation: {tmp_path}/train.jsonl}}",
        "training={steps: 23, batch_sentences: 8, log_every: 3, validate_every: 4, checkpoint_every: 5, average: 3}",
        "training.schedule={kind: plateau, patience: 0}",
        "training.early_stopping={patience: 10}",
        "training.optimizer={kind: adamw, learning_rate: 5e-2}",
        "model.dropout=0.2",
    )
    recipe = recipe_of(*overrides)
    list(prepare(recipe, tmp_path / "straight").train())
    assert len(records(tmp_path / "straight")) == 8 + 6
    for every in (1, 4, 9):
        folder = tmp_path / f"every-{every}"
        interrupted(recipe, folder, every)
        assert records(folder) == records(tmp_path / "straight")
        assert checkpoints(folder) == checkpoints(tmp_path / "straight")
    assert "checkpoints/average/model.safetensors" in checkpoints(tmp_path / "straight")


def test_a_finished_run_keeps_what_it_was_made_with(tmp_path: Path) -> None:
    recipe = recipe_of("training={steps: 4, batch_sentences: 8}")
    stopped = prepare(recipe, tmp_path)
    list(stopped.train(stop_at(stopped, 2)))
    made_with = tmp_path / "environment.json"
    elsewhere = json.dumps({**json.loads(made_with.read_bytes()), "commit": "0a1b2c3"})
    made_with.write_text(elsewhere)
    list(prepare(recipe, tmp_path).train())
    assert made_with.read_text() != elsewhere, "what goes on is made with what it goes on with"
    made_with.write_text(elsewhere)
    assert not list(prepare(recipe, tmp_path).train())
    assert made_with.read_text() == elsewhere


def test_what_is_trained_in_16_bits_is_kept_validated_and_used_in_32(tmp_path: Path) -> None:
    runs = {}
    for precision in ("float32", "bf16"):
        recipe = recipe_of("training={steps: 40, batch_tokens: 256}", f"training.precision={precision}")
        *_, validation, _ = prepare(recipe, tmp_path / precision).train()
        run = runs[precision] = seqcli.load(tmp_path / precision)
        assert all(weight.dtype == torch.float32 for weight in run.translator.model.parameters())
        again = run.evaluate("validation", metrics=["loss"]).metrics["loss"].value
        assert again == validation.scores["loss"] < 1.5, "validation is that of a model in float32"
    exact, near = (run.translator.model.state_dict() for run in runs.values())
    assert exact.keys() == near.keys()
    apart = [float((exact[name] - near[name]).norm() / exact[name].norm()) for name in exact]
    assert 0 < max(apart) < 0.5


def test_length_of_a_run(tmp_path: Path) -> None:
    experiment = prepare(recipe_of("training.steps=null", "training.epochs=3", "training.accumulation=4"), tmp_path)
    batches = len(experiment.plan(0))
    assert experiment.steps_an_epoch == -(-batches // 4)
    assert experiment.total_steps == 3 * experiment.steps_an_epoch
    assert not list(tmp_path.iterdir()), "preparing writes nothing"


def test_differences() -> None:
    old = {"a": 1, "b": {"kind": "x", "c": 2}, "d": {"kind": "x", "e": 3}}
    new = {"a": 1, "b": {"kind": "x", "c": 5}, "d": {"kind": "y"}, "f": 6}
    assert list(differences(old, new)) == [
        ("b.c", 2, 5),
        ("d", {"kind": "x", "e": 3}, {"kind": "y"}),
        ("f", None, 6),
    ]


@pytest.fixture(scope="module")
def inflection_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """Lemma, form, tags: the form is the lemma and the letter of its tag."""
    folder = tmp_path_factory.mktemp("inflection")
    lemmas = [first + second for first in "abcd" for second in "abcd"]
    rows = [f"{lemma}\t{lemma}{tag.lower()}\tV;{tag}" for lemma in lemmas for tag in ("X", "Y")]
    (folder / "all.tsv").write_text("".join(f"{row}\n" for row in rows))
    recipe = load_recipe(
        "inflection/attention-lstm",
        [
            *(f"data.{split}={folder}/all.tsv" for split in ("train", "validation", "test")),
            "model.encoder={kind: lstm, hidden_size: 24, embedding_size: 16, bidirectional: true}",
            "model.decoder={kind: lstm, hidden_size: 48, embedding_size: 16, attention: {kind: dot}}",
            "model.dropout=0",
            "training={steps: 100, optimizer: {kind: adam, learning_rate: 1e-2}}",
            "threads=1",
        ],
    )
    list(prepare(recipe, folder / "run").train())
    return folder / "run"


def test_features_from_python(inflection_run: Path) -> None:
    run = seqcli.load(inflection_run)
    assert run.translate(["ab\tV;X", "ab\t V ; Y ", "ab"])[:2] == ["abx", "aby"]
    assert run.evaluate("test", metrics=["exact_match"]).metrics["exact_match"].value == 100
    (maps,) = run.attention(["ab\tV;X"])
    assert maps.source == ("V", "X", "a", "b", "</s>")


def test_features_on_the_command_line(inflection_run: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from seqcli.cli.app import app

    def run(*arguments: str) -> str:
        ended = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert ended.exit_code == 0
        return ended.stdout

    (tmp_path / "plain").write_text("ab\tV;X\ndc\tV;Y\n")
    (tmp_path / "json").write_text(
        '{"source": "ab", "features": ["V", "X"], "id": 1}\n{"source": "dc", "features": "V;Y"}\n'
    )
    (tmp_path / "forms").write_text("abx\ndcy\n")
    folder = str(inflection_run)
    assert run("translate", folder, "-i", str(tmp_path / "plain")) == "abx\ndcy\n"
    answers = [
        json.loads(line) for line in run("translate", folder, "--json", "-i", str(tmp_path / "json")).splitlines()
    ]
    assert [answer["translation"] for answer in answers] == ["abx", "dcy"]
    assert answers[0]["features"] == ["V", "X"]
    files = ("--source", str(tmp_path / "plain"), "--target", str(tmp_path / "forms"))
    scores = json.loads(run("eval", folder, *files, "--metrics", "exact_match", "--json"))
    assert scores["metrics"]["exact_match"]["value"] == 100
    picture, arrays = str(tmp_path / "map.svg"), str(tmp_path / "map.npz")
    run("visualize", "attention", folder, "--text", "ab\tV;X", "-o", picture, "--arrays", arrays)
    assert list(np.load(arrays)["source"]) == ["V", "X", "a", "b", "</s>"]


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    """The one before it is used, and the run ends as if nothing had happened."""
    recipe = recipe_of("training.steps=6", "training.checkpoint_every=2", "model.dropout=0.2")
    list(prepare(recipe, tmp_path / "straight").train())
    damaged = prepare(recipe, tmp_path / "damaged")
    list(damaged.train(stop_at(damaged, 4)))
    weights = tmp_path / "damaged" / "checkpoints" / "step-00000004" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)

    again = prepare(recipe, tmp_path / "damaged")
    assert again.position.step == 2
    assert len(again.passed_over) == 1
    assert re.search(r"step-00000004.model.safetensors is damaged", again.passed_over[0])
    list(again.train())
    assert checkpoints(tmp_path / "damaged") == checkpoints(tmp_path / "straight")
    assert records(tmp_path / "damaged") == records(tmp_path / "straight")


def test_no_checkpoint_that_is_whole(tmp_path: Path) -> None:
    list(prepare(recipe_of("training.checkpoint_every=2"), tmp_path).train())
    for state in (tmp_path / "checkpoints").glob("step-*/state.json"):
        state.unlink()
    with pytest.raises(SeqcliError, match=r"no checkpoint of .*state\.json is missing.*--fresh"):
        prepare(recipe_of("training.checkpoint_every=2"), tmp_path)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_going_on_with_other_data_is_refused(split: str, tmp_path: Path) -> None:
    """The same symbols, the same number of lines; only what they say has changed."""
    for name in ("train", "validation"):
        (tmp_path / f"{name}.tsv").write_text("ab\tba\nba\tab\n" * 20)
    files = f"data={{kind: files, train: {tmp_path}/train.tsv, validation: {tmp_path}/validation.tsv}}"
    recipe = recipe_of(files, "data.columns={source: 0, target: 1}")
    list(prepare(recipe, tmp_path / "run").train())
    prepare(recipe, tmp_path / "run")
    (tmp_path / f"{split}.tsv").write_text("ab\tab\nba\tba\n" * 20)
    with pytest.raises(DataError, match=rf"the {split}\w* data is not what .* was trained on"):
        prepare(recipe, tmp_path / "run")
    (tmp_path / "run" / "data.json").unlink()  # as an earlier version left it
    prepare(recipe, tmp_path / "run")


def test_an_automatic_batch_is_chosen_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    recipe = recipe_of(
        "training={steps: 2, batch_tokens: auto}", "data={kind: copy, alphabet: 4, longest: 5, examples: 20000}"
    )
    experiment = prepare(recipe, folder)
    assert experiment.batch_choice is not None
    chosen = experiment.batch_choice.batch_tokens
    # twenty thousand examples of at most 6 symbols have a hundred batches of 512, not of 1,024
    assert chosen == 512
    assert len(experiment.plan(0)) >= 100
    list(experiment.train())
    assert f"batch_tokens: {chosen}" in (folder / "recipe.yaml").read_text()
    # the same command goes on with the number, and so does one that names it
    for size in ("auto", str(chosen)):
        again = prepare(
            recipe_of(
                f"training={{steps: 4, batch_tokens: {size}}}",
                "data={kind: copy, alphabet: 4, longest: 5, examples: 20000}",
            ),
            folder,
        )
        assert again.batch_choice is None
        assert again.position.step == 2
        assert again.recipe.training.batch_tokens == chosen
    with pytest.raises(SeqcliError, match="training.batch_tokens was 512 and is 600"):
        prepare(
            recipe_of(
                "training={steps: 4, batch_tokens: 600}", "data={kind: copy, alphabet: 4, longest: 5, examples: 20000}"
            ),
            folder,
        )


@pytest.mark.parametrize("metrics", ["loss", "loss, exact_match"])
def test_samples_are_spread_over_the_validation_split_and_change_nothing(tmp_path: Path, metrics: str) -> None:
    found, weights = {}, {}
    for count in (0, 3):
        folder = tmp_path / str(count)
        recipe = recipe_of(
            f"evaluation={{metrics: [{metrics}], samples: {count}}}", "model.dropout=0.1", "search.beam_size=2"
        )
        experiment = prepare(recipe, folder)
        found[count] = [record.samples for record in experiment.train() if record.event == "validation"][-1]
        weights[count] = experiment.model.state_dict()
    assert found[0] == ()
    split = experiment.data.validation
    assert split is not None
    rows = [0, len(split) // 3, len(split) * 2 // 3]
    assert [sample[:2] for sample in found[3]] == [
        (split.example(row).source, split.example(row).target) for row in rows
    ]
    assert all(torch.equal(weights[0][name], weights[3][name]) for name in weights[0])


def test_a_spike_at_the_last_step_does_not_stand_for_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [Progress("train", 1, 0), Progress("spike", 2, 0), Progress("train", 2, 0), Progress("checkpoint", 2, 0)]
    monkeypatch.setattr(Experiment, "train", lambda experiment: (record for record in told))
    experiment = prepare(recipe_of(), tmp_path)
    assert list(first_steps(experiment, 2, "copy")) == [told[0], told[2]]


def test_only_the_leader_holds_the_validation_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = prepare(recipe_of(), tmp_path)
    assert experiment.data.validation is not None
    monkeypatch.setattr(type(experiment.data.validation), "example", lambda corpus, row: pytest.fail("is read"))
    experiment.team = Team(rank=1, size=2)
    # it must not be None, since all of a team come to a validation
    assert experiment._validator() is not None


def test_rows_spread() -> None:
    assert [spread(*case) for case in ((9, 3), (2, 3), (0, 3), (9, 0), (10, 4))] == [
        [0, 3, 6],
        [0, 1],
        [],
        [],
        [0, 2, 5, 7],
    ]
