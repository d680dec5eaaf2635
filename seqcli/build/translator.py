"""From a recipe to what searches with its model: the translator, and its settings."""

from __future__ import annotations

from seqcli.build.data import image_reader, longest_source, longest_target
from seqcli.data.tokenizer import Tokenizer
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.evaluation.wishes import Wishes
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.schema import Recipe
from seqcli.search.sampling import Sampling


def search_settings(recipe: Recipe) -> SearchSettings:
    """The recipe's `search` section as the translator takes it."""
    section = recipe.search
    sampling = section.sampling
    return SearchSettings(
        beam_size=section.beam_size,
        length_penalty=section.length_penalty,
        max_length=section.max_length,
        max_ratio=section.max_ratio,
        batch_sentences=section.batch_sentences,
        unknown=section.unknown,
        precision=section.precision,
        length_normalization=section.length_normalization,
        coverage_penalty=section.coverage_penalty,
        patience=section.patience,
        diverse_groups=section.diverse_groups,
        diversity=section.diversity,
        repetition_penalty=section.repetition_penalty,
        no_repeat_ngram=section.no_repeat_ngram or 0,
        sampling=None if sampling is None else Sampling(**dict(sampling)),
        wishes=Wishes(section.prefix, tuple(section.constraints), tuple(section.avoid), section.min_length),
    )


def build_translator(
    recipe: Recipe, model: Seq2Seq, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer, *, fixed: bool = False
) -> Translator:
    """The translator of a recipe's model; `fixed` says that its weights stay as they are."""
    return Translator(
        model,
        source_tokenizer,
        target_tokenizer,
        reverse_source=recipe.source.reverse,
        longest_source=longest_source(recipe.model),
        longest_target=longest_target(recipe.model),
        image_reader=image_reader(recipe.source),
        fixed=fixed,
    )
