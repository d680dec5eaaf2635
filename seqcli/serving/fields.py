"""What a request may say: each field with its kind and bounds, from which it is checked and described alike."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqcli.serving.limits import Limits
from seqcli.serving.refusal import INVALID, TOO_LARGE, Refusal

Kind = Literal["integer", "number", "boolean", "text", "choice"]
LARGEST_PENALTY = 10.0
INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Field:
    """One field: what kind of value it has, from `least` to `most` (of a text: characters), or one of `choices`."""

    name: str
    kind: Kind
    about: str
    least: float = 0
    most: float = math.inf
    choices: tuple[str, ...] = ()

    def checked(self, value: Any, where: str) -> Any:
        """The value, where it is what it must be; Refusal with a sentence on `where` it stands if not."""
        match self.kind:
            case "integer":
                if type(value) is not int or not self.least <= value <= self.most:
                    raise Refusal(INVALID, f"{where} must be a whole number from {self.least:g} to {self.most:g}")
            case "number":
                if type(value) not in (int, float) or not self.least <= value <= self.most:
                    raise Refusal(INVALID, f"{where} must be a number from {self.least:g} to {self.most:g}")
                return float(value)
            case "boolean":
                if type(value) is not bool:
                    raise Refusal(INVALID, f"{where} must be true or false")
            case "choice":
                if value not in self.choices:
                    raise Refusal(INVALID, f"{where} must be one of {', '.join(self.choices)}")
            case "text":
                return self._text(value, where)
        return value

    def read(self, text: str, where: str) -> Any:
        """The same from a form or an address, where everything is text."""
        value: Any = text
        if self.kind == "integer" and INTEGER.fullmatch(text):
            value = int(text)
        elif self.kind == "number" and NUMBER.fullmatch(text):
            value = float(text)
        elif self.kind == "boolean":
            value = {"true": True, "false": False}.get(text, text)
        return self.checked(value, where)

    def _text(self, value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise Refusal(INVALID, f"{where} must be a text")
        if len(value) > self.most:
            raise Refusal(TOO_LARGE, f"{where} has {len(value):,} characters; {self.most:,.0f} may be sent")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Refusal(INVALID, f"{where} holds half a surrogate pair, which is no character")
        return value

    def schema(self) -> dict[str, Any]:
        """The field as JSON Schema."""
        about = {"description": self.about}
        match self.kind:
            case "integer" | "number":
                return {"type": self.kind, "minimum": self.least, "maximum": self.most, **about}
            case "boolean":
                return {"type": "boolean", **about}
            case "choice":
                return {"type": "string", "enum": list(self.choices), **about}
            case "text":
                bound = {} if math.isinf(self.most) else {"maxLength": self.most}
                return {"type": "string", **bound, **about}


def search_fields(limits: Limits) -> list[Field]:
    """How to search, by the names that `SearchSettings` has; what is not said is as the recipe has it."""
    return [
        Field("beam_size", "integer", "Hypotheses kept at each step; 1 is greedy search.", 1, limits.beam_size),
        Field("length_penalty", "number", "Scores are divided by length to this power.", 0, LARGEST_PENALTY),
    ]


def translate_fields(limits: Limits) -> list[Field]:
    """What `/translate` takes beside its sources."""
    return [
        *search_fields(limits),
        Field("nbest", "integer", "Hypotheses for each source, best first.", 1, limits.beam_size),
        Field("scores", "boolean", "Whether to tell each hypothesis' score and log-probability."),
    ]


def attention_fields(limits: Limits) -> list[Field]:
    """What `/attention` takes beside its source."""
    return [
        *search_fields(limits),
        Field("target", "text", "The target to look at instead of the model's own.", most=limits.shown_characters),
        Field("words", "boolean", "Weights between words where the symbols are pieces of them or characters."),
        Field("picture", "boolean", "Whether to send what the model saw of the image, a PNG in a data: address."),
    ]


def overlay_fields(limits: Limits) -> list[Field]:
    """What `/overlay` takes beside its image."""
    return [
        *attention_fields(limits)[:-1],
        Field(
            "figure",
            "choice",
            "A panel a word (PNG), every layer and head on one sheet (PNG), or a frame a word (GIF).",
            choices=("panels", "sheet", "animation"),
        ),
        Field("dark", "boolean", "Draw light on dark."),
    ]


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str], where: str = "") -> None:
    """Refusal, with what may be meant, for a field that there is not."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise Refusal(INVALID, f"{where}there is no field {name[:60]!r}; {meant}")
