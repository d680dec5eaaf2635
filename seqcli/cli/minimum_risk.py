"""The options of `seqcli translate --mbr`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqcli.evaluation.reader import SearchSettings
    from seqcli.run import Translates


def of_samples(
    loaded: Translates, settings: SearchSettings, samples: int | None, utility: str | None, *, beam_size: int | None
) -> SearchSettings:
    """The settings of a search that draws samples and ranks them by what is expected of them."""
    from seqcli.errors import RecipeError
    from seqcli.evaluation.minimum_risk import MinimumRisk
    from seqcli.search.sampling import Sampling

    if samples is None:
        raise RecipeError("--mbr-utility goes with --mbr")
    if beam_size is not None:
        raise RecipeError(f"--mbr {samples} goes without --beam-size: it is the number of samples")
    if settings.diverse_groups > 1 or settings.wishes.constraints:
        raise RecipeError(f"--mbr {samples} draws each hypothesis by itself; leave diverse groups and constraints out")
    if settings.shortlist is not None:
        raise RecipeError(f"--mbr {samples} draws from all of the vocabulary; set search.shortlist=null")
    if utility not in (None, "chrf", "bleu"):
        raise RecipeError(f"--mbr-utility {utility}: there are chrf and bleu")
    risk = MinimumRisk(utility or "chrf", loaded.recipe.evaluation.bleu_tokenize)  # type: ignore[arg-type]
    return replace(settings, beam_size=samples, sampling=settings.sampling or Sampling(), minimum_risk=risk)
