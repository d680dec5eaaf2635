"""The recipe's `search` section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seqcli.recipe.section import Count, Section

Text = Annotated[str, Field(min_length=1)]


class SamplingSection(Section):
    """What symbols are drawn from, instead of taking the most likely; the filters in this order, each on what the one before has left."""

    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    """What the scores are divided by before the softmax: below 1 likely symbols become likelier."""
    top_k: Count | None = None
    """Draw from so many of the most likely symbols (Fan et al. 2018); null means from all."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Draw from the most likely symbols that together have this probability (Holtzman et al. 2020); 1 means from all."""
    min_p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Draw from symbols that have at least this share of the most likely one's probability (Nguyen et al. 2024); 0 means from all."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Another seed draws others; the same draws the same for the same source, whatever else is translated."""


class ShortlistSection(Section):
    """Which of the target's symbols are scored for a source, learnt from the training data by Model 1 of Brown et al. 1993."""

    best: Count = 50
    """So many translations of each symbol of the source."""
    usual: Count = 100
    """And so many symbols that are frequent in any target."""


class Search(Section):
    """How text is written once the model is trained."""

    beam_size: Count = 1
    """Hypotheses kept at each step; 1 is greedy search. With sampling: hypotheses that are drawn, of which the one with the best score is first."""
    length_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    """A hypothesis's score is its log-probability divided by its length to this power; 0 favours short ones."""
    length_normalization: Literal["average", "gnmt", "none"] = "average"
    """What of the length the power is taken of: the length itself (average), (5 + length) / 6 (gnmt; Wu et al. 2016, eq. 14), or nothing: the
    score is the log-probability (none)."""
    coverage_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    """Add so many times Σ log(min(attention it got, 1)) over the source's symbols to the score, so that hypotheses lose that leave something
    out (Wu et al. 2016, eq. 14); needs attention."""
    patience: Annotated[float, Field(ge=1.0)] | None = 1.0
    """Stop when so many times beam_size hypotheses have finished (Kasai et al. 2022); null means when it is proved that none which lives can
    become better than those, which takes far longer."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """A hypothesis has at least so many symbols, its end counted."""
    max_length: Count = 200
    """Stop a hypothesis after so many symbols."""
    max_ratio: Annotated[float, Field(gt=0.0)] | None = 3.0
    """Stop it also after so many symbols for each source symbol, and 10 more; null means no such bound."""
    batch_sentences: Count | None = None
    """Sentences that are translated side by side; null means as many as make 256 hypotheses, and 64 at least."""
    precision: Literal["float32", "bf16", "auto"] = "float32"
    """What matrix products are computed in: bf16 is several times as fast on processors with a unit for it, and slower on others; auto tries it
    out. All else is float32. It is no part of training."""
    shortlist: ShortlistSection | None = None
    """Score only those symbols that the source can need; null means all."""
    unknown: bool | Literal["copied"] = False
    """Whether the unknown symbol may be written, where the target has symbols that are not in the vocabulary. copied: it may, and stands for
    the source's unknown symbols, one after the other; for pairs that keep their order, with training.unknown_rate."""
    repetition_penalty: Annotated[float, Field(ge=1.0)] = 1.0
    """Divide the raw score of every symbol that a hypothesis has written already by this, or multiply it where it is below 0 (Keskar et al.
    2019); 1 means no such thing. Scores then follow what the search sees, log-probabilities the model."""
    no_repeat_ngram: Count | None = None
    """No hypothesis has so many symbols in a row twice (Paulus et al. 2018); null means that it may."""
    diverse_groups: Count = 1
    """Part the beam into so many groups, each of which is kept from writing what those before it write (Vijayakumar et al. 2018)."""
    diversity: Annotated[float, Field(ge=0.0)] = 0.5
    """By how much a symbol's log-probability counts less for each hypothesis of the groups before that has just been given it."""
    sampling: SamplingSection | None = None
    """Draw symbols instead of taking the most likely; null means a beam."""
    prefix: Text | None = None
    """What every hypothesis begins with."""
    constraints: list[Text] = []
    """Phrases that every hypothesis holds, as the tokenizer splits them (Post & Vilar 2018)."""
    avoid: list[Text] = []
    """Phrases that no hypothesis holds, as the tokenizer splits them."""
