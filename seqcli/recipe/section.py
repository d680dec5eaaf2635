"""What all sections of a recipe share."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field

MetricName = Literal[
    "loss",
    "perplexity",
    "token_accuracy",
    "exact_match",
    "bleu",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "chrf",
    "ter",
    "cider",
    "vqa_accuracy",
    "wer",
    "per",
    "cer",
    "pointing",
    "pointing_game",
]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Column = Union[str, Annotated[int, Field(ge=0)]]
Paths = Union[str, Annotated[list[str], Field(min_length=1)]]


T = TypeVar("T")


def as_list(one_or_several: T | list[T]) -> list[T]:
    """What may be written as one thing or as a list, as a list."""
    return one_or_several if isinstance(one_or_several, list) else [one_or_several]


class Section(BaseModel):
    """What all sections share: unknown keys refused, no silent conversion, no change after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_default=True,
    )
