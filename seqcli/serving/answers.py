"""Answers as JSON: hypotheses with their scores, and attention with its names."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqcli.analysis.attention_kinds import by_words, kinds_of
from seqcli.evaluation.attention import AttentionMaps
from seqcli.evaluation.reader import Translation
from seqcli.figures.inline import image_address
from seqcli.json_text import json_text
from seqcli.serving.engine import Found
from seqcli.serving.refusal import TOO_LARGE, Refusal

DECIMALS = 4
"""Of a weight."""
LARGEST_PICTURE = 1024
"""Pixels of the longer side of a picture in an answer."""


def to_bytes(value: Any) -> bytes:
    """JSON in UTF-8. A damaged model's scores, which are no numbers, are null; half a surrogate pair, which a model may have learnt from its data,
    is shown as a question mark."""
    return json_text(value, compact=True).encode("utf-8", "replace")


def translation_answer(found: Found, *, nbest: int, scores: bool) -> dict[str, Any]:
    """The best hypothesis of a source as `translation`, and `nbest` of them, where there is more than one, as `translations`."""
    kept = found.hypotheses[:nbest]
    best = kept[0] if kept else Translation("", 0.0, 0.0, ())
    answer: dict[str, Any] = {"translation": best.text, **_scores(best, scores)}
    if nbest > 1:
        answer["translations"] = [{"text": one.text, **_scores(one, scores)} for one in kept]
    if found.cut:
        answer["cut"] = True
    return answer


def _scores(one: Translation, wanted: bool) -> dict[str, float]:
    """Both scores, where they are wanted."""
    return {"score": one.score, "log_prob": one.log_prob} if wanted else {}


def attention_answer(maps: AttentionMaps, *, words: bool, picture: bool, most: int) -> bytes:
    """The symbols of source and target, and the weights of each kind of attention between them, named row by row and column by column.

    Refusal where there are more than `most` weights.
    """
    kinds = kinds_of(maps)
    count = sum(kind.weights.size for kind in kinds)
    if count > most:
        raise Refusal(
            TOO_LARGE, f"there are {count:,} weights behind this; {most:,} may be sent: look at a shorter one"
        )
    shown = [by_words(kind) for kind in kinds] if words else kinds
    answer: dict[str, Any] = {
        "source": maps.source,
        "target": maps.target,
        "kinds": [
            {
                "name": kind.name,
                "title": kind.title,
                "rows": kind.rows,
                "columns": kind.columns,
                "grid": kind.grid,
                "weights": np.round(kind.weights.astype(np.float64), DECIMALS).tolist(),
                "seen": None if kind.seen.all() else kind.seen.tolist(),
            }
            for kind in shown
        ],
    }
    if picture:
        answer["picture"] = None if maps.image is None else image_address(maps.image, LARGEST_PICTURE)
    return to_bytes(answer)
