"""CTranslate2 computes what our Transformers do, and searches as we do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from models.zoo import VOCABULARY, Specimen, batch, models_with
from torch import Tensor

import seqcli
from seqcli.engine import load_on_ctranslate2
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.reader import SearchSettings, Translation
from seqcli.evaluation.wishes import Wishes
from seqcli.export.ctranslate2 import QUANTIZATIONS, refuse_inexpressible, symbol_names, transformer_spec
from seqcli.export.engine import refuse_settings
from seqcli.run import Run, Translates
from seqcli.symbols import BOS, EOS, PAD, SPECIAL, UNK, Example
from seqcli.types import State

ctranslate2 = pytest.importorskip("ctranslate2")

NAMES = [*SPECIAL, *(f"symbol-{i}" for i in range(len(SPECIAL), VOCABULARY))]
TRANSFORMERS = [
    one for one in models_with("transformer") if one.section.decoder.kind == "transformer" and not one.section.copying
]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_the_zoo_has_each_way_to_build_a_transformer() -> None:
    seen = {
        (side.norm, side.activation, side.positions)
        for one in TRANSFORMERS
        for side in (one.section.encoder, one.section.decoder)
    }
    assert len(TRANSFORMERS) >= 12
    assert len(seen) == 2 * 2 * 4


@pytest.mark.parametrize("specimen", TRANSFORMERS, ids=range(len(TRANSFORMERS)))
def test_log_probabilities_are_the_models_own(specimen: Specimen, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in specimen.model.state_dict().items()}
    spec = transformer_spec(specimen.section, specimen.model)
    spec.register_source_vocabulary(NAMES)
    spec.register_target_vocabulary(NAMES)
    spec.validate()
    spec.optimize("float32")
    spec.save(str(tmp_path))
    given = batch([7, 5, 2, 9], [6, 4, 3, 7], seed=1)
    sources, targets = (
        [[NAMES[i] for i in row if i not in (PAD, BOS, EOS)] for row in part.tolist()]
        for part in (given.source, given.labels)
    )
    engine = ctranslate2.Translator(str(tmp_path), device="cpu", intra_threads=1)
    ours = specimen.model.logits(given).log_softmax(-1).gather(2, given.labels[:, :, None]).squeeze(2)
    for theirs, row, labels in zip(engine.score_batch(sources, targets), ours, given.labels, strict=True):
        length = int((labels != PAD).sum())
        assert theirs.log_probs == pytest.approx(row[:length].tolist(), abs=1e-5), specimen
    # and symbol by symbol, with hypotheses that change places
    options = {"beam_size": 3, "length_penalty": 0, "min_decoding_length": 0, "max_decoding_length": 9}
    found = engine.translate_batch(sources, **options, return_scores=True)
    written = [[NAMES.index(name) for name in each.hypotheses[0]] for each in found]
    ended = [ids if len(ids) == 9 else [*ids, EOS] for ids in written]
    target = torch.tensor([[BOS, *ids, *[PAD] * (9 - len(ids))] for ids in ended])
    again = replace(given, target=target)
    ours = specimen.model.logits(again).log_softmax(-1).gather(2, again.labels[:, :, None]).squeeze(2)
    for theirs, row, ids in zip(found, ours, ended, strict=True):
        assert theirs.scores[0] == pytest.approx(float(row[: len(ids)].sum()), abs=1e-4), specimen
    after = specimen.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@contextmanager
def renormalised(run: Run, banned: Sequence[int]) -> Iterator[None]:
    """A block in which our model, too, takes what may not be written out before the softmax, as CTranslate2 does."""
    # the copy that is searched with
    model = run.translator.search_predictor(run.settings())
    step = model.step

    def before_the_softmax(ids: Tensor, state: State) -> tuple[Tensor, State]:
        log_probs, state = step(ids, state)
        log_probs[:, list(banned)] = -torch.inf
        return log_probs.log_softmax(-1), state

    model.step = before_the_softmax  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.step


def compare(
    run: Run, other: Translates, examples: Sequence[Example], settings: SearchSettings
) -> tuple[list[list[Translation]], list[list[Translation]]]:
    """What the two engines find. Our search with probabilities as theirs: hypotheses and scores are equal to the last, but where a
    length has run out, for which the best alone is looked at unless something else ended there too."""
    banned = (PAD, BOS) if settings.unknown else (PAD, BOS, UNK)
    with renormalised(run, banned):
        ours = run.hypotheses(examples, settings)
    theirs = other.hypotheses(examples, settings)
    assert len(ours) == len(theirs) == len(examples)
    for left, right in zip(ours, theirs, strict=True):
        if all(one.ids[-1:] in ((), (EOS,)) for one in (*left, *right)):
            assert [one.text for one in left] == [one.text for one in right]
            assert [one.ids for one in left] == [one.ids for one in right]
            assert [one.score for one in left] == pytest.approx([one.score for one in right], abs=1e-4)
            assert [one.log_prob for one in left] == pytest.approx([one.log_prob for one in right], abs=1e-3)
    return ours, theirs


@pytest.fixture(scope="module")
def native(transformer_run: Path) -> Run:
    return seqcli.load(transformer_run)


@pytest.fixture(scope="module")
def fast(transformer_run: Path) -> Translates:
    return load_on_ctranslate2(transformer_run)


@pytest.fixture(scope="module")
def examples(native: Run) -> list[Example]:
    """The whole test set, and a source with nothing in it."""
    found = list(native.corpus("test").read())
    assert len(found) >= 100
    return [*found, Example("  ", None, len(found), "blank")]


def test_a_whole_test_set_at_beam_5(native: Run, fast: Translates, examples: list[Example]) -> None:
    ours, theirs = compare(native, fast, examples, native.settings())
    assert native.settings().beam_size == 5
    whole = sum(all(one.ids[-1:] == (EOS,) for one in found) for found in theirs)
    assert whole > 0.9 * len(examples)
    assert ours[-1][0].text == theirs[-1][0].text == ""
    # and with our own probabilities, which are not renormalised
    plain = native.hypotheses(examples, native.settings())
    assert sum(a[0].text != b[0].text for a, b in zip(plain, theirs, strict=True)) <= 0.01 * len(examples)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("beam_size", [1, 2, 9])
def test_beams_and_length_penalties(
    native: Run, fast: Translates, examples: list[Example], beam_size: int, length_penalty: float
) -> None:
    settings = replace(native.settings(beam_size), length_penalty=length_penalty)
    compare(native, fast, examples[:100], settings)


def test_the_unknown_symbol_may_be_written(native: Run, fast: Translates, examples: list[Example]) -> None:
    compare(native, fast, examples[:100], replace(native.settings(), unknown=True))


class Short(SearchSettings):
    """Settings under which most hypotheses run into their limits."""

    def limit(self, source_length: int) -> int:
        return max(1, source_length // 2)


def test_each_source_has_its_own_longest_length(native: Run, fast: Translates, examples: list[Example]) -> None:
    known = vars(native.settings())
    for beam_size in (1, 4):
        settings = Short(**{**known, "beam_size": beam_size})
        limits = [settings.limit(len(native.translator.encode(example))) for example in examples]
        assert len(set(limits)) >= 5
        ours, theirs = compare(native, fast, examples, settings)
        cut = 0
        for left, right, limit in zip(ours, theirs, limits, strict=True):
            assert all(len(one.ids) <= limit for one in right)
            cut += any(one.ids[-1:] not in ((), (EOS,)) for one in right)
            if beam_size == 1:
                assert left[0].ids == right[0].ids
        assert cut >= 0.5 * len(examples)


def test_batch_mates_change_nothing(native: Run, fast: Translates, examples: list[Example]) -> None:
    together = fast.hypotheses(examples[:20], replace(native.settings(), max_ratio=0.5))
    for example, found in zip(examples, together, strict=False):
        alone = fast.hypotheses([example], replace(native.settings(), max_ratio=0.5))[0]
        assert [one.ids for one in alone] == [one.ids for one in found]


def test_an_exported_folder_is_translated_as_its_run(
    native: Run, fast: Translates, examples: list[Example], tmp_path: Path
) -> None:
    native.export(tmp_path / "model", to="ctranslate2")
    exported = load_on_ctranslate2(tmp_path / "model", ["search.beam_size=2"])
    assert exported.settings().beam_size == 2
    found = exported.hypotheses(examples[:30], native.settings())
    assert found == fast.hypotheses(examples[:30], native.settings())
    with pytest.raises(RecipeError, match="export of one checkpoint"):
        load_on_ctranslate2(tmp_path / "model", checkpoint="best")
    with pytest.raises(RecipeError, match="export in float32"):
        load_on_ctranslate2(tmp_path / "model", quantization="int8")
    with pytest.raises(RecipeError, match="--engine ctranslate2"):
        seqcli.load(tmp_path / "model")


def test_another_program_needs_the_folder_alone(native: Run, examples: list[Example], tmp_path: Path) -> None:
    """As CTranslate2's own documentation does it, with nothing of ours: EOS is added, BOS begins."""
    native.export(tmp_path / "model", to="ctranslate2")
    engine = ctranslate2.Translator(str(tmp_path / "model"))
    answers = engine.translate_batch([list(example.source.replace(" ", "")) for example in examples[:20]], beam_size=1)
    texts = ["".join(answer.hypotheses[0]) for answer in answers]
    assert texts == native.translate([example.source for example in examples[:20]], beam_size=1)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_fewer_bits_are_smaller_and_nearly_the_same(
    native: Run, fast: Translates, examples: list[Example], quantization: str, tmp_path: Path
) -> None:
    sizes = {}
    for each in ("float32", quantization):
        native.export(tmp_path / each, to="ctranslate2", quantization=each)
        sizes[each] = (tmp_path / each / "model.bin").stat().st_size
    assert sizes[quantization] < sizes["float32"] or quantization == "float32"
    reduced = load_on_ctranslate2(tmp_path / quantization)
    assert len(reduced.hypotheses(examples[:3], native.settings())) == 3
    # the exported weights are judged; what is summed in 8 bits besides depends on the processor
    reduced.translator.engine = ctranslate2.Translator(str(tmp_path / quantization), compute_type="float32")
    small = reduced.hypotheses(examples[:100], native.settings())
    whole = fast.hypotheses(examples[:100], native.settings())
    same = sum(a[0].text == b[0].text for a, b in zip(small, whole, strict=True))
    assert same >= {"float32": 100, "int16": 98, "float16": 98}.get(quantization, 80)


def test_what_it_cannot_do_is_refused(native: Run, copy_run: Path, transformer_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model.encoder.kind: .* this is gru"):
        seqcli.load(copy_run).export(tmp_path / "no", to="ctranslate2")
    with pytest.raises(RecipeError, match=r"model.encoder.kind"):
        load_on_ctranslate2(copy_run)
    with pytest.raises(RecipeError, match="there are float32"):
        native.export(tmp_path / "no", to="ctranslate2", quantization="int3")
    with pytest.raises(RecipeError, match="runs on the CPU"):
        load_on_ctranslate2(transformer_run, ["device=cuda"])
    assert not list(tmp_path.iterdir())


def test_a_model_that_copies_is_refused(native: Run) -> None:
    refuse_inexpressible(native.recipe.model)
    with pytest.raises(
        RecipeError, match=r"model.copying: .* only generates; export it to onnx, or use the native engine"
    ):
        refuse_inexpressible(native.recipe.model.model_copy(update={"copying": True}))


def test_a_damaged_model_is_told(native: Run, tmp_path: Path) -> None:
    native.export(tmp_path / "model", to="ctranslate2")
    path = tmp_path / "model" / "model.bin"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SeqcliError, match="cannot open it"):
        load_on_ctranslate2(tmp_path / "model")


def test_settings_that_it_does_not_know_are_refused(native: Run) -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class More(SearchSettings):
        to_come: float | None = None

    known = vars(native.settings())
    refuse_settings(More(**known))
    with pytest.raises(RecipeError, match="to_come"):
        refuse_settings(More(**known, to_come=1.0))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("search.length_normalization=gnmt", "length_normalization"),
        ("search.coverage_penalty=0.2", "coverage_penalty"),
        ("search.patience=2.0", "patience"),
        ("search.repetition_penalty=1.5", "repetition_penalty"),
        ("search.no_repeat_ngram=3", "no_repeat_ngram"),
        ("search.min_length=3", "min_length"),
        ("search.prefix=a", "prefix"),
        ("search.sampling={}", "sampling"),
    ],
)
def test_a_search_that_it_is_not_given_is_refused(transformer_run: Path, override: str, named: str) -> None:
    other = load_on_ctranslate2(transformer_run, [override])
    with pytest.raises(RecipeError, match=f"--engine ctranslate2 knows no .*{named}"):
        other.hypotheses([Example("abc", None, 0, "here")])


def test_a_line_may_have_a_greatest_length_of_its_own(native: Run, fast: Translates, examples: list[Example]) -> None:
    wishes = [Wishes(max_length=3) if row % 2 else None for row in range(40)]
    settings = native.settings(1)
    with renormalised(native, (PAD, BOS, UNK)):
        ours = native.hypotheses(examples[:40], settings, wishes=wishes)
    theirs = fast.hypotheses(examples[:40], settings, wishes=wishes)
    assert [found[0].ids for found in ours] == [found[0].ids for found in theirs]
    assert all(len(found[0].ids) <= 3 for found in theirs[1::2])
    assert any(len(found[0].ids) > 3 for found in theirs[::2])
    with pytest.raises(RecipeError, match="knows no prefix"):
        fast.hypotheses(examples[:1], settings, wishes=[Wishes(prefix="a")])


def test_its_search_is_not_traced(native: Run, fast: Translates, examples: list[Example]) -> None:
    with pytest.raises(RecipeError, match="leave --trace out"):
        fast.hypotheses(examples[:1], native.settings(), traced=lambda row, nodes: None)


class Letters:
    """A tokenizer whose symbols have labels that are not all different."""

    size = 8

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [["<pad>", "<s>", "</s>", "<unk>", "V", "a", "V", "<s>"][i] for i in ids]


def test_no_two_symbols_have_one_name() -> None:
    letters: Any = Letters()
    assert symbol_names(letters) == [*SPECIAL, "V", "a", "V⟨6⟩", "<s>⟨7⟩"]


@pytest.mark.real
@pytest.mark.timeout(1500)
def test_multi30k_at_beam_5(shared_data: Path, tmp_path: Path) -> None:
    """The test set of 1,000 sentences by a Transformer trained for some hundred steps, its beams all in doubt."""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    folder = shared_data / "multi30k"
    stack = "kind: transformer, hidden_size: 128, layers: 2, heads: 4, feedforward_size: 256"
    splits = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    sides = ", ".join(
        f"{split}: {{source: {folder}/{name}.raw.en, target: {folder}/{name}.raw.de}}" for split, name in splits.items()
    )
    overrides = [
        f"data={{kind: text, {sides}}}",
        "source={tokenizer: {kind: bpe, vocabulary_size: 4000}}",
        "target={tokenizer: {kind: bpe, vocabulary_size: 4000}}",
        f"model={{encoder: {{{stack}}}, decoder: {{{stack}}}, tie: target_output}}",
        "training={steps: 500, batch_tokens: 2048, label_smoothing: 0.1, optimizer: {kind: adamw, learning_rate: 2e-3}}",
        "training.schedule={kind: cosine, warmup: 100}",
        "training.validate_every=500",
        "search={beam_size: 5, max_length: 100}",
        "evaluation.metrics=[loss]",
    ]
    with torch.enable_grad():
        list(prepare(load_recipe("copy", overrides), tmp_path / "run").train())
    native, fast = seqcli.load(tmp_path / "run"), load_on_ctranslate2(tmp_path / "run")
    examples = list(native.corpus("test").read())
    assert len(examples) == 1000
    ours, theirs = compare(native, fast, examples, native.settings())
    assert [found[0].ids for found in ours] == [found[0].ids for found in theirs]
    plain = native.hypotheses(examples, native.settings())
    differ = sum(a[0].ids != b[0].ids for a, b in zip(plain, theirs, strict=True))
    print(f"{differ} of {len(examples)} best hypotheses differ by the renormalisation")
    assert differ <= 5
