"""From the recipe's `data`, `source` and `target` sections to corpora, tokenizers and encoded examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from seqcli.data.builtin import read_algorithmic, read_dates
from seqcli.data.cache import cache_folder, cache_key
from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus, Split, read_disk, read_hub
from seqcli.data.encoded import EncodedCorpus, HowEncoded, encode_corpus, encoded_key
from seqcli.data.files import pattern_columns, read_files, read_lines, read_text
from seqcli.data.hold_out import hold_out
from seqcli.data.images import FeatureReader, ImageReader, PixelReader
from seqcli.data.shape_captions import read_shape_captions
from seqcli.data.shape_questions import read_shape_questions
from seqcli.data.subwords import learn_subwords
from seqcli.data.tasks import Tagging, joined, task_tag
from seqcli.data.tokenizer import Tokenizer, load_tokenizer, same_symbols
from seqcli.data.vocabulary import CannotLearn, learn_characters, learn_symbols, learn_words, no_words
from seqcli.errors import DataError, RecipeError
from seqcli.extras import require
from seqcli.recipe import data as recipe
from seqcli.recipe import sides
from seqcli.recipe.model import Model, TransformerSection, text_encoder
from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import as_list
from seqcli.symbols import UNK


@dataclass(frozen=True)
class PreparedData:
    """All that training reads."""

    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    train: EncodedCorpus
    validation: EncodedCorpus | None

    @cached_property
    def same_symbols(self) -> NDArray[np.int64]:
        """For each symbol of the source the same one of the target, (source V,), or `NOT_THERE`."""
        return np.array(same_symbols(self.source_tokenizer, self.target_tokenizer))


def open_split(section: recipe.Data, split: Split) -> Corpus | None:
    """The corpus of a split, or None if the recipe names none and holds none out.

    Training is cut to `data.limit`, and each of several references to an image is an example of its own; in the other splits they are one. Of
    several tasks it is the corpora of all that have this split.
    """
    if isinstance(section, recipe.TasksData):
        opened = {task: open_split(one, split) for task, one in section.tasks.items()}
        there = {task: corpus for task, corpus in opened.items() if corpus is not None}
        if section.limit is not None and split == "train":
            there = {task: corpus.first(section.limit) for task, corpus in there.items()}
        return joined(there) if there else None
    corpus = _open(section, split)
    aside = recipe.held_out(section)
    if aside and (split == "train" or split in aside):
        whole = _open(section, "train")
        assert whole is not None
        assert isinstance(section, recipe.StoredData)
        assert section.hold_out is not None
        corpus = hold_out(whole, section.hold_out, aside)[split]
    if corpus is None:
        return None
    columns = getattr(section, "columns", None)
    if split != "train":
        return corpus if columns is None or columns.image is None else corpus.with_all_references()
    if columns is not None and columns.references is None:
        corpus = corpus.each_reference()
    return corpus.first(section.limit) if section.limit else corpus


def named_split(section: recipe.Data, split: Split) -> Corpus:
    """The corpus of a split; RecipeError where the recipe names none."""
    corpus = open_split(section, split)
    if corpus is None:
        raise RecipeError(f"the recipe names no {split} split; give data.{split}=…, or files to evaluate")
    return corpus


def prepare_data(recipe_: Recipe, symbols: Path | None = None) -> PreparedData:
    """Read, learn and encode what training needs, or find it in the cache, which is keyed by the data's content.

    The symbols are those of the run in the folder `symbols`, if one is given.
    """
    train = open_split(recipe_.data, "train")
    assert train is not None
    validation = open_split(recipe_.data, "validation")
    cache = cache_folder()
    if symbols is None:
        source_tokenizer, target_tokenizer = _tokenizers(recipe_, train, cache)
    else:
        source_tokenizer, target_tokenizer = load_tokenizer(symbols, "source"), load_tokenizer(symbols, "target")
        _refuse_new_tasks(recipe_.data, source_tokenizer, symbols)

    def encode(corpus: Corpus, *, limited: bool) -> EncodedCorpus:
        return _encode(recipe_, corpus, source_tokenizer, target_tokenizer, cache, limited=limited)

    return PreparedData(
        source_tokenizer,
        target_tokenizer,
        encode(train, limited=True),
        None if validation is None else encode(validation, limited=False),
    )


def _refuse_new_tasks(section: recipe.Data, tokenizer: Tokenizer, folder: Path) -> None:
    """DataError for a task whose tag would be the unknown symbol, since the run whose symbols these are has not learnt it."""
    for task in tagging(section).tasks:
        if UNK in tokenizer.encode("", [task_tag(task)]):
            raise DataError(
                f"data.tasks.{task}: {folder} has learnt no task of this name, so there is no symbol for it"
            )


def encode_split(
    recipe_: Recipe, split: Split, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer
) -> EncodedCorpus | None:
    """A split encoded as training would encode it, or what the cache has of it; None if the recipe names none.

    Only training examples are left out for being longer than `max_length`.
    """
    corpus = open_split(recipe_.data, split)
    if corpus is None:
        return None
    return _encode(recipe_, corpus, source_tokenizer, target_tokenizer, cache_folder(), limited=split == "train")


def _encode(
    recipe_: Recipe,
    corpus: Corpus,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    cache: Path,
    *,
    limited: bool,
) -> EncodedCorpus:
    how = _how_encoded(recipe_, limited=limited)
    return encode_corpus(corpus, source_tokenizer, target_tokenizer, cache, **how)


def training_key(recipe_: Recipe, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer) -> str:
    """How the digest of the training examples begins, as they are now; they are not encoded for it."""
    train = named_split(recipe_.data, "train")
    return encoded_key(train, source_tokenizer, target_tokenizer, **_how_encoded(recipe_, limited=True))


def _how_encoded(recipe_: Recipe, *, limited: bool) -> HowEncoded:
    """What `encode_corpus` is told beside the corpus and the tokenizers."""
    return {
        "source_max_length": _shortest(
            recipe_.source.max_length if limited else None, _room(text_encoder(recipe_.model.encoder))
        ),
        "target_max_length": _shortest(recipe_.target.max_length if limited else None, _room(recipe_.model.decoder)),
        "reverse_source": recipe_.source.reverse,
        "image_reader": image_reader(recipe_.source),
        "corrupt_limit": 0 if recipe_.source.image is None else recipe_.source.image.corrupt_limit,
    }


def image_reader(source: sides.Source) -> ImageReader | None:
    """How the source's images are read; None where it has none. RecipeError where what reads them is not installed."""
    match source.image:
        case None:
            return None
        case sides.Pixels(width=width, height=height, channels=channels, fit=fit):
            require("images", "source.image")
            return PixelReader(width, height, channels, fit)
        case sides.FeatureGrid(rows=rows, columns=columns, size=size):
            return FeatureReader(rows, columns, size)
        case _:
            assert_never(source.image)


def image_shape(source: sides.Source) -> tuple[int, ...] | None:
    """The shape of the source's images as the model sees them; None where it has none."""
    reader = image_reader(source)
    return None if reader is None else reader.shape


def longest_source(model: Model) -> int | None:
    """How many symbols, EOS counted, the encoder can read; None where there is no limit."""
    room = _room(text_encoder(model.encoder))
    return None if room is None else room + 1


def longest_target(model: Model) -> int | None:
    """How many symbols, EOS counted, the decoder can write; None where there is no limit."""
    room = _room(model.decoder)
    return None if room is None else room + 1


def _room(section: object) -> int | None:
    """Symbols, besides BOS or EOS, that fit into a table of learned positions."""
    if isinstance(section, TransformerSection) and section.positions == "learned":
        return section.max_positions - 1
    return None


def _shortest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _open(section: recipe.DataSet, split: Split) -> Corpus | None:
    match section:
        case recipe.HubData() | recipe.DiskData():
            name = getattr(section.splits, split)
            return None if name is None else _open_named(section, name)
        case recipe.FilesData() | recipe.LinesData():
            paths = getattr(section, split)
            if paths is None:
                return None
            files = as_list(paths)
            if isinstance(section, recipe.LinesData):
                return read_lines(files, section.pattern, features_separator=section.features_separator)
            return read_files(files, data_columns(section), format=section.format)
        case recipe.TextData():
            sides_ = getattr(section, split)
            return None if sides_ is None else read_text(as_list(sides_.source), as_list(sides_.target))
        case recipe.DatesData():
            return read_dates(split, section.locales)
        case recipe.AlgorithmicData():
            return read_algorithmic(
                section.kind,
                split,
                seed=section.seed,
                alphabet=section.alphabet,
                shortest=section.shortest,
                longest=section.longest,
                examples=section.examples,
            )
        case recipe.ShapeCaptionsData():
            require("images", f"data.kind {section.kind}")
            return read_shape_captions(split, seed=section.seed, size=section.size, examples=section.examples)
        case recipe.ShapeQuestionsData():
            require("images", f"data.kind {section.kind}")
            return read_shape_questions(split, seed=section.seed, size=section.size, scenes=section.scenes)
        case _:
            assert_never(section)


def _open_named(section: recipe.HubData | recipe.DiskData, split: str) -> Corpus:
    if isinstance(section, recipe.DiskData):
        return read_disk(section.path, data_columns(section), split=split)
    return read_hub(
        section.name,
        data_columns(section),
        config=section.config,
        revision=section.revision,
        split=split,
        split_column=section.split_column,
        streaming=section.streaming,
    )


def data_columns(section: recipe.HubData | recipe.DiskData | recipe.FilesData) -> Columns:
    """Where the rows of a section keep what."""
    columns = section.columns
    return Columns(
        columns.source,
        tuple(columns.target) if isinstance(columns.target, list) else columns.target,
        columns.features,
        section.features_separator,
        columns.image,
        columns.references,
        columns.group,
        columns.boxes,
        tuple(section.where.items()),
    )


def _tokenizers(recipe_: Recipe, train: Corpus, cache: Path) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers learnt from the training split, from the cache if they were learnt before."""
    folder = cache / f"tokenizers-{cache_key(train.digest(), repr(recipe_.source), repr(recipe_.target))}"
    try:
        return load_tokenizer(folder, "source"), load_tokenizer(folder, "target")
    except DataError:
        pass  # not learnt before, or damaged: learn
    if next(iter(train.read()), None) is None:
        raise DataError(f"{train.name}: has no examples to learn from")
    source, target = learn_tokenizers(recipe_, train)
    folder.mkdir(parents=True, exist_ok=True)
    source.save(folder, "source")
    target.save(folder, "target")
    return source, target


def learn_tokenizers(recipe_: Recipe, train: Corpus) -> tuple[Tokenizer, Tokenizer]:
    """Learn the tokenizers of both sides from the training split."""

    def sources() -> Iterator[str]:
        return (example.source for example in train.read())

    def targets() -> Iterator[str]:
        return (example.target or "" for example in train.read())

    tagged = has_features(recipe_.data)
    features = [tag for example in train.read() for tag in example.features] if tagged else []
    source = recipe_.source.tokenizer
    if isinstance(recipe_.target.tokenizer, sides.SharedTokenizer):
        assert source is not None
        with _naming("source"):
            both = _learn(recipe_.source, source, chain(sources(), targets()), features)
        return both, both
    with _naming("source"):
        of_source = no_words() if source is None else _learn(recipe_.source, source, sources(), features)
    with _naming("target"):
        of_target = _learn(recipe_.target, recipe_.target.tokenizer, targets(), [])
    return of_source, of_target


@contextmanager
def _naming(side: str) -> Iterator[None]:
    """What is wrong with learning a tokenizer begins with its key."""
    try:
        yield
    except CannotLearn as error:
        raise DataError(f"{side}.tokenizer: {error}") from error


def tagging(section: recipe.Data) -> Tagging:
    """Which tags stand before the sources."""
    if isinstance(section, recipe.TasksData):
        return Tagging(tasks={task: _separator(one) for task, one in section.tasks.items()})
    return Tagging(_separator(section))


def _separator(section: recipe.DataSet) -> str | None:
    return section.features_separator if has_features(section) else None


def has_features(section: recipe.Data) -> bool:
    """Whether the sources carry tags: of features, or of tasks."""
    match section:
        case recipe.TasksData():
            return True
        case recipe.LinesData():
            return pattern_columns(section.pattern).features is not None
        case recipe.HubData() | recipe.DiskData() | recipe.FilesData():
            return section.columns.features is not None
        case recipe.TextData() | recipe.DatesData() | recipe.AlgorithmicData():
            return False
        case recipe.ShapeCaptionsData() | recipe.ShapeQuestionsData():
            return False
        case _:
            assert_never(section)


def _learn(side: sides.Side, section: sides.SourceTokenizer, texts: Iterable[str], features: list[str]) -> Tokenizer:
    match section:
        case sides.CharacterTokenizer():
            return learn_characters(
                texts,
                features=features,
                lowercase=side.lowercase,
                normalize=side.normalize,
                marked_capitals=section.capitals == "marked",
                min_frequency=section.min_frequency,
            )
        case sides.WordTokenizer():
            return learn_words(
                texts,
                features=features,
                lowercase=side.lowercase,
                normalize=side.normalize,
                split=section.split,
                min_frequency=section.min_frequency,
                max_size=section.max_size,
            )
        case sides.SymbolTokenizer():
            return learn_symbols(
                texts,
                features=features,
                lowercase=side.lowercase,
                normalize=side.normalize,
                separator=section.separator,
                min_frequency=section.min_frequency,
                max_size=section.max_size,
            )
        case sides.SubwordTokenizer():
            return learn_subwords(
                texts,
                kind=section.kind,
                features=features,
                lowercase=side.lowercase,
                normalize=side.normalize,
                vocabulary_size=section.vocabulary_size,
                median_frequency=section.median_frequency,
            )
        case _:
            assert_never(section)
