"""Rules of the `search` section: what contradicts what."""

from __future__ import annotations

from seqcli.recipe.model import HardMonotonicAttention, RecurrentDecoder, attends
from seqcli.recipe.schema import Recipe
from seqcli.recipe.search import Search
from seqcli.recipe.tree import Broken


def _groups(recipe: Recipe) -> Broken:
    search = recipe.search
    if search.beam_size % search.diverse_groups:
        yield (
            ("search", "diverse_groups"),
            f"{search.beam_size} hypotheses cannot be shared out evenly among {search.diverse_groups} groups; set search.beam_size to a "
            f"multiple of {search.diverse_groups}",
        )
    if search.diverse_groups == 1 and search.diversity != Search.model_fields["diversity"].default:
        yield ("search", "diversity"), "is between groups, and there is one; set search.diverse_groups too"


def _beams_and_samples(recipe: Recipe) -> Broken:
    search = recipe.search
    if search.sampling is not None and search.diverse_groups > 1:
        yield (
            ("search", "diverse_groups"),
            "are of a beam, but search.sampling draws each hypothesis by itself; leave one of both out",
        )
    if search.sampling is not None and search.constraints:
        yield (
            ("search", "constraints"),
            "need a beam, but search.sampling draws each hypothesis by itself; leave one of both out",
        )
    if search.constraints and search.diverse_groups > 1:
        yield ("search", "constraints"), "share out the beam in their own way; leave them out, or search.diverse_groups"


def _lengths(recipe: Recipe) -> Broken:
    search = recipe.search
    if search.length_normalization == "none" and search.length_penalty not in (0.0, 1.0):
        yield (
            ("search", "length_penalty"),
            "is a power of the length, but length_normalization is none; leave it out, or set length_normalization to average or gnmt",
        )
    if search.min_length > search.max_length:
        yield ("search", "min_length"), f"{search.min_length} is more than search.max_length, {search.max_length}"


def _coverage(recipe: Recipe) -> Broken:
    if recipe.search.coverage_penalty and not attends(recipe.model.decoder):
        yield ("search", "coverage_penalty"), "counts attention, and this decoder has none; leave it out"


def _shortlist(recipe: Recipe) -> Broken:
    if recipe.search.shortlist is None:
        return
    if recipe.source.image is not None:
        yield ("search", "shortlist"), "is learnt from pairs of texts, but these sources are images; leave it out"
    if recipe.search.sampling is not None:
        yield ("search", "shortlist"), "cuts what search.sampling draws from; leave one of both out"
    decoder = recipe.model.decoder
    if isinstance(decoder, RecurrentDecoder) and isinstance(decoder.attention, HardMonotonicAttention):
        yield ("search", "shortlist"), "cuts an output layer, and hard_monotonic has one for each place; leave it out"


SEARCH_RULES = (_groups, _beams_and_samples, _lengths, _coverage, _shortlist)
