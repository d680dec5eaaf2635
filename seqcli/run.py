"""The run directory, and the Python API.

    recipe.yaml        the resolved recipe
    source.json …      the tokenizers
    environment.json   what the run was made with
    data.json          how many examples it learnt from, and a digest of them
    metrics.jsonl      every record of training
    sent.jsonl         which of them trackers have got
    checkpoints/       step-…, best, average
    not-a-number.jsonl the examples of the last step whose loss was no number
    shortlist.npz      the shortlist, once a search has asked for one

It refers to nothing outside itself, so it can be moved or mailed. From Python:

    import seqcli
    run = seqcli.load("runs/dates")
    run.translate(["samstag, 5. märz 2011"])
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from typing_extensions import assert_never

from seqcli.analysis.alignment import AlignmentSettings, attended
from seqcli.analysis.alignment_error import AlignmentScores, alignment_scores
from seqcli.analysis.attention_kinds import by_words, kinds_of
from seqcli.analysis.explanation import Explanation, explain
from seqcli.analysis.flow import GradientFlow
from seqcli.analysis.gradients import measure_gradients
from seqcli.analysis.head_removal import losses_without
from seqcli.analysis.heads import Head, measured_heads
from seqcli.analysis.same_length import batch_of_one_length
from seqcli.analysis.unknown_words import without_unknown
from seqcli.build.data import (
    image_shape,
    named_split,
    open_split,
    tagging,
    training_key,
)
from seqcli.build.model import build_model
from seqcli.build.shortlist import load_shortlist
from seqcli.build.translator import build_translator, search_settings
from seqcli.data.corpus import Corpus, Split
from seqcli.data.tasks import Tagging
from seqcli.data.tokenizer import load_tokenizer
from seqcli.errors import DataError, RecipeError, SeqcliError
from seqcli.evaluation.attention import AttentionMaps, attention_maps
from seqcli.evaluation.counting import Counts, count
from seqcli.evaluation.ensemble import EnsembleTranslator
from seqcli.evaluation.evaluate import Evaluation, evaluate, references_of
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.evaluation.reader import Reader, SearchSettings, Told, Traced, Translation, nobody
from seqcli.evaluation.scoring import PairScore, score_pairs
from seqcli.evaluation.translator import Translator
from seqcli.evaluation.wishes import Wishes
from seqcli.export.ctranslate2 import export_ctranslate2
from seqcli.export.folder import Exported, export_safetensors, read_export
from seqcli.export.onnx import export_onnx
from seqcli.recipe.data import AlgorithmicData, Data, TasksData
from seqcli.recipe.data import held_out as splits_held_out
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.search.shortlist import Shortlist
from seqcli.symbols import Example, Image, Link
from seqcli.training.checkpoint import load_weights, read_state, replaced, step_folder, step_folders
from seqcli.types import Batch

RECIPE, ENVIRONMENT, DATA = "recipe.yaml", "environment.json", "data.json"
METRICS, SENT, CHECKPOINTS = "metrics.jsonl", "sent.jsonl", "checkpoints"
ExportTarget = Literal["ctranslate2", "onnx", "safetensors"]


class Translates:
    """A recipe and what reads its sources: what a trained model does whatever engine runs it."""

    def __init__(self, folder: Path, recipe: Recipe, translator: Reader) -> None:
        self.folder = folder
        self.recipe = recipe
        self.translator = translator

    def settings(self, beam_size: int | None = None) -> SearchSettings:
        """How the recipe searches, with another beam size if one is given."""
        settings = search_settings(self.recipe)
        if self.recipe.search.shortlist is not None:
            settings = replace(settings, shortlist=self._shortlist)
        return settings if beam_size is None else replace(settings, beam_size=beam_size)

    @cached_property
    def _shortlist(self) -> Shortlist:
        translator, section = self.translator, self.recipe.search.shortlist
        assert section is not None
        tokenizers = (translator.source_tokenizer, translator.target_tokenizer)
        return load_shortlist(self.folder, self.recipe, section, *tokenizers)

    @cached_property
    def tagging(self) -> Tagging:
        """Which tags stand before the run's sources: of features, and of tasks."""
        return tagging(self.recipe.data)

    @property
    def reads_images(self) -> bool:
        """Whether its sources are images, or images and texts."""
        return self.recipe.source.image is not None

    @property
    def reads_texts(self) -> bool:
        """Whether its sources are texts, or images and texts."""
        return self.recipe.source.tokenizer is not None

    def translate(
        self,
        texts: Sequence[str] = (),
        *,
        images: Sequence[Image] = (),
        task: str | None = None,
        beam_size: int | None = None,
    ) -> list[str]:
        """The best hypothesis for each source (see `examples`); a blank text gives an empty one."""
        examples = self.examples(texts, images=images, task=task)
        return [found[0].text if found else "" for found in self.hypotheses(examples, self.settings(beam_size))]

    def examples(
        self,
        texts: Sequence[str] = (),
        targets: Sequence[str] | None = None,
        *,
        images: Sequence[Image] = (),
        task: str | None = None,
    ) -> list[Example]:
        """The sources as this run reads them: texts; images, each a path, a file's bytes or pixels `uint8 (C,h,w)`; or one of both for each
        example. Where the run has feature tags, a text is the source, a tab, and the tags; where it has learnt several tasks, `task` says which
        one they are of. Raises `DataError` where that is not what is given.
        """
        if isinstance(images, (str, bytes)):
            raise DataError("images is a list of images; put a single one into a list")
        for given, read, name in ((texts, self.reads_texts, "texts"), (images, self.reads_images, "images")):
            if len(given) and not read:
                raise DataError(f"this run reads no {name}")
        count = max(len(texts), len(images))
        for given, read, name in ((texts, self.reads_texts, "texts"), (images, self.reads_images, "images")):
            if read and len(given) != count:
                raise DataError(f"this run reads {name}: one for each source, but there are {len(given)} for {count}")
        if targets is not None and len(targets) != count:
            raise DataError(f"{count} sources, but {len(targets)} targets")
        found = []
        for row in range(count):
            target = None if targets is None else targets[row]
            text = texts[row] if self.reads_texts else ""
            origin = f"{'text' if self.reads_texts else 'image'} {row + 1}"
            example = self.tagging.example(text, row, origin, task=task, target=target)
            found.append(replace(example, image=images[row]) if self.reads_images else example)
        return found

    def hypotheses(
        self,
        examples: Sequence[Example],
        settings: SearchSettings | None = None,
        told: Told = nobody,
        *,
        wishes: Sequence[Wishes | None] = (),
        traced: Traced | None = None,
    ) -> list[list[Translation]]:
        """All hypotheses for each example, best first; `told` hears how far the search is, `wishes` are what is wished of each example's, and
        `traced` gets each one's beam."""
        return self.translator.translate(examples, settings or self.settings(), told, wishes=wishes, traced=traced)


class Run(Translates):
    """A trained model with everything that belongs to it; made by `load`."""

    translator: Translator

    def __init__(self, folder: Path, recipe: Recipe, translator: Translator, checkpoint: Path) -> None:
        super().__init__(folder, recipe, translator)
        self.checkpoint = checkpoint

    def score(
        self,
        texts: Sequence[str] = (),
        targets: Sequence[str] = (),
        *,
        images: Sequence[Image] = (),
        task: str | None = None,
        length_penalty: float | None = None,
        ended: bool = True,
    ) -> list[PairScore | None]:
        """How likely each target is, given its source (see `examples`): what a search reports that writes the same symbols; None for a blank
        source. If not `ended`, a target is a beginning, without its end."""
        settings = self.settings()
        if length_penalty is not None:
            settings = replace(settings, length_penalty=length_penalty)
        return score_pairs(
            self.translator, self.examples(texts, targets, images=images, task=task), settings, ended=ended
        )

    def corpus(self, split: Split) -> Corpus:
        """A split of the recipe's data. RecipeError where the recipe names none, DataError for one that is held out from training data which has
        changed since, so that another part is held out now."""
        data = self.recipe.data
        if any(
            split in splits_held_out(one) for one in (data.tasks.values() if isinstance(data, TasksData) else (data,))
        ):
            self._refuse_other_training_data(split)
        return named_split(self.recipe.data, split)

    def _refuse_other_training_data(self, split: Split) -> None:
        known = read_fingerprint(self.folder)
        now = training_key(self.recipe, self.translator.source_tokenizer, self.translator.target_tokenizer)
        if known is not None and not known["train"]["digest"].startswith(now):
            raise DataError(
                f"{split} is held out from data that has changed since {self.folder} was trained on it: what is held out now may have been learnt "
                f"from; give back the old file, or name examples, as in data.{split}=FILE"
            )

    def evaluate(
        self,
        split: Split = "test",
        *,
        corpus: Corpus | None = None,
        metrics: Sequence[str] | None = None,
        beam_size: int | None = None,
        intervals: int = 0,
        seed: int = INTERVAL_SEED,
        lengths: bool = False,
        groups: bool = False,
        told: Told = nobody,
    ) -> Evaluation:
        """Score the model on a split of its recipe's data, or on any `corpus`.

        `metrics` are those of the recipe if not given; `intervals` is the number of bootstrap resamples (0: no intervals), drawn from `seed`. With
        `lengths` short and long sources are also scored apart, with `groups` each group of examples; `told` hears how far the search is.
        """
        return evaluate(
            self.translator,
            self._examples_of(corpus or split),
            metrics or self.recipe.evaluation.metrics,
            self.settings(beam_size),
            bleu_tokenize=self.recipe.evaluation.bleu_tokenize,
            intervals=intervals,
            seed=seed,
            lengths=lengths,
            groups=groups,
            told=told,
        )

    def align(
        self,
        split: Split = "test",
        *,
        corpus: Corpus | None = None,
        gold: Sequence[Sequence[Link]] | None = None,
        settings: AlignmentSettings | None = None,
        intervals: int = 0,
    ) -> AlignmentScores:
        """Attention as a word alignment while the references of a split, or of any `corpus`, are written, and how right it is against
        `gold` links, one line of them an example, or, without, those that the data knows. See `alignment_scores`."""
        examples, settings = self._examples_of(corpus or split), settings or AlignmentSettings()
        return alignment_scores(self.translator, examples, settings, gold=gold, intervals=intervals)

    def alignments(
        self,
        examples: Sequence[Example],
        found: Sequence[Translation],
        settings: AlignmentSettings | None = None,
    ) -> list[tuple[Link, ...]]:
        """The links from the words of each source to those of a hypothesis for it, one of those that `hypotheses` found."""
        settings = settings or AlignmentSettings()
        written = [row for row, one in enumerate(found) if one.ids]
        looked = attended(
            self.translator, [examples[row] for row in written], [found[row].ids for row in written], settings
        )
        links: list[tuple[Link, ...]] = [()] * len(found)
        for row, one in zip(written, looked, strict=True):
            links[row] = one.links(settings.threshold)
        return links

    def without_unknown(
        self,
        examples: Sequence[Example],
        found: Sequence[Translation],
        *,
        lexicon: Mapping[str, str] | None = None,
        settings: AlignmentSettings | None = None,
    ) -> list[Translation]:
        """Hypotheses, one for each example, with words of the sources, or what a `lexicon` says of these, where the model has written the unknown
        symbol. See `analysis.unknown_words`."""
        return without_unknown(self.translator, examples, found, lexicon or {}, settings or AlignmentSettings())

    def _examples_of(self, data: Split | Corpus) -> list[Example]:
        """All examples of a split, or of a corpus; RecipeError where there is no such split, DataError where there are none."""
        found = data if isinstance(data, Corpus) else self.corpus(data)
        examples = list(found.read())
        if not examples:
            raise DataError(f"{found.name}: there is nothing to evaluate")
        return examples

    def counts(self, metric: str, examples: Sequence[Example], *, beam_size: int | None = None) -> Counts:
        """What a metric of texts counts in the best hypothesis for each example: the score of any of them is the sum of their rows.

        For breakdowns, as by length (`analysis.lengths.length_scores`).
        """
        tokenizer = self.translator.target_tokenizer
        hypotheses = [found[0].text if found else "" for found in self.hypotheses(examples, self.settings(beam_size))]
        return count(
            [metric],
            hypotheses,
            [references_of(example, tokenizer) for example in examples],
            bleu_tokenize=self.recipe.evaluation.bleu_tokenize,
            split=tokenizer.split,
            one_word=tokenizer.kind == "symbols",
        )[metric]

    def attention(
        self,
        texts: Sequence[str] = (),
        targets: Sequence[str] | None = None,
        *,
        images: Sequence[Image] = (),
        task: str | None = None,
        beam_size: int | None = None,
    ) -> list[AttentionMaps]:
        """What the model looks at while it writes its own translation of each source (see `examples`), or the given target."""
        examples = self.examples(texts, targets, images=images, task=task)
        return attention_maps(self.translator, examples, self.settings(beam_size))

    def explain(
        self,
        texts: Sequence[str] = (),
        targets: Sequence[str] | None = None,
        *,
        images: Sequence[Image] = (),
        task: str | None = None,
        beam_size: int | None = None,
        alternatives: int = 5,
    ) -> list[Explanation]:
        """Why the model writes its own translation of each source (see `examples`), or how it likes the given target: the probability of
        each symbol, the `alternatives` most probable ones, what was looked at, and the beam. `SeqcliError` for an ensemble."""
        if len(self.translator.members) > 1:
            raise SeqcliError("what an ensemble writes is explained by no single model; explain one of its runs")
        examples = self.examples(texts, targets, images=images, task=task)
        settings = self.settings(beam_size)
        return [explain(self.translator, example, settings, alternatives=alternatives) for example in examples]

    def attention_of(
        self, split: Split, numbers: Sequence[int], *, beam_size: int | None = None
    ) -> list[AttentionMaps]:
        """What the model looks at while it writes its own translation of some examples of a split, given by their numbers from 1.

        Boxes are shown where the translation is the example's own target. RecipeError or DataError where there is no such split or example.
        """
        wanted = {number: self._example(split, number) for number in numbers}
        settings = self.settings(beam_size)
        found = []
        for example in wanted.values():
            written = self.hypotheses([example], settings)[0]
            normalizer = self.translator.target_tokenizer.normalizer
            right = bool(written) and written[0].text == normalizer.readable(example.target or "")
            asked = example if right else replace(example, target=None, boxes=())
            found += attention_maps(self.translator, [asked], settings)
        return found

    def gradients(self, *, length: int | None = None, examples: int = 16) -> GradientFlow:
        """What the loss of the last target step feels of every state before it, with the loaded weights (see `measured_batch`).

        `seqcli.gradient_flow.run_history` has the same over training. `SeqcliError` for a model without states.
        """
        state = read_state(self.checkpoint)
        # an average is of several steps, and counts as the last of them
        step = max(state.get("steps", [state.get("step", 0)]))
        batch = measured_batch(self.recipe, self.translator, length=length, examples=examples)
        return measure_gradients(self.translator.model, batch, step=int(step))

    def heads(
        self, split: Split = "test", *, examples: int = 100, removal: bool = True, words: bool = False
    ) -> list[Head]:
        """What each head of the model does while it writes the targets of the first `examples` of a split.

        With `removal` the loss without each head is measured too, a pass for each of them; with `words` weights are those between words.
        RecipeError or DataError where there is no such split or nothing in it; SeqcliError for a model without attention.
        """
        corpus = self.corpus(split)
        read = [one for one in itertools.islice(corpus.read(), examples) if one.target and _has_source(one)]
        if not read:
            raise DataError(f"{corpus.name}: there is nothing to measure heads on")
        samples = [kinds_of(maps) for maps in attention_maps(self.translator, read, self.settings())]
        found = measured_heads([[by_words(kind) for kind in kinds] for kinds in samples] if words else samples)
        if not removal:
            return found
        rises = losses_without(self.translator, read)
        return [replace(one, removal=rises[one.kind, one.layer, one.head]) for one in found]

    def export(self, place: str | Path, *, to: ExportTarget = "safetensors", quantization: str = "float32") -> None:
        """Write the model as a folder for other programs: `ctranslate2`, `onnx`, or `safetensors`, which `load` reads again.

        `quantization` is CTranslate2's: float32, float16, bfloat16, int16 or int8. An earlier export at `place` is replaced. Raises
        `RecipeError` where there is something else, or where the model cannot be expressed there.
        """
        if len(self.translator.members) > 1:
            raise RecipeError("an ensemble is several models; export each of them")
        exported = Exported(self.recipe, self.translator, self.checkpoint)
        if quantization != "float32" and to != "ctranslate2":
            raise RecipeError(f"quantization {quantization}: only an export to ctranslate2 has it")
        match to:
            case "ctranslate2":
                export_ctranslate2(Path(place), exported, quantization)
            case "onnx":
                export_onnx(Path(place), exported)
            case "safetensors":
                export_safetensors(Path(place), exported)
            case _:
                assert_never(to)

    def _example(self, split: Split, number: int) -> Example:
        corpus = self.corpus(split)
        for example in itertools.islice(corpus.read(), number - 1, number):
            return example
        raise DataError(f"{corpus.name}: has no example {number}")


def read_fingerprint(folder: Path) -> dict[str, Any] | None:
    """What the data of the run in `folder` is known by (see `identity.fingerprint`); None where a run of an earlier version has none."""
    path = folder / DATA
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error


def load(
    folder: str | Path,
    overrides: Sequence[str] = (),
    *,
    checkpoint: str | None = None,
    ensemble: Sequence[str | Path] = (),
) -> Run:
    """The run in `folder`, ready to use.

    `overrides` are `key=value`, as on the command line (`search.beam_size=5`, `device=cpu`); `checkpoint` is best, last, average,
    a step's number, or auto, as the recipe says if not given. With the folders of an `ensemble` their models, from the checkpoint that each
    one's recipe says, search and score together with the run's own (see `models.ensemble`). Raises `RecipeError` if there is no run, or if
    they cannot work together, `SeqcliError` if one is damaged or has no checkpoint yet.
    """
    folder = Path(folder)
    recipe = read_recipe(folder, overrides)
    _refuse_foreign(folder)
    device = use_machine(recipe)
    source_tokenizer, target_tokenizer = load_tokenizer(folder, "source"), load_tokenizer(folder, "target")
    model = build_model(
        recipe.model,
        source_tokenizer.size,
        target_tokenizer.size,
        image_shape=image_shape(recipe.source),
        fill=False,
    )
    chosen = find_checkpoint(folder / CHECKPOINTS, checkpoint or recipe.evaluation.checkpoint)
    load_weights(chosen, model)
    translator = build_translator(recipe, model.to(device).eval(), source_tokenizer, target_tokenizer, fixed=True)
    run = Run(folder, recipe, translator, chosen)
    # the run's own machine is everybody's
    others = [load(other, [f"device={recipe.device}", f"threads={recipe.threads or 'null'}"]) for other in ensemble]
    for other in others:
        _refuse_mixed(run, other)
    if others:
        run.translator = EnsembleTranslator(translator, [other.translator for other in others])
    return run


def _refuse_mixed(run: Run, other: Run) -> None:
    """RecipeError where two runs cannot write one target together."""
    if other.translator.target_tokenizer.digest != run.translator.target_tokenizer.digest:
        raise RecipeError(
            f"{other.folder} writes other symbols than {run.folder} ({other.translator.target_tokenizer.size:,} and "
            f"{run.translator.target_tokenizer.size:,}): the members of an ensemble need one target vocabulary, learnt from the same data"
        )
    for name, ours, theirs in (
        ("texts", run.reads_texts, other.reads_texts),
        ("images", run.reads_images, other.reads_images),
        ("feature tags", run.tagging.has_features, other.tagging.has_features),
    ):
        if ours != theirs:
            reads, not_reads = (run, other) if ours else (other, run)
            raise RecipeError(
                f"{reads.folder} reads {name}, and {not_reads.folder} does not: an ensemble has one kind of source"
            )
    if run.tagging.tasks.keys() != other.tagging.tasks.keys():
        tasks = [", ".join(one.tagging.tasks) or "none" for one in (run, other)]
        raise RecipeError(
            f"{other.folder} has other tasks than {run.folder} ({tasks[1]} and {tasks[0]}): the members of an ensemble need the same"
        )


def _refuse_foreign(folder: Path) -> None:
    """Raise `RecipeError` where the weights in a folder are for another program."""
    exported = read_export(folder)
    if exported is None or exported["to"] == "safetensors":
        return
    remedy = "; add --engine ctranslate2 to translate with it" if exported["to"] == "ctranslate2" else ""
    raise RecipeError(f"{folder} is an export to {exported['to']}, not a run{remedy}")


def read_recipe(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The resolved recipe of the run in `folder`."""
    path = folder / RECIPE
    if not path.is_file():
        raise RecipeError(f"{folder} is no run directory: it has no {RECIPE}; `seqcli train` makes one")
    return load_recipe(str(path), overrides, of_run=True)


def find_checkpoint(checkpoints: Path, wanted: str) -> Path:
    """The folder of the checkpoint called `wanted`: best, last, average, a step, or auto, the first of average, best, last."""
    steps = step_folders(checkpoints)
    last = steps[-1] if steps else checkpoints / "last"
    named = {"best": checkpoints / "best", "average": checkpoints / "average", "last": last}
    if wanted == "auto":
        candidates = [named["average"], named["best"], named["last"]]
    elif wanted.isdecimal():
        candidates = [step_folder(checkpoints, int(wanted))]
    elif wanted in named:
        candidates = [named[wanted]]
    else:
        raise RecipeError(f"{wanted!r} is no checkpoint; give auto, best, last, average, or a step's number")
    for folder in candidates:
        # looked for, not put back: a run that is still training may be about to rename it
        for place in (folder, replaced(folder)):
            if place.is_dir():
                return place
    there = ", ".join(sorted(path.name for path in checkpoints.glob("[!.]*"))) or "none yet"
    raise SeqcliError(f"{checkpoints.parent} has no checkpoint {wanted!r}; there are: {there}")


def use_machine(recipe: Recipe) -> torch.device:
    """The device the recipe asks for; sets the number of threads."""
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    if recipe.device != "auto":
        wanted = torch.device(recipe.device)
        available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not available[wanted.type]:
            raise RecipeError(f"device {recipe.device} is not there on this machine; give device=cpu or device=auto")
        return wanted
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _has_source(example: Example) -> bool:
    """Whether there is anything to look at."""
    return example.image is not None or bool(example.source.strip())


def measured_batch(recipe: Recipe, translator: Translator, *, length: int | None, examples: int) -> Batch:
    """Examples of one length to measure a model on: of the validation split, or of the training split where there is no other.

    Strings of copy, reverse and sort are made as long as asked, however long those are that the model learns from.
    """
    data = recipe.data
    if isinstance(data, AlgorithmicData) and length is not None:
        data = data.model_copy(update={"shortest": length, "longest": length})
    return batch_of_one_length(translator, held_out(data).read(), count=examples, length=length)


def held_out(data: Data) -> Corpus:
    """The validation split, or the training split where there is no other."""
    corpus = open_split(data, "validation") or open_split(data, "train")
    assert corpus is not None
    return corpus
